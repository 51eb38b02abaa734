# The two stages that may need a GPU. Their resume state lies in <results>/scratch, which no rule declares:
# Snakemake would delete it when a job fails.


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
    threads: CONFIG.training.threads
    resources:
        mem_mb=CONFIG.training.memory_mb,
        runtime=CONFIG.training.runtime,
        gpu=GPUS,
        checkpoint_seconds=int(CONFIG.training.checkpoint_seconds),
    params:
        settings=upstream_settings,
        training=TRAINING_SETTINGS,
        recipe_version=versions.TRAINING,
    message:
        "Pre-training {wildcards.backbone} on {wildcards.upstream}"
    script:
        "../workflow_scripts/pretrain.py"


rule finetune:
    input:
        subset="<results>/subsets/{task}/{budget}/seed{seed}.parquet",
        cohorts=task_cohorts,
        images=task_stores,
        weights=upstream_weights,
    output:
        predictions=f"<results>/runs/{RUN}/predictions.parquet",
        history=f"<results>/runs/{RUN}/history.parquet",
        validation=f"<results>/runs/{RUN}/validation.parquet",
        representation=f"<results>/runs/{RUN}/representation.npz",
        record=f"<results>/runs/{RUN}/run.json",
    log:
        f"<logs>/finetune/{RUN}.log",
    benchmark:
        f"<benchmarks>/finetune/{RUN}.tsv"
    threads: CONFIG.training.threads
    resources:
        mem_mb=CONFIG.training.memory_mb,
        runtime=CONFIG.training.runtime,
        gpu=GPUS,
        checkpoint_seconds=int(CONFIG.training.checkpoint_seconds),
    params:
        settings=run_settings,
        sources=task_sources,
        goes_on=goes_on,
        training=TRAINING_SETTINGS,
        recipe_version=versions.TRAINING,
    message:
        "Fine-tuning {wildcards.task}, {wildcards.backbone}, {wildcards.upstream}, {wildcards.initialisation}, "
        "{wildcards.recipe}, {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/finetune.py"


# Runs that others go on from keep their weights, which can be large.
use rule finetune as finetune_kept with:
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


ruleorder: finetune_kept > finetune
