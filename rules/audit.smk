# `snakemake audit --config 'audit={runs: 5, seed: 7}'`: a sample of runs, drawn by the reviewer's seed, is trained again
# and held against the frozen record. Nothing of the tier is an input, and no table is a declared output: every
# call looks again, and what it found stays when it fails.


rule audit:
    input:
        template="report/audit.html.j2",
        style="report/report.css",
    log:
        "<logs>/audit.log",
    retries: 0
    localrule: True
    params:
        config=config,
        record=FROZEN,
        results=RESULTS,
        cores=own_cores,
    message:
        "Training a sample of runs again; progress stands in {log}"
    script:
        "../workflow_scripts/audit.py"
