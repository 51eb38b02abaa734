# What rules need to know of the configuration and of paths. Everything here runs again in every cluster job,
# hence nothing imports torch, timm or a plotting library.
import gc
import re
import sys
from functools import cache
from pathlib import Path

import yaml

# Planning makes millions of objects that stay: the collector would look through them again and again.
gc.set_threshold(50_000)

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

import snakemake_executor_plugin_slurm as slurm_executor
from medtransfer import plan, versions
from medtransfer.compute import leftovers, outages
from medtransfer.config import NO_UPSTREAM, Finetuned, PretrainedHere, Released, load
from medtransfer.datasets.card import load_card, missing_raw_message
from medtransfer.errors import UserError
from medtransfer.models.initialisations import INITIALISATIONS
from medtransfer.runs import KEYS, run_table
from medtransfer.training.recipe import named_recipes, resolution
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# Before Snakemake looks for its lock; jobs, which run Snakemake as well, have none.
if workflow.is_main_process:
    leftovers.unlock(Path.cwd())
    outages.outlast(slurm_executor)

# The demo is what runs when no configuration file is named. It is not a `configfile:`, since every other would be
# merged into that.
DEMO = Path(workflow.basedir) / "config" / "demo.yaml"
if not workflow.configfiles:
    config = {**yaml.safe_load(DEMO.read_text()), **config}
try:
    CONFIG = load(config, source=", ".join(map(str, workflow.configfiles)) or "config/demo.yaml")
except UserError as error:
    raise WorkflowError(str(error)) from None

TIER = CONFIG.tier
IS_FROZEN = CONFIG.results == "frozen"
FROZEN = f"figures/frozen/{TIER}"
RESULTS = CONFIG.folder or f"results/{TIER}{'-frozen' if IS_FROZEN else ''}"
LOGS = f"logs/{Path(RESULTS).name}"
RECIPES = named_recipes(CONFIG.recipe, CONFIG.recipes, CONFIG.search)
RUNS = run_table(CONFIG.studies, CONFIG.trials)
CELLS = list(dict.fromkeys(run.cell for run in RUNS))
SEEDS = {}
for run in RUNS:
    SEEDS.setdefault(run.cell, []).append(run.seed)
CELL = "{task}/{backbone}/{upstream}/{initialisation}/{recipe}/{budget}"
RUN = f"{CELL}/seed{{seed}}"


def networks_of(source):
    """Upstream and backbone of the networks of one source (`Released`, `PretrainedHere`) that runs start from."""
    pairs = dict.fromkeys((run.upstream, run.backbone) for run in RUNS)
    return [pair for pair in pairs if isinstance(CONFIG.upstreams.get(pair[0]), source)]


def reader_name(dataset):
    """The reader of a dataset: the one that the configuration names, or the one of the dataset's name."""
    return (dataset in CONFIG.datasets and CONFIG.datasets[dataset].reader) or dataset


def card_path(dataset):
    return f"config/datasets/{reader_name(dataset)}.yaml"


@cache
def card(dataset):
    """What is known of a dataset: title, home, licence, files."""
    return load_card(Path(workflow.basedir) / card_path(dataset))


def dataset_card(wildcards):
    """The name of a dataset's card, not its content: better words in a card re-run nothing."""
    return card_path(wildcards.dataset)


@cache
def cohort_title(cohort):
    return plan.cohort_title(CONFIG, cohort, Path(workflow.basedir) / "config" / "datasets")


def raw_path(dataset):
    """Where a dataset's raw files should lie."""
    return f"{CONFIG.raw_root}/{(dataset in CONFIG.datasets and CONFIG.datasets[dataset].folder) or dataset}"


def acquired_folder(wildcards):
    return raw_path(wildcards.dataset)


def raw_folder(wildcards):
    """A dataset's raw files: drawn by the workflow, or lying where the user has put them."""
    dataset = wildcards.dataset
    if dataset in CONFIG.synthetic:
        return f"{RESULTS}/raw/{dataset}"
    return ancient(raw_path(dataset)) if not raw_is_missing(dataset) else planned_without()


def raw_is_missing(dataset):
    return not Path(raw_path(dataset)).is_dir() and not Path(f"{RESULTS}/cohorts/{dataset}.parquet").exists()


def planned_without():
    """No input, in a dry run, which says what is missing; any other run stops and says so."""
    if not workflow.dryrun:
        raise WorkflowError(missing_message())
    warn_of_missing()
    return []


@cache
def warn_of_missing():
    logger.warning(missing_message())


def missing_message():
    """Everything that this tier reads and that is not there: one list."""
    datasets = [missing_raw_message(card(name), Path(raw_path(name))) for name in RAW_DATASETS if raw_is_missing(name)]
    weights = [
        f"{path}: weights of {backbone}, {name}; fetch them from {CONFIG.upstreams[name].home}."
        for name, backbone in networks_of(Released)
        if not Path(path := CONFIG.upstreams[name].weights[backbone]).exists()
    ]
    missing = [*datasets, *weights]
    return "\n\n".join([f"{len(missing)} things that tier {TIER} reads are not there.", *missing])


def synthetic_settings(wildcards):
    return CONFIG.synthetic[wildcards.dataset].model_dump()


def task_resolution(task, backbone):
    return CONFIG.tasks[task].resolution or resolution(CONFIG.recipe.hyperrule, backbone)


def store_sizes():
    """For each dataset the sizes its images are stored at."""
    sizes = {}
    for run in RUNS:
        task = CONFIG.tasks[run.task]
        for cohort in [task.id_cohort, *task.ood_cohorts]:
            for dataset in CONFIG.sources(cohort):
                sizes.setdefault(dataset, {})[task_resolution(run.task, run.backbone).resize] = None
    for upstream in CONFIG.upstreams.values():
        if isinstance(upstream, PretrainedHere):
            sizes.setdefault(upstream.dataset, {})[upstream.resolution.resize] = None
    return {dataset: list(found) for dataset, found in sizes.items()}


STORE_SIZES = store_sizes()
DATASETS = list(STORE_SIZES)
RAW_DATASETS = [dataset for dataset in DATASETS if dataset not in CONFIG.synthetic]


def decoding_failures(wildcards):
    return first_stores([wildcards.dataset], "rejected.csv")[0]


def reading_reader(wildcards):
    return reader_name(wildcards.dataset)


def reading_policies(wildcards):
    return CONFIG.datasets[wildcards.dataset].policies if wildcards.dataset in CONFIG.datasets else {}


def image_preparation(wildcards):
    """How the configuration wants a dataset's images prepared; "" leaves that to its reader."""
    return (wildcards.dataset in CONFIG.datasets and CONFIG.datasets[wildcards.dataset].preparation) or ""


def exclusions(wildcards):
    """The tables of excluded images that name a dataset."""
    for path in CONFIG.exclude:
        if not Path(path).is_file():
            raise WorkflowError(f"The key exclude names {path}, which is not there.")
    return [path for path in CONFIG.exclude if f"\n{wildcards.dataset}," in Path(path).read_text()]


def derived_settings(wildcards):
    return CONFIG.cohorts[wildcards.derived].model_dump(exclude={"title"})


def derived_sources(wildcards):
    return cohort_tables(CONFIG.sources(wildcards.derived))


def run_settings(wildcards):
    """What the course of a run depends on, beside its seed and its inputs."""
    return {
        "task": task_settings(wildcards),
        "recipe": RECIPES[wildcards.recipe].model_dump(),
        "resolution": run_resolution(wildcards),
        "tracking": CONFIG.tracking.model_dump(),
    }


def goes_on(wildcards):
    """Whether a run starts from a network that was fine-tuned on the same labels elsewhere."""
    return isinstance(CONFIG.upstreams.get(wildcards.upstream), Finetuned)


def task_settings(wildcards):
    """A task's settings without those that training does not depend on: its name and what is reported of it."""
    return CONFIG.tasks[wildcards.task].model_dump(exclude=plan.REPORTED)


def subset_settings(wildcards):
    """What the choice of patients depends on: which rows a task uses, and what their targets are."""
    relevant = {"kind", "labels", "id_cohort", "views", "uncertain", "uncertain_overrides", "blank"}
    return CONFIG.tasks[wildcards.task].model_dump(include=relevant)


def evaluation_settings(wildcards):
    return measured_of(wildcards.task)


def measured_of(task):
    """What the measurement of predictions depends on of a task."""
    return CONFIG.tasks[task].model_dump(include={"kind", "labels", "id_cohort", "subgroups", "intersections"})


def run_resolution(wildcards):
    return task_resolution(wildcards.task, wildcards.backbone).model_dump()


def cohort_names(task):
    return plan.cohort_names(CONFIG, task)


def duplicate_groups():
    """Where duplicates are looked for: among the cohorts of a task, and in each dataset to pre-train on, by name."""
    tasks = {group: cohort_names(group) for group in GROUP_OF_TASK.values()}
    upstreams = [upstream for upstream in CONFIG.upstreams.values() if isinstance(upstream, PretrainedHere)]
    return tasks | {upstream.dataset: [upstream.dataset] for upstream in upstreams}


GROUP_OF_TASK = plan.task_groups(CONFIG, RUNS)
GROUPS = duplicate_groups()
COHORTS = list(dict.fromkeys(cohort for cohorts in GROUPS.values() for cohort in cohorts))


def cohort_sources(cohorts):
    """The datasets that some cohorts are made of, each once."""
    return list(dict.fromkeys(dataset for cohort in cohorts for dataset in CONFIG.sources(cohort)))


def cohort_tables(cohorts):
    return [f"{RESULTS}/cohorts/{cohort}.parquet" for cohort in cohorts]


def first_stores(datasets, suffix="npy"):
    """A store of each dataset, or a table beside it: that of the size which its cohort needs anyway."""
    return [f"{RESULTS}/images/{dataset}-{STORE_SIZES[dataset][0]}.{suffix}" for dataset in datasets]


def group_settings(wildcards):
    cohorts = GROUPS[wildcards.group]
    return {"cohorts": cohorts, "datasets": cohort_sources(cohorts), "train": cohorts[0], "tests": cohorts}


def task_leaks(wildcards):
    return f"{RESULTS}/quality/{GROUP_OF_TASK[wildcards.task]}.leaks.csv"


def group_cohorts(wildcards):
    return cohort_tables(GROUPS[wildcards.group])


def group_stores(wildcards):
    return first_stores(cohort_sources(GROUPS[wildcards.group]))


def groups_of(wildcards):
    return [group for group, cohorts in GROUPS.items() if wildcards.cohort in cohorts]


def quality_datasets(wildcards):
    """The datasets of a cohort and of those that it may share images with."""
    return cohort_sources(cohort for group in groups_of(wildcards) for cohort in GROUPS[group])


def quality_sources(wildcards):
    return CONFIG.sources(wildcards.cohort)


def quality_stores(wildcards):
    return first_stores(quality_datasets(wildcards))


def quality_rejections(wildcards):
    cohorts = dict.fromkeys([*quality_sources(wildcards), wildcards.cohort])
    return [f"{RESULTS}/cohorts/{cohort}.rejected.csv" for cohort in cohorts]


def quality_notes(wildcards):
    return first_stores(quality_sources(wildcards), "notes.csv")


def quality_duplicates(wildcards):
    return [f"{RESULTS}/quality/{group}.duplicates.csv" for group in groups_of(wildcards)]


def quality_facts(wildcards):
    return {"title": cohort_title(wildcards.cohort), "note": CONFIG.note}


def task_cohorts(wildcards):
    return cohort_tables(cohort_names(wildcards.task))


def task_sources(wildcards):
    return cohort_sources(cohort_names(wildcards.task))


def id_cohort(wildcards):
    return task_cohorts(wildcards)[0]


def task_stores(wildcards):
    size = task_resolution(wildcards.task, wildcards.backbone).resize
    return [f"{RESULTS}/images/{dataset}-{size}.npy" for dataset in task_sources(wildcards)]


def upstream_weights(wildcards):
    """The weights a run starts from, as a list: empty for random ones."""
    if wildcards.upstream == NO_UPSTREAM:
        return []
    upstream = CONFIG.upstreams[wildcards.upstream]
    if isinstance(upstream, PretrainedHere):
        return [f"{RESULTS}/upstream/{wildcards.upstream}/{wildcards.backbone}.safetensors"]
    if isinstance(upstream, Finetuned):
        origin = plan.origin(upstream, wildcards.backbone, wildcards.seed)
        return [f"{RESULTS}/runs/{origin.path}/weights.safetensors"]
    path = Path(upstream.weights[wildcards.backbone])
    finished = Path(f"{RESULTS}/runs/{RUN.format(**wildcards)}/predictions.parquet")
    return [ancient(str(path))] if path.exists() or finished.exists() else planned_without()


def kept_runs():
    """The keys of those runs whose weights other runs start from, as patterns; no run's, where there are none."""
    kept = plan.origins(CONFIG, RUNS)
    keys = ("task", "backbone", "upstream", "initialisation", "recipe", "budget")
    return {key: "|".join(sorted({getattr(run, key) for run in kept})) or "(?!)" for key in keys}


KEPT = kept_runs()


def is_kept(run):
    return all(re.fullmatch(pattern, getattr(run, key)) for key, pattern in KEPT.items())


RELEASED_WEIGHTS = [f"{upstream}/{backbone}" for upstream, backbone in networks_of(Released)]


def upstream_settings(wildcards):
    return CONFIG.upstreams[wildcards.upstream].model_dump()


def upstream_cohort(wildcards):
    return f"{RESULTS}/cohorts/{CONFIG.upstreams[wildcards.upstream].dataset}.parquet"


def upstream_store(wildcards):
    upstream = CONFIG.upstreams[wildcards.upstream]
    return f"{RESULTS}/images/{upstream.dataset}-{upstream.resolution.resize}.npy"


def cell_predictions(wildcards):
    cell = CELL.format(**wildcards)
    return [f"{RESULTS}/runs/{cell}/seed{seed}/predictions.parquet" for seed in SEEDS[cell]]


def own_cores(wildcards):
    """How many cores are used on this machine; None where jobs are submitted to a cluster."""
    return None if workflow.non_local_exec else workflow.resource_settings.cores


def restricted_datasets():
    """The datasets whose terms forbid or limit passing on what is frozen: ids, labels and predictions of patients."""
    return [dataset for dataset in RAW_DATASETS if card(dataset).access not in ("drawn", "open")]


def results_folder(wildcards):
    return RESULTS


def primary_metrics():
    return {task: CONFIG.tasks[task].primary_metric for task in GROUP_OF_TASK}


def all_predictions(wildcards):
    return [f"{RESULTS}/runs/{run.path}/predictions.parquet" for run in RUNS]


def run_keys(wildcards):
    """The keys of all runs, as plain values."""
    return [run.keys for run in RUNS]


def cell_seeds(wildcards):
    return SEEDS[CELL.format(**wildcards)]


def cell_cohorts(wildcards):
    return cohort_names(wildcards.task)


# Whether tables are computed from frozen predictions, or were frozen as well.
THAWS = IS_FROZEN and not Path(f"{FROZEN}/replicates.parquet").exists()
# Frozen results hold the similarity of networks as it is.
COLLECTED = ["metrics", "replicates", "curves", "diagrams", *([] if IS_FROZEN else ["similarity"])]
CELLS_AT_ONCE = 16
PARTS = range(0, len(CELLS), CELLS_AT_ONCE)


def measured_tables(kind):
    """The tables of one kind that together are that of the tier: of each cell, or of frozen results."""
    if not IS_FROZEN:
        return [f"{RESULTS}/runs/{cell}/{kind}.parquet" for cell in CELLS]
    return [f"{RESULTS}/thawed/{part}/{kind}.parquet" for part in PARTS] if THAWS else [f"{FROZEN}/{kind}.parquet"]


def part_cells(wildcards):
    """Some of the cells, each with its seeds."""
    first = int(wildcards.part)
    return {cell: SEEDS[cell] for cell in CELLS[first : first + CELLS_AT_ONCE]}


def subgroup_columns():
    """For each cohort that a task predicts the columns that its sub-groups are made of."""
    columns = {}
    for task in GROUP_OF_TASK:
        for cohort in cohort_names(task):
            columns.setdefault(cohort, {}).update(dict.fromkeys(CONFIG.tasks[task].subgroups))
    return {cohort: list(names) for cohort, names in columns.items()}


def upstream_records(wildcards):
    """The records of networks pre-trained here: they say on how many images."""
    return [f"{RESULTS}/upstream/{upstream}/{backbone}.json" for upstream, backbone in networks_of(PretrainedHere)]


@cache
def study_settings(study):
    """What figures, tables and claims need to know of a study: its axes, in order, and how to name things."""
    return plan.study_facts(CONFIG, RUNS, study, {cohort: cohort_title(cohort) for cohort in COHORTS})


FIGURES = plan.shown(CONFIG, plan.FIGURES)
TABLES = plan.shown(CONFIG, plan.TABLES)
# What figures, tables and claims are made from.
RESULT_TABLES = {
    kind: f"{RESULTS}/{kind}.parquet" for kind in ("metrics", "replicates", "curves", "diagrams", "similarity")
} | {kind: f"{RESULTS}/{kind}.csv" for kind in ("completeness", "upstreams")}
