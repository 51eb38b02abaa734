# What is still to be computed, what it will take, what it took, and how far it is. No rule here declares its table as an
# output, so that every call looks again.


rule plan:
    log:
        "<logs>/plan.log",
    localrule: True
    params:
        jobs=planned_jobs,
        tier=TIER,
        basis=f"{CONFIG.costs} for {COSTS.device if TRAINING.accelerator == 'cuda' else 'a CPU'}",
        too_large=too_large,
        table=f"{RESULTS}/plan.csv",
    message:
        "What is still to be computed"
    script:
        "../workflow_scripts/plan.py"


rule recalibrate_costs:
    log:
        "<logs>/recalibrate_costs.log",
    localrule: True
    params:
        jobs=planned_training,
        costs=CONFIG.costs,
        table=f"{RESULTS}/costs.yaml",
    message:
        "Comparing what finished runs took with the cost table"
    script:
        "../workflow_scripts/recalibrate_costs.py"


rule status:
    log:
        "<logs>/status.log",
    localrule: True
    params:
        jobs=planned_training,
        images=trained_images,
        results=RESULTS,
        table=f"{RESULTS}/status.csv",
    message:
        "How far training is"
    script:
        "../workflow_scripts/status.py"
