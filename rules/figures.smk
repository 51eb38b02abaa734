# Figures, tables and the report: nothing here needs a GPU or raw data.


rule scale_performance:
    input:
        metrics="<results>/metrics.parquet",
        replicates="<results>/replicates.parquet",
        completeness="<results>/completeness.csv",
    output:
        svg=report(
            "<results>/figures/scale_performance.svg",
            caption="../report/scale_performance.rst",
            category="Study scale",
            labels={"figure": "Performance against scale"},
        ),
        pdf="<results>/figures/scale_performance.pdf",
        csv="<results>/figures/scale_performance.csv",
    log:
        "<logs>/scale_performance.log",
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        study=study_settings("scale"),
    message:
        "Drawing performance against scale"
    script:
        "../figures/scale_performance.py"


rule scale_efficiency:
    input:
        metrics="<results>/metrics.parquet",
        replicates="<results>/replicates.parquet",
        completeness="<results>/completeness.csv",
    output:
        svg=report(
            "<results>/figures/scale_efficiency.svg",
            caption="../report/scale_efficiency.rst",
            category="Study scale",
            labels={"figure": "Performance against training fraction"},
        ),
        pdf="<results>/figures/scale_efficiency.pdf",
        csv="<results>/figures/scale_efficiency.csv",
    log:
        "<logs>/scale_efficiency.log",
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        study=study_settings("scale"),
    message:
        "Drawing performance against training fraction"
    script:
        "../figures/scale_efficiency.py"


rule scale_table:
    input:
        metrics="<results>/metrics.parquet",
        replicates="<results>/replicates.parquet",
        completeness="<results>/completeness.csv",
    output:
        csv=report(
            "<results>/tables/scale_table.csv",
            caption="../report/scale_table.rst",
            category="Study scale",
            labels={"figure": "Table of results"},
        ),
        markdown="<results>/tables/scale_table.md",
        latex="<results>/tables/scale_table.tex",
    log:
        "<logs>/scale_table.log",
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        study=study_settings("scale"),
    message:
        "Writing the table of results"
    script:
        "../figures/scale_table.py"


rule report:
    input:
        FIGURES,
        TABLES,
        collect("<results>/quality/{cohort}.html", cohort=COHORTS),
        "<results>/claims.csv",
        "<results>/completeness.csv",
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=config,
    message:
        "Making {output}"
    script:
        "../workflow_scripts/report.py"
