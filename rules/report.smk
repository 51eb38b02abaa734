# The report, from what figures, tables and verdicts are made of; Snakemake's own report on the workflow, on request.


rule report:
    input:
        claims="<results>/claims.csv",
        completeness="<results>/completeness.csv",
        provenance="<results>/provenance.parquet",
        quality=collect("<results>/quality/{cohort}.csv", cohort=COHORTS),
        figures=collect("<results>/figures/{name}.svg", name=FIGURES),
        drawn=collect("<results>/figures/{name}.csv", name=FIGURES),
        tables=collect("<results>/tables/{name}.md", name=TABLES),
        tabulated=collect("<results>/tables/{name}.csv", name=TABLES),
        captions=collect(
            "report/{name}.rst",
            name=["claims", "completeness", *FIGURES, *TABLES],
        ),
        template="report/report.html.j2",
        style="report/report.css",
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    localrule: True
    params:
        facts={
            "tier": TIER,
            "note": CONFIG.note,
            "studies": [study_settings(study) for study in CONFIG.studies],
            "figures": {name: shown.title for name, shown in FIGURES.items()},
            "tables": {name: shown.title for name, shown in TABLES.items()},
            "cohorts": {cohort: cohort_title(cohort) for cohort in COHORTS},
            "config": config,
        },
    message:
        "Making {output}"
    script:
        "../workflow_scripts/report.py"


# It shows jobs, and from frozen results there are none to show.
if not IS_FROZEN:

    rule workflow_report:
        input:
            rules.figures.input,
            rules.tables.input,
            collect("<results>/quality/{cohort}.html", cohort=COHORTS),
            "<results>/claims.csv",
            "<results>/completeness.csv",
        output:
            "<results>/workflow.html",
        log:
            "<logs>/workflow_report.log",
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            config=config,
        message:
            "Letting Snakemake report on the workflow"
        script:
            "../workflow_scripts/workflow_report.py"
