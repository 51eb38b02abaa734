# From predictions to metrics with intervals, one results table, and verdicts.


# The other files of a run, which are made with its predictions, are read as well; naming them all makes planning slower.
rule metrics:
    input:
        predictions=cell_predictions,
        cohorts=task_cohorts,
    output:
        metrics=f"<results>/runs/{CELL}/metrics.parquet",
        replicates=f"<results>/runs/{CELL}/replicates.parquet",
        curves=f"<results>/runs/{CELL}/curves.parquet",
        diagrams=f"<results>/runs/{CELL}/diagrams.parquet",
        similarity=f"<results>/runs/{CELL}/similarity.parquet",
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
        "Measuring {wildcards.task}, {wildcards.backbone}, {wildcards.upstream}, {wildcards.initialisation}, "
        "{wildcards.recipe}, {wildcards.budget}"
    script:
        "../workflow_scripts/metrics.py"


rule run_table:
    output:
        "<results>/runs.csv",
    log:
        "<logs>/run_table.log",
    localrule: True
    params:
        studies={name: study.model_dump() for name, study in CONFIG.studies.items()},
        trials=TRIALS,
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


rule upstreams:
    input:
        upstream_records,
    output:
        "<results>/upstreams.csv",
    log:
        "<logs>/upstreams.log",
    localrule: True
    params:
        released=plan.released_facts(CONFIG),
        backbones=list(dict.fromkeys(run.backbone for run in RUNS)),
    message:
        "Writing what the upstreams were trained on"
    script:
        "../workflow_scripts/upstreams.py"


rule results:
    input:
        runs="<results>/runs.csv",
        metrics=all_cells("metrics.parquet"),
        replicates=all_cells("replicates.parquet"),
        curves=all_cells("curves.parquet"),
        diagrams=all_cells("diagrams.parquet"),
        similarity=all_cells("similarity.parquet"),
    output:
        metrics="<results>/metrics.parquet",
        replicates="<results>/replicates.parquet",
        curves="<results>/curves.parquet",
        diagrams="<results>/diagrams.parquet",
        similarity="<results>/similarity.parquet",
        completeness=report("<results>/completeness.csv", caption="../report/completeness.rst", category="Provenance"),
    log:
        "<logs>/results.log",
    resources:
        mem_mb=8000,
        runtime=60,
    message:
        "Collecting the results of {TIER}"
    script:
        "../workflow_scripts/results.py"


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
