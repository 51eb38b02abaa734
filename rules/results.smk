# One results table, and verdicts: from fresh metrics, or from frozen ones.


rule run_table:
    output:
        "<results>/runs.csv",
    log:
        "<logs>/run_table.log",
    localrule: True
    params:
        studies={name: study.model_dump() for name, study in CONFIG.studies.items()},
        trials=CONFIG.trials,
    message:
        "Writing the table of all runs"
    script:
        "../workflow_scripts/run_table.py"


rule runs:
    input:
        "<results>/runs.csv",
    log:
        "<logs>/runs.log",
    localrule: True
    message:
        "All runs, with the arms of studies that use them"
    shell:
        "cat {input} 2> {log}"


rule completeness:
    input:
        runs="<results>/runs.csv",
        metrics=f"{FROZEN}/metrics.parquet" if IS_FROZEN else "<results>/metrics.parquet",
    output:
        report("<results>/completeness.csv", caption="../report/completeness.rst", category="Provenance"),
    log:
        "<logs>/completeness.log",
    localrule: True
    message:
        "Looking which runs are there"
    script:
        "../workflow_scripts/completeness.py"


rule results:
    input:
        **{kind: measured_tables(kind) for kind in COLLECTED},
    output:
        **{kind: f"<results>/{kind}.parquet" for kind in COLLECTED},
    log:
        "<logs>/results.log",
    resources:
        mem_mb=8000,
        runtime=60,
    message:
        "Collecting the results of {TIER}"
    script:
        "../workflow_scripts/results.py"


# What most figures show, apart from all else, which is a hundred times as much.
if not THAWS:

    rule primary:
        input:
            metrics="<results>/metrics.parquet",
            replicates="<results>/replicates.parquet",
        output:
            metrics="<results>/primary/metrics.parquet",
            replicates="<results>/primary/replicates.parquet",
        log:
            "<logs>/primary.log",
        resources:
            mem_mb=8000,
            runtime=30,
        params:
            metrics=primary_metrics(),
        message:
            "Taking out the primary metrics"
        script:
            "../workflow_scripts/primary.py"


rule claims:
    input:
        **RESULT_TABLES,
        claims="config/claims.yaml",
    output:
        report(
            "<results>/claims.csv",
            caption="../report/claims.rst",
            category="Verdicts",
        ),
    log:
        "<logs>/claims.log",
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        studies=[study_settings(study) for study in CONFIG.studies],
        metrics=CONFIG.metrics.model_dump(),
    message:
        "Judging the claims"
    script:
        "../workflow_scripts/claims.py"
