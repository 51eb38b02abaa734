# What is measured of runs, the records of them all, and the frozen results made of both.


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


rule provenance:
    input:
        all_predictions,
        upstream_records,
    output:
        "<results>/provenance.parquet",
    log:
        "<logs>/provenance.log",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        runs=run_keys,
        networks=networks_of(PretrainedHere),
        results=results_folder,
    message:
        "Collecting the records of all runs"
    script:
        "../workflow_scripts/provenance.py"


# No output is declared: what is frozen lies where no rule writes, and is written once.
rule freeze:
    input:
        **RESULT_TABLES,
        claims="<results>/claims.csv",
        provenance="<results>/provenance.parquet",
        quality=collect("<results>/quality/{cohort}.csv", cohort=COHORTS),
    log:
        "<logs>/freeze.log",
    localrule: True
    params:
        results=results_folder,
        folder=FROZEN,
        tier=TIER,
        config=config,
        cohorts=COHORTS,
        groups=subgroup_columns(),
        derived=CONFIG.freeze_derived,
        restricted=restricted_datasets(),
    message:
        "Freezing the results of {TIER}"
    script:
        "../workflow_scripts/freeze.py"
