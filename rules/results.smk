# From predictions to metrics with intervals, one results table, and verdicts.


rule metrics:
    input:
        predictions=cell_predictions,
        cohorts=task_cohorts,
    output:
        metrics=f"<results>/runs/{CELL}/metrics.parquet",
        replicates=f"<results>/runs/{CELL}/replicates.parquet",
    log:
        f"<logs>/metrics/{CELL}.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        seeds=cell_seeds,
        cohort_names=cell_cohorts,
        task=evaluation_settings,
        metrics=CONFIG.metrics.model_dump(),
    message:
        "Measuring {wildcards.task}, {wildcards.backbone}, {wildcards.upstream}, {wildcards.budget}"
    script:
        "../workflow_scripts/metrics.py"


rule run_table:
    output:
        "<results>/runs.csv",
    log:
        "<logs>/run_table.log",
    localrule: True
    params:
        studies={name: study.model_dump(include={"grids", "roles"}) for name, study in CONFIG.studies.items()},
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
        "All runs, with the studies that use them"
    shell:
        "cat {input} 2> {log}"


rule results:
    input:
        runs="<results>/runs.csv",
        metrics=all_cells("metrics.parquet"),
        replicates=all_cells("replicates.parquet"),
    output:
        metrics="<results>/metrics.parquet",
        replicates="<results>/replicates.parquet",
        completeness=report("<results>/completeness.csv", caption="../report/completeness.rst", category="Provenance"),
    log:
        "<logs>/results.log",
    resources:
        mem_mb=8000,
        runtime=30,
    message:
        "Collecting the results of {TIER}"
    script:
        "../workflow_scripts/results.py"


rule claims:
    input:
        claims="config/claims.yaml",
        runs="<results>/runs.csv",
        metrics="<results>/metrics.parquet",
        replicates="<results>/replicates.parquet",
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
