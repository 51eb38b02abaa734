# Transfer learning at scale for medical imaging: from raw public datasets to figures, tables and verdicts.
# This file is the table of contents; each stage has its rules in rules/ and its scripts in workflow_scripts/.
from snakemake.utils import min_version

min_version("9.27")


# Used with --software-deployment-method apptainer alone; apptainer.def says how to build it.
container: "medtransfer.sif"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/requests.smk"


pathvars:
    results=RESULTS,
    logs=f"logs/{TIER}",
    benchmarks=f"benchmarks/{TIER}",


include: "rules/acquire.smk"
include: "rules/data.smk"
include: "rules/quality.smk"
include: "rules/training.smk"
include: "rules/results.smk"
include: "rules/figures.smk"
include: "rules/cluster.smk"


wildcard_constraints:
    dataset="|".join(DATASETS),
    derived="|".join(CONFIG.cohorts) or "none",
    cohort="|".join(COHORTS),
    group="|".join(GROUPS),
    task="|".join(CONFIG.tasks),
    backbone="[a-z0-9]+",
    upstream="[a-z0-9_-]+",
    initialisation="random|pretrained|prefix[1-5]",
    recipe="|".join(RECIPES),
    budget=r"pct[0-9.e-]+",
    seed="[0-9]+",
    size="[0-9]+",


onstart:
    leftovers.sign(Path.cwd())
    if workflow.non_local_exec:
        leftovers.cancel_jobs(Path.cwd(), Path(RESULTS) / "scratch")


onsuccess:
    leftovers.sign_off(Path.cwd())


onerror:
    leftovers.sign_off(Path.cwd())


rule all:
    default_target: True
    input:
        f"{RESULTS}/report.html",
    localrule: True
