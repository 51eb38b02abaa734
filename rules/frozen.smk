# Frozen results taken up again: what rules/metrics.smk makes of runs is made of the predictions that were kept.


rule frozen_tables:
    input:
        f"{FROZEN}/frozen.json",
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
            f"{FROZEN}/frozen.json",
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
            record=f"{FROZEN}/frozen.json",
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
