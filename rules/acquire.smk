# `snakemake acquire`: fetch the datasets of this tier, or say what a person has to do.


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


rule acquire:
    input:
        collect("<results>/acquired/{dataset}.json", dataset=RAW_DATASETS),
    log:
        "<logs>/acquire/acquire.log",
    localrule: True
    message:
        "Telling which datasets are there"
    script:
        "../workflow_scripts/acquire.py"
