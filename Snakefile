# Transfer learning at scale for medical imaging: from raw public datasets to figures, tables and verdicts.
# This file is the table of contents; each stage has its rules in rules/ and its scripts in workflow_scripts/.
from snakemake.utils import min_version

min_version("9.27")


# Used with --software-deployment-method apptainer alone; apptainer.def says how to build it.
container: "medtransfer.sif"


report: "report/workflow.rst"


include: "rules/common.smk"


pathvars:
    results=RESULTS,
    logs=LOGS,
    benchmarks=f"benchmarks/{Path(RESULTS).name}",


# From frozen results there is nothing upstream of the metrics.
FRESH = ["requests", "acquire", "data", "quality", "training", "metrics", "cluster", "audit"]
for stage in ["frozen"] if IS_FROZEN else FRESH:

    include: f"rules/{stage}.smk"


include: "rules/results.smk"
include: "rules/figures.smk"
include: "rules/notebooks.smk"
include: "rules/report.smk"
include: "rules/provenance.smk"
include: "rules/verify.smk"


wildcard_constraints:
    dataset="|".join(DATASETS),
    derived="|".join(CONFIG.cohorts) or "none",
    cohort="|".join(COHORTS),
    group="|".join(GROUPS),
    task="|".join(CONFIG.tasks),
    backbone="[a-z0-9]+",
    upstream="[a-z0-9_-]+",
    initialisation="|".join(["random", *INITIALISATIONS]),
    recipe="|".join(RECIPES),
    budget=r"pct[0-9.e-]+",
    seed="[0-9]+",
    size="[0-9]+",
    part="[0-9]+",


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
