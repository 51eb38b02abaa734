# What training jobs ask of a machine, which of them share a job, and what `plan` needs to know of all of them.
import math
import os
from dataclasses import asdict

from medtransfer.compute.batches import batches
from medtransfer.compute.costs import load_costs
from medtransfer.compute.estimate import fits, request, seconds
from medtransfer.compute.forecast import Job
from medtransfer.compute.work import dataset_images, pretraining_work, run_works
from medtransfer.runs import CELL as CELL_KEYS, Run
from snakemake.iocontainers import InputFiles, Wildcards

TRAINING = CONFIG.training
COSTS = load_costs(Path(workflow.basedir) / CONFIG.costs)
CARD_IMAGES = {dataset: card(dataset).n_images for dataset in DATASETS if dataset not in CONFIG.synthetic}
WORKS = run_works(CONFIG, RUNS, CARD_IMAGES, COSTS)
UPSTREAM_WORKS = {
    (upstream, backbone): pretraining_work(CONFIG, upstream, backbone, CARD_IMAGES, COSTS)
    for upstream, backbone in networks_of(PretrainedHere)
}


# Where a cluster has its GPUs, and of which kind, if the profile says so.
GPU_SITE = {
    resource: os.environ[name]
    for resource, name in {
        "slurm_partition": "MEDTRANSFER_GPU_PARTITION",
        "gpu_model": "MEDTRANSFER_GPU_MODEL",
    }.items()
    if name in os.environ and TRAINING.accelerator == "cuda"
}


def devices_of(backbone):
    return TRAINING.devices_of.get(backbone, TRAINING.devices)


def gpus_of(backbone):
    return devices_of(backbone) if TRAINING.accelerator == "cuda" else 0


def training_settings_of(backbone):
    """How a network is trained, without what changes its course but not its results."""
    settings = TRAINING.model_dump(include={"accelerator", "precision", "shard", "recompute"})
    return {**settings, "devices": devices_of(backbone)}


def training_settings(wildcards):
    return training_settings_of(wildcards.backbone)


def training_gpus(wildcards):
    return gpus_of(wildcards.backbone)


def training_threads(wildcards):
    return TRAINING.threads * devices_of(wildcards.backbone)


def expected_seconds(work):
    return seconds(work, COSTS, TRAINING.accelerator, devices_of(work.backbone), TRAINING.recompute)


def asked_for(work, attempt):
    # Pieces of a long run are attempts, too; what a run needs does not grow with them for ever.
    attempt = min(attempt, TRAINING.retries + 1)
    asked = request(
        work,
        COSTS,
        TRAINING.accelerator,
        devices_of(work.backbone),
        TRAINING.threads,
        TRAINING.memory_mb,
        attempt,
        TRAINING.recompute,
    )
    # What takes longer goes on from its checkpoint in the next attempt.
    return {"mem_mb": asked.mem_mb, "runtime": min(asked.minutes, TRAINING.longest_minutes)}


def run_work_of(wildcards):
    return WORKS[run_of(wildcards)]


def run_of(wildcards):
    return Run(**{key: int(wildcards.seed) if key == "seed" else getattr(wildcards, key) for key in KEYS})


def run_memory(wildcards, attempt):
    return asked_for(run_work_of(wildcards), attempt)["mem_mb"]


def run_minutes(wildcards, attempt):
    return asked_for(run_work_of(wildcards), attempt)["runtime"]


def upstream_memory(wildcards, attempt):
    return asked_for(UPSTREAM_WORKS[wildcards.upstream, wildcards.backbone], attempt)["mem_mb"]


def upstream_minutes(wildcards, attempt):
    return asked_for(UPSTREAM_WORKS[wildcards.upstream, wildcards.backbone], attempt)["runtime"]


# Jobs run Snakemake as well, which is not to try again what only the first one can ask more memory for.
RETRIES = TRAINING.retries if workflow.is_main_process else 0


def attempts_for(works):
    """How often jobs are tried again: for what goes wrong, and once for each piece of the longest."""
    if not workflow.is_main_process:
        return 0
    longest = max(map(expected_seconds, works), default=0)
    return TRAINING.retries + int(COSTS.safety * longest / (60 * TRAINING.longest_minutes))


def minutes_for(expected, attempt):
    """Minutes to ask for where no GPU is needed."""
    return math.ceil((COSTS.startup.job + COSTS.safety * expected) / 60 * COSTS.growth.minutes ** (attempt - 1))


def decoding_seconds(dataset):
    films = any(file.path.endswith((".dcm", ".dicom")) for file in card(dataset).files)
    rate = COSTS.decoding.dicom if films else COSTS.decoding.jpeg
    return dataset_images(CONFIG, dataset, CARD_IMAGES, COSTS) / rate / CONFIG.decoding.threads


def store_minutes(wildcards, attempt):
    return minutes_for(decoding_seconds(wildcards.dataset), attempt)


def duplicates_minutes(wildcards, attempt):
    images = sum(dataset_images(CONFIG, name, CARD_IMAGES, COSTS) for name in cohort_sources(GROUPS[wildcards.group]))
    pairs = COSTS.duplicates.candidates * images**2 / 2
    return minutes_for(pairs / COSTS.duplicates.pairs_per_second / CONFIG.decoding.threads, attempt)


# Batches are made of the whole run table, so that what is finished already does not move runs between them.
BATCHES = {}
for run, batch in batches(
    {run: COSTS.startup.run + expected_seconds(work) for run, work in WORKS.items() if devices_of(run.backbone) == 1},
    60 * TRAINING.batch_minutes,
).items():
    BATCHES.setdefault(batch, []).append(run)
BATCH_OF = {run: batch for batch, members in BATCHES.items() for run in members}


def batch_request(members):
    """Memory and minutes of a batch, as functions of the attempt: its runs go one after another."""

    def memory(wildcards, attempt):
        return max(asked_for(WORKS[run], attempt)["mem_mb"] for run in members)

    def minutes(wildcards, attempt):
        together = COSTS.startup.job + sum(
            COSTS.startup.run + COSTS.safety * expected_seconds(WORKS[run]) for run in members
        )
        return min(int(together / 60 * COSTS.growth.minutes ** (attempt - 1)) + 1, TRAINING.longest_minutes)

    return {"mem_mb": memory, "runtime": minutes}


def run_wildcards(run):
    return Wildcards(fromdict={key: str(getattr(run, key)) for key in KEYS})


def run_inputs(wildcards):
    """What a run is made from."""
    return {
        "subset": [f"{RESULTS}/subsets/{wildcards.task}/{wildcards.budget}/seed{wildcards.seed}.parquet"],
        "cohorts": task_cohorts(wildcards),
        "images": task_stores(wildcards),
        "weights": upstream_weights(wildcards),
    }


def batch_inputs(members):
    """The inputs of all runs of a batch, each once."""

    def inputs(wildcards):
        named = [run_inputs(run_wildcards(run)) for run in members]
        return list(dict.fromkeys(path for each in named for paths in each.values() for path in paths))

    return inputs


def run_description(wildcards):
    """All that a training job needs to know of a run."""
    run = run_of(wildcards)
    folder = run.path
    return {
        "run": run.keys,
        "settings": run_settings(wildcards),
        "inputs": {name: list(map(str, paths)) for name, paths in run_inputs(wildcards).items()},
        "sources": task_sources(wildcards),
        "goes_on": goes_on(wildcards),
        "keep": is_kept(run),
        "scratch": f"{RESULTS}/scratch/{folder}",
        "results": f"{RESULTS}/runs/{folder}",
        "log": None,
    }


def described_run(wildcards):
    return [run_description(wildcards)]


def described_batch(members):
    """The runs of a batch; each has its own log, as if it were alone."""

    def described(wildcards):
        return [{**run_description(run_wildcards(run)), "log": f"{LOGS}/finetune/{run.path}.log"} for run in members]

    return described


def outcome_of(run):
    return f"{RESULTS}/scratch/{run.path}/outcome.json"


def asks(name, keys, attempt):
    """What sbatch is told: what a job asks for, with all that profile and command line change."""
    return workflow.get_rule(name).expand_resources(Wildcards(fromdict=keys), InputFiles(), attempt)


def planned(name, keys, record, expected, last_attempt=1, **facts):
    """A job as `plan` and `recalibrate_costs` see it."""
    first, last = (asks(name, keys, attempt) for attempt in (1, last_attempt))
    return asdict(
        Job(
            name,
            record,
            done=Path(record).exists(),
            threads=first["_cores"],
            mem_mb=first["mem_mb"],
            minutes=first["runtime"],
            seconds=expected,
            gpus=first.get("gpu", 0),
            partition=first.get("slurm_partition", ""),
            gpu_model=first.get("gpu_model", ""),
            last_mem_mb=last["mem_mb"],
            last_minutes=last["runtime"],
            **facts,
        )
    )


def studies_of(runs):
    return tuple(dict.fromkeys(arm.partition("/")[0] for run in runs for arm in run.arms))


def planned_stores():
    for dataset, sizes in STORE_SIZES.items():
        images = dataset_images(CONFIG, dataset, CARD_IMAGES, COSTS)
        for size in sizes:
            keys = {"dataset": dataset, "size": str(size)}
            yield planned(
                "image_store",
                keys,
                f"{RESULTS}/images/{dataset}-{size}.json",
                decoding_seconds(dataset),
                disk=images * size**2 * COSTS.store_bytes_per_pixel,
                pixels=size,
            )


def planned_upstreams():
    for (upstream, backbone), work in UPSTREAM_WORKS.items():
        users = [run for run in RUNS if (run.upstream, run.backbone) == (upstream, backbone)]
        yield planned(
            "pretrain",
            {"upstream": upstream, "backbone": backbone},
            f"{RESULTS}/upstream/{upstream}/{backbone}.json",
            COSTS.startup.run + expected_seconds(work),
            1 + attempts_for([work]),
            studies=studies_of(users),
            backbone=backbone,
            upstream=upstream,
            pixels=work.crop,
        )


def planned_runs():
    for run, work in WORKS.items():
        yield planned(
            "finetune",
            {key: str(getattr(run, key)) for key in KEYS},
            f"{RESULTS}/runs/{run.path}/run.json",
            COSTS.startup.run + expected_seconds(work),
            1 + attempts_for([work]),
            disk=work.predicted * COSTS.prediction_bytes_per_image,
            studies=studies_of([run]),
            task=run.task,
            backbone=run.backbone,
            upstream=run.upstream,
            pixels=work.crop,
            batch=BATCH_OF.get(run, ""),
        )


def planned_metrics():
    cells = {}
    for run in RUNS:
        cells.setdefault(run.cell, []).append(run)
    for cell, runs in cells.items():
        images = sum(WORKS[run].predicted for run in runs)
        yield planned(
            "metrics",
            dict(zip(CELL_KEYS, cell.split("/"), strict=True)),
            f"{RESULTS}/runs/{cell}/metrics.parquet",
            COSTS.metrics_seconds * images / COSTS.metrics_images,
            studies=studies_of(runs),
            task=runs[0].task,
            backbone=runs[0].backbone,
            upstream=runs[0].upstream,
        )


def training_works():
    return [*UPSTREAM_WORKS.values(), *WORKS.values()]


def too_large(wildcards):
    """Networks of which a GPU of the cost table cannot hold what training asks it to hold."""
    return sorted(
        {
            f"{work.backbone} at {work.crop} px"
            for work in training_works()
            if TRAINING.accelerator == "cuda"
            and not fits(work, COSTS, devices_of(work.backbone) if TRAINING.shard else 1, TRAINING.recompute)
        }
    )


def planned_training(wildcards):
    return [*planned_upstreams(), *planned_runs()]


def trained_images(wildcards):
    """Of each piece of training the images it sees, counted as often as it sees them."""
    return [work.trained for work in training_works()]


def planned_jobs(wildcards):
    """The jobs that take time: all of the tier, done or not."""
    return [*planned_stores(), *planned_training(wildcards), *planned_metrics()]
