# Figures, tables and the report: nothing here needs a GPU or raw data. Scripts are named through params, since they are
# looked up when a job runs: the loop's variable would then be that of its last turn.


for figure, title in FIGURES.items():

    rule:
        name:
            figure
        input:
            **RESULT_TABLES,
        output:
            svg=report(
                f"<results>/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category="Study scale, figures",
                labels={"figure": title},
            ),
            pdf=f"<results>/figures/{figure}.pdf",
            csv=f"<results>/figures/{figure}.csv",
        log:
            f"<logs>/{figure}.log",
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            name=figure,
            study=study_settings("scale"),
        message:
            f"Drawing {figure}"
        script:
            "../figures/{params.name}.py"


for table, title in TABLES.items():

    rule:
        name:
            table
        input:
            **RESULT_TABLES,
        output:
            csv=report(
                f"<results>/tables/{table}.csv",
                caption=f"../report/{table}.rst",
                category="Study scale, tables",
                labels={"table": title},
            ),
            markdown=f"<results>/tables/{table}.md",
            latex=f"<results>/tables/{table}.tex",
        log:
            f"<logs>/{table}.log",
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            name=table,
            study=study_settings("scale"),
        message:
            f"Writing {table}"
        script:
            "../figures/{params.name}.py"


rule scale_verdicts:
    input:
        verdicts="<results>/claims.csv",
    output:
        svg=report(
            "<results>/figures/scale_verdicts.svg",
            caption="../report/scale_verdicts.rst",
            category="Verdicts",
            labels={"figure": "Contrasts and verdicts"},
        ),
        pdf="<results>/figures/scale_verdicts.pdf",
        csv="<results>/figures/scale_verdicts.csv",
    log:
        "<logs>/scale_verdicts.log",
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        study=study_settings("scale"),
    message:
        "Drawing the verdicts"
    script:
        "../figures/scale_verdicts.py"


rule scale_claims:
    input:
        verdicts="<results>/claims.csv",
    output:
        csv=report(
            "<results>/tables/scale_claims.csv",
            caption="../report/scale_claims.rst",
            category="Verdicts",
            labels={"table": "Claims"},
        ),
        markdown="<results>/tables/scale_claims.md",
        latex="<results>/tables/scale_claims.tex",
    log:
        "<logs>/scale_claims.log",
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        study=study_settings("scale"),
    message:
        "Writing the table of verdicts"
    script:
        "../figures/scale_claims.py"


rule figures:
    input:
        collect("<results>/figures/{figure}.svg", figure=[*FIGURES, "scale_verdicts"]),
    localrule: True


rule tables:
    input:
        collect("<results>/tables/{table}.md", table=[*TABLES, "scale_claims"]),
    localrule: True


rule report:
    input:
        rules.figures.input,
        rules.tables.input,
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
