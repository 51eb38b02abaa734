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
        recipe=versions.TRAINING,
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
        predictions=f"<results>/runs/{CELL}/seed{{seed}}/predictions.parquet",
        history=f"<results>/runs/{CELL}/seed{{seed}}/history.parquet",
        record=f"<results>/runs/{CELL}/seed{{seed}}/run.json",
    log:
        f"<logs>/finetune/{CELL}/seed{{seed}}.log",
    benchmark:
        f"<benchmarks>/finetune/{CELL}/seed{{seed}}.tsv"
    threads: CONFIG.training.threads
    resources:
        mem_mb=CONFIG.training.memory_mb,
        runtime=CONFIG.training.runtime,
        gpu=GPUS,
        checkpoint_seconds=int(CONFIG.training.checkpoint_seconds),
    params:
        task=task_settings,
        sources=task_sources,
        resolution=run_resolution,
        recipe_settings=CONFIG.recipe.model_dump(),
        training=TRAINING_SETTINGS,
        recipe=versions.TRAINING,
    message:
        "Fine-tuning {wildcards.task}, {wildcards.backbone}, {wildcards.upstream}, {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/finetune.py"
