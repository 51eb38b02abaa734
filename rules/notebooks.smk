# Every figure and table as an executed notebook, from what its rule is made from.
SHOWN = {**FIGURES, **TABLES}


rule notebook:
    input:
        unpack(lookup("{name}", within={name: shown.tables(RESULTS) for name, shown in SHOWN.items()})),
        script="figures/{name}.py",
        template="report/notebook.html.j2",
    output:
        "<results>/notebooks/{name}.html",
    log:
        "<logs>/notebook/{name}.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        title=lookup("{name}", within={name: shown.title for name, shown in SHOWN.items()}),
        study=study_settings("scale"),
    message:
        "Running {wildcards.name} as a notebook"
    script:
        "../workflow_scripts/notebook.py"


rule notebooks:
    input:
        collect("<results>/notebooks/{name}.html", name=SHOWN),
    localrule: True
