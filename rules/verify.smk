# Regenerated against frozen results. The tables are no outputs: they are there to be read when the job ends with an error
# because something deviates, and every call looks again.


rule verify:
    input:
        "<results>/metrics.parquet",
        "<results>/completeness.csv",
        "<results>/claims.csv",
        "<results>/provenance.parquet",
        published="config/published.csv",
        template="report/verify.html.j2",
        style="report/report.css",
    log:
        "<logs>/verify.log",
    retries: 0
    localrule: True
    params:
        results=results_folder,
        frozen=FROZEN,
        config=config,
        remeasured=IS_FROZEN,
    message:
        "Comparing {params.results} with {params.frozen}"
    script:
        "../workflow_scripts/verify.py"
