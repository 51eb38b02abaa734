# Figures and tables: nothing here needs a GPU or raw data. A script is also an input of its rule, whose edit draws that
# figure alone again; so is what all scripts draw with. As scripts they are named through params, since they are looked up
# when a job runs: the loop's variable would then be that of its last turn.
PLOTTING = sorted(map(str, Path("workflow_scripts/medtransfer/plotting").glob("*.py")))


for figure, shown in FIGURES.items():

    rule:
        name:
            f"fig_{figure}"
        input:
            f"figures/{figure}.py",
            PLOTTING,
            **shown.tables("<results>"),
        output:
            svg=report(
                f"<results>/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category=shown.category,
                subcategory="Figures",
                labels={"figure": shown.title},
            ),
            pdf=f"<results>/figures/{figure}.pdf",
            csv=f"<results>/figures/{figure}.csv",
        log:
            f"<logs>/fig_{figure}.log",
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


for table, shown in TABLES.items():

    rule:
        name:
            f"fig_{table}"
        input:
            f"figures/{table}.py",
            PLOTTING,
            **shown.tables("<results>"),
        output:
            csv=report(
                f"<results>/tables/{table}.csv",
                caption=f"../report/{table}.rst",
                category=shown.category,
                subcategory="Tables",
                labels={"table": shown.title},
            ),
            markdown=f"<results>/tables/{table}.md",
            latex=f"<results>/tables/{table}.tex",
        log:
            f"<logs>/fig_{table}.log",
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


rule figures:
    input:
        collect("<results>/figures/{figure}.svg", figure=FIGURES),
    localrule: True


rule tables:
    input:
        collect("<results>/tables/{table}.md", table=TABLES),
    localrule: True
