# From raw files to cohorts, image stores and subsets.


rule synthesise:
    output:
        raw=directory("<results>/raw/{dataset}"),
    log:
        "<logs>/synthesise/{dataset}.log",
    benchmark:
        "<benchmarks>/synthesise/{dataset}.tsv"
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        settings=synthetic_settings,
        recipe=versions.SYNTHETIC,
    message:
        "Drawing {wildcards.dataset}"
    script:
        "../workflow_scripts/synthesise.py"


rule read_dataset:
    input:
        raw=raw_folder,
    output:
        listed="<results>/readings/{dataset}.parquet",
        rejected="<results>/readings/{dataset}.rejected.csv",
        checked="<results>/readings/{dataset}.checked.csv",
    log:
        "<logs>/read_dataset/{dataset}.log",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        reader=reading_reader,
        policies=reading_policies,
        card=dataset_card,
        allow_partial=CONFIG.decoding.allow_partial,
    message:
        "Reading the tables of {wildcards.dataset}"
    script:
        "../workflow_scripts/read_dataset.py"


rule image_store:
    input:
        raw=raw_folder,
        listed="<results>/readings/{dataset}.parquet",
    output:
        images="<results>/images/{dataset}-{size}.npy",
        facts="<results>/images/{dataset}-{size}.json",
        rejected="<results>/images/{dataset}-{size}.rejected.csv",
        notes="<results>/images/{dataset}-{size}.notes.csv",
    log:
        "<logs>/image_store/{dataset}-{size}.log",
    benchmark:
        "<benchmarks>/image_store/{dataset}-{size}.tsv"
    threads: CONFIG.decoding.threads
    resources:
        mem_mb=8000,
        runtime=store_minutes,
    params:
        reader=reading_reader,
        preparation=image_preparation,
        recipe=versions.IMAGE_STORE,
    message:
        "Decoding the images of {wildcards.dataset} at {wildcards.size} pixels"
    script:
        "../workflow_scripts/image_store.py"


rule cohort:
    input:
        listed="<results>/readings/{dataset}.parquet",
        unreadable=decoding_failures,
        rejected="<results>/readings/{dataset}.rejected.csv",
        exclusions=exclusions,
    output:
        cohort="<results>/cohorts/{dataset}.parquet",
        rejected="<results>/cohorts/{dataset}.rejected.csv",
    log:
        "<logs>/cohort/{dataset}.log",
    resources:
        mem_mb=4000,
        runtime=10,
    message:
        "Checking the cohort {wildcards.dataset}"
    script:
        "../workflow_scripts/cohort.py"


rule derived_cohort:
    input:
        derived_sources,
    output:
        cohort="<results>/cohorts/{derived}.parquet",
        rejected="<results>/cohorts/{derived}.rejected.csv",
    log:
        "<logs>/derived_cohort/{derived}.log",
    resources:
        mem_mb=8000,
        runtime=10,
    params:
        definition=derived_settings,
    message:
        "Putting the cohort {wildcards.derived} together"
    script:
        "../workflow_scripts/derived_cohort.py"


rule subset:
    input:
        cohort=id_cohort,
        leaks=task_leaks,
    output:
        "<results>/subsets/{task}/{budget}/seed{seed}.parquet",
    log:
        "<logs>/subset/{task}/{budget}/seed{seed}.log",
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        task=subset_settings,
    message:
        "Choosing the patients of {wildcards.task}, {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/subset.py"
