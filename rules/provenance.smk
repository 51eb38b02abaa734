# Where results come from: `snakemake explain --config of=<run, claim or number>`, and the whole tier as an RO-Crate.

import os

ASKED = {
    "tier": TIER,
    "results": results_folder,
    "frozen": FROZEN if IS_FROZEN else None,
    "configfile": " ".join(map(os.path.relpath, workflow.configfiles)) or "config/demo.yaml",
    "studies": [study_settings(study) for study in CONFIG.studies],
    "upstreams": {name: upstream.model_dump() for name, upstream in CONFIG.upstreams.items()},
}


# Of fresh results it takes what is there: as inputs, files that are not would plan their training.
rule explain:
    input:
        (
            collect(
                "<results>/{name}",
                name=["provenance.parquet", "metrics.parquet", "completeness.csv", "claims.csv"],
            )
            if IS_FROZEN
            else []
        ),
    log:
        "<logs>/explain.log",
    localrule: True
    params:
        **ASKED,
        of=CONFIG.of,
    message:
        "Looking up where it comes from"
    script:
        "../workflow_scripts/explain.py"


rule crate:
    input:
        results=collect(
            "<results>/{name}",
            name=["metrics.parquet", "provenance.parquet", "completeness.csv", "upstreams.csv", "claims.csv"],
        ),
        figures=collect(
            "<results>/figures/{name}.{kind}",
            name=FIGURES,
            kind=["svg", "pdf", "csv"],
        ),
        tables=collect(
            "<results>/tables/{name}.{kind}",
            name=TABLES,
            kind=["csv", "md", "tex"],
        ),
        sources=[
            *("Snakefile", "CITATION.cff", "LICENSE", "README.md", "requirements.lock", "config/claims.yaml"),
            *sorted(map(str, Path("rules").glob("*.smk"))),
        ],
    output:
        directory("<results>/crate"),
    log:
        "<logs>/crate.log",
    localrule: True
    params:
        **ASKED,
        config={key: value for key, value in config.items() if key not in ("of", "results")},
    message:
        "Packing {TIER} into an RO-Crate"
    script:
        "../workflow_scripts/crate.py"
