# What is in the cohorts, and what should not be: duplicated images, leaks from training into tests, a page for each.
# A group is a task, whose cohorts are compared with one another, or a dataset to pre-train on.


rule duplicates:
    input:
        cohorts=group_cohorts,
        images=group_stores,
    output:
        duplicates="<results>/quality/{group}.duplicates.csv",
        leaks="<results>/quality/{group}.leaks.csv",
    log:
        "<logs>/duplicates/{group}.log",
    benchmark:
        "<benchmarks>/duplicates/{group}.tsv"
    threads: CONFIG.decoding.threads
    resources:
        mem_mb=8000,
        runtime=duplicates_minutes,
    params:
        settings=group_settings,
        recipe=versions.DUPLICATES,
    message:
        "Looking for duplicated images in the cohorts of {wildcards.group}"
    script:
        "../workflow_scripts/duplicates.py"


rule cohort_quality:
    input:
        cohort="<results>/cohorts/{cohort}.parquet",
        images=quality_stores,
        rejected=quality_rejections,
        notes=quality_notes,
        duplicates=quality_duplicates,
        template="report/cohort.html.j2",
    output:
        page=report(
            "<results>/quality/{cohort}.html",
            caption="../report/cohort_quality.rst",
            category="Cohorts",
            labels={"cohort": "{cohort}"},
        ),
        table="<results>/quality/{cohort}.csv",
    log:
        "<logs>/cohort_quality/{cohort}.log",
    wildcard_constraints:
        cohort="[a-z0-9_-]+",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        facts=quality_facts,
        datasets=quality_datasets,
        sources=quality_sources,
    message:
        "Reporting what is in the cohort {wildcards.cohort}"
    script:
        "../workflow_scripts/cohort_quality.py"


rule cohort_report:
    input:
        collect("<results>/quality/{cohort}.html", cohort=COHORTS),
    localrule: True
    message:
        "The pages of all cohorts"
