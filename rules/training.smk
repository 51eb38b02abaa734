# The two stages that may need a GPU. What they make, and their resume state, lies in <results>/scratch, which Snakemake
# does not know of: it would delete both when a job ends badly, or when it was killed itself meanwhile.


rule pretrain:
    input:
        cohort=upstream_cohort,
        images=upstream_store,
    output:
        weights="<results>/upstream/{upstream}/{backbone}.safetensors",
        record="<results>/upstream/{upstream}/{backbone}.json",
    log:
        "<logs>/pretrain/{upstream}/{backbone}.log",
    benchmark:
        "<benchmarks>/pretrain/{upstream}/{backbone}.tsv"
    retries: attempts_for(UPSTREAM_WORKS.values())
    threads: training_threads
    resources:
        **GPU_SITE,
        mem_mb=upstream_memory,
        runtime=upstream_minutes,
        gpu=training_gpus,
        nodes=1,
        micro_batch_mb=TRAINING.memory_mb,
        checkpoint_seconds=int(TRAINING.checkpoint_seconds),
        local_disk=TRAINING.local_disk or "",
    params:
        settings=upstream_settings,
        training=training_settings,
        recipe_version=versions.TRAINING,
    message:
        "Pre-training {wildcards.backbone} on {wildcards.upstream}"
    script:
        "../workflow_scripts/pretrain.py"


# Its output says what became of the run. `finished_run` gives the files their place.
rule finetune:
    input:
        unpack(run_inputs),
    output:
        f"<results>/scratch/{RUN}/outcome.json",
    log:
        f"<logs>/finetune/{RUN}.log",
    benchmark:
        f"<benchmarks>/finetune/{RUN}.tsv"
    retries: attempts_for(WORKS.values())
    threads: training_threads
    resources:
        **GPU_SITE,
        mem_mb=run_memory,
        runtime=run_minutes,
        gpu=training_gpus,
        nodes=1,
        micro_batch_mb=TRAINING.memory_mb,
        checkpoint_seconds=int(TRAINING.checkpoint_seconds),
        local_disk=TRAINING.local_disk or "",
    params:
        runs=described_run,
        training=training_settings,
        recipe_version=versions.TRAINING,
    message:
        "Fine-tuning {wildcards.task}, {wildcards.backbone}, {wildcards.upstream}, {wildcards.initialisation}, "
        "{wildcards.recipe}, {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/finetune.py"


# Short runs that share a job, and in it the process, its imports and what the machine has read already.
for batch, members in BATCHES.items():

    rule:
        name:
            batch
        input:
            batch_inputs(members),
        output:
            [outcome_of(run) for run in members],
        log:
            f"<logs>/finetune/{batch}.log",
        benchmark:
            f"<benchmarks>/finetune/{batch}.tsv"
        retries: RETRIES
        threads: TRAINING.threads
        resources:
            **batch_request(members),
            **GPU_SITE,
            gpu=gpus_of(members[0].backbone),
            nodes=1,
            micro_batch_mb=TRAINING.memory_mb,
            checkpoint_seconds=int(TRAINING.checkpoint_seconds),
            local_disk=TRAINING.local_disk or "",
        params:
            runs=described_batch(members),
            training=training_settings_of(members[0].backbone),
            recipe_version=versions.TRAINING,
        message:
            f"Fine-tuning {len(members)} runs: {batch}"
        script:
            "../workflow_scripts/finetune.py"

    workflow.ruleorder(batch, "finetune")


rule finished_run:
    input:
        unpack(run_inputs),
        outcome=f"<results>/scratch/{RUN}/outcome.json",
    output:
        predictions=f"<results>/runs/{RUN}/predictions.parquet",
        history=f"<results>/runs/{RUN}/history.parquet",
        validation=f"<results>/runs/{RUN}/validation.parquet",
        representation=f"<results>/runs/{RUN}/representation.npz",
        record=f"<results>/runs/{RUN}/run.json",
    log:
        f"<logs>/finished_run/{RUN}.log",
    retries: 0
    localrule: True
    params:
        runs=described_run,
        training=training_settings,
        recipe_version=versions.TRAINING,
    message:
        "Taking {wildcards.task}, {wildcards.backbone}, {wildcards.upstream}, {wildcards.initialisation}, "
        "{wildcards.recipe}, {wildcards.budget}, seed {wildcards.seed} from scratch to the results"
    script:
        "../workflow_scripts/finished_run.py"


# Runs that others go on from keep their weights, which can be large.
use rule finished_run as finished_run_kept with:
    output:
        predictions=f"<results>/runs/{RUN}/predictions.parquet",
        history=f"<results>/runs/{RUN}/history.parquet",
        validation=f"<results>/runs/{RUN}/validation.parquet",
        representation=f"<results>/runs/{RUN}/representation.npz",
        record=f"<results>/runs/{RUN}/run.json",
        weights=f"<results>/runs/{RUN}/weights.safetensors",
    wildcard_constraints:
        task=KEPT["task"],
        backbone=KEPT["backbone"],
        upstream=KEPT["upstream"],
        initialisation=KEPT["initialisation"],
        recipe=KEPT["recipe"],
        budget=KEPT["budget"],


ruleorder: finished_run_kept > finished_run
