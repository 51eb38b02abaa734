# `snakemake acquire`: fetch the datasets and published weights of this tier, or say what a person has to do. It is for
# the machine that jobs are submitted from: those that train need no network.


# Its output is temporary, so that every call looks again.
rule acquire_dataset:
    output:
        temp("<results>/acquired/{dataset}.json"),
    log:
        "<logs>/acquire_dataset/{dataset}.log",
    retries: 0
    localrule: True
    params:
        card=dataset_card,
        raw=acquired_folder,
    message:
        "Looking for {wildcards.dataset}; progress of downloads stands in {log}"
    script:
        "../workflow_scripts/acquire_dataset.py"


rule acquire_weights:
    output:
        temp("<results>/acquired/weights/{upstream}/{backbone}.json"),
    log:
        "<logs>/acquire_weights/{upstream}/{backbone}.log",
    retries: 0
    localrule: True
    params:
        path=lookup("upstreams/{upstream}/weights/{backbone}", within=config),
        url=lookup("upstreams/{upstream}/url", within=config, default=None),
        home=lookup("upstreams/{upstream}/home", within=config),
    message:
        "Looking for weights of {wildcards.backbone}, {wildcards.upstream}; progress of the download stands in {log}"
    script:
        "../workflow_scripts/acquire_weights.py"


rule acquire:
    input:
        collect("<results>/acquired/{dataset}.json", dataset=RAW_DATASETS),
        collect("<results>/acquired/weights/{weights}.json", weights=RELEASED_WEIGHTS),
    log:
        "<logs>/acquire/acquire.log",
    localrule: True
    message:
        "Telling what is there"
    script:
        "../workflow_scripts/acquire.py"
