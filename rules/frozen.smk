# Frozen results taken up again: what rules/metrics.smk makes of runs is made of the predictions that were kept.
RECORD = f"{FROZEN}/frozen.json"
FROZEN_FILES = sorted(str(path) for path in Path(FROZEN).rglob("*") if path.is_file())

if RECORD not in FROZEN_FILES:
    raise WorkflowError(
        f"{FROZEN} holds no frozen results of tier {TIER}. `snakemake freeze` makes them of finished ones; those of the "
        "demo come with the repository."
    )


# All files are inputs, so that whatever is changed is held against its checksum at the next call.
rule frozen_tables:
    input:
        RECORD,
        FROZEN_FILES,
    output:
        upstreams="<results>/upstreams.csv",
        provenance="<results>/provenance.parquet",
        similarity="<results>/similarity.parquet",
        quality=collect("<results>/quality/{cohort}.csv", cohort=COHORTS),
    log:
        "<logs>/frozen_tables.log",
    localrule: True
    message:
        "Holding {FROZEN} against its checksums"
    script:
        "../workflow_scripts/frozen_tables.py"


if THAWS:

    rule thaw_primary:
        input:
            RECORD,
            FROZEN_FILES,
        output:
            metrics="<results>/primary/metrics.parquet",
            replicates="<results>/primary/replicates.parquet",
        log:
            "<logs>/thaw_primary.log",
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            cells=SEEDS,
            primary=primary_metrics(),
            tasks={task: measured_of(task) for task in GROUP_OF_TASK},
            metrics=CONFIG.metrics.model_dump(),
        message:
            "Measuring the primary metrics of frozen predictions"
        script:
            "../workflow_scripts/thaw_primary.py"

    rule thaw_cells:
        input:
            record=RECORD,
            checked="<results>/upstreams.csv",
        output:
            **{kind: f"<results>/thawed/{{part}}/{kind}.parquet" for kind in COLLECTED},
        log:
            "<logs>/thaw_cells/{part}.log",
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            cells=part_cells,
            tasks={task: measured_of(task) for task in GROUP_OF_TASK},
            metrics=CONFIG.metrics.model_dump(),
        message:
            "Measuring frozen predictions, from cell {wildcards.part} on"
        script:
            "../workflow_scripts/thaw_cells.py"


rule thaw:
    input:
        **RESULT_TABLES,
        provenance="<results>/provenance.parquet",
    localrule: True
