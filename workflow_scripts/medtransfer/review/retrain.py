"""Runs trained again in a folder of their own, out of sight of the results that they are to be compared with."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medtransfer import plan
from medtransfer.compute.status import scratch_of
from medtransfer.config import Config, PretrainedHere, Released
from medtransfer.files import write_json
from medtransfer.review.data_audit import raw_folder
from medtransfer.review.leak_audit import lineage, subset_path
from medtransfer.runs import Run
from medtransfer.training.attempt import OUTCOME, RECORD

DATA = ("raw", "readings", "cohorts", "images", "quality", "acquired")
"""Folders of a tier's results that hold what was made before any training."""


def retrain(
    content: dict[str, Any], folder: Path, runs: Sequence[Run], table: Sequence[Run], cores: int | None
) -> None:
    """Let Snakemake make some runs, and the subsets of all budgets that these are among.

    Snakemake runs within Snakemake here, which is why it must not lock the folder. Runs may fail: what is there
    afterwards says which.

    Args:
        content: The configuration.
        folder: Where everything is made that is not there yet.
        runs: The runs.
        table: All runs of the configuration.
        cores: How many may be used on this machine; None submits jobs to SLURM.
    """
    seeds = {(run.task, run.seed) for run in runs}
    subsets = dict.fromkeys(subset_path(folder, run) for run in table if (run.task, run.seed) in seeds)
    targets = [*(predictions_path(folder, run) for run in runs), *subsets]
    # Each run alone in its job: batches would bring others along.
    training = {**content.get("training", {}), "batch_minutes": 0.0}
    settings = folder / "config.json"
    write_json({**content, "results": "fresh", "folder": str(folder), "training": training}, settings)
    machine = ["--profile", "slurm"] if cores is None else ["--cores", str(cores)]
    command = [sys.executable, "-m", "snakemake", "--configfile", str(settings), "--nolock", "--keep-going", *machine]
    # stdout goes where stderr goes: into the log.
    subprocess.run([*command, "--", *map(str, targets)], stdout=sys.stderr.fileno(), stderr=sys.stderr.fileno())


def link_data(results: Path, folder: Path) -> None:
    """Give a folder what a tier's results hold of data, as further names of the same files, where it has none yet."""
    for name in DATA:
        if (results / name).is_dir() and not (folder / name).exists():
            draft = folder / f".{name}"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(results / name, draft, copy_function=os.link)
            draft.rename(folder / name)


def predictions_path(folder: Path, run: Run) -> Path:
    """Where a run's predictions lie: in the folder of its record."""
    return folder / "runs" / run.path / "predictions.parquet"


def obstacles(config: Config, folder: Path, run: Run, table: Sequence[Run]) -> list[str]:
    """What a run cannot be made without, and that is not there."""
    if run not in table:
        return ["the configuration has no such run"]
    datasets: dict[str, None] = {}
    lacking = []
    for each in lineage(config, run):
        cohorts = plan.cohort_names(config, each.task)
        datasets |= dict.fromkeys(dataset for cohort in cohorts for dataset in config.sources(cohort))
        upstream = config.upstreams.get(each.upstream)
        if isinstance(upstream, PretrainedHere):
            datasets[upstream.dataset] = None
        if isinstance(upstream, Released) and not Path(upstream.weights[each.backbone]).exists():
            lacking.append(f"weights absent: {upstream.weights[each.backbone]}")
    return lacking + [
        f"data absent: {raw}"
        for dataset in datasets
        if dataset not in config.synthetic
        and not (raw := raw_folder(config, folder, dataset)).is_dir()
        and not (folder / "cohorts" / f"{dataset}.parquet").exists()
    ]


def failure(folder: Path, run: Run) -> str:
    """Why a run is not there after all."""
    outcome = scratch_of(folder / "runs" / run.path / RECORD, folder) / OUTCOME
    if outcome.exists():
        return f"training failed: {json.loads(outcome.read_text())['reason']}"
    return "what it is made from could not be made; the log says why"
