"""The records of an invented study's runs and upstream networks, as provenance.parquet holds them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from medtransfer.files import write_parquet
from medtransfer.review.tier import Tier
from medtransfer.runs import KEYS, Run
from tests.invented import STUDY

PRETRAINED = {name: {"source": "pretrain", "dataset": "scenes"} for name in ("scenes-small", "scenes-large")}
UPSTREAMS: dict[str, dict[str, Any]] = {
    **PRETRAINED,
    "chexpert": {"source": "finetuned", "task": "chest5", "upstream": "scenes-large"},
}
MACHINE = {
    "processor": "x86_64, some",
    "device": "cpu",
    "node": "node7",
    "packages": {"python": "3.11.7", "torch": "2.13.0"},
    "peak_memory_mb": 444,
}


def sha(*words: object) -> str:
    """A checksum that these words alone have."""
    return hashlib.sha256(repr(words).encode()).hexdigest()


def made(run: Run, what: str) -> str:
    """The checksum of what a run made."""
    return sha(run.cell, run.seed, what)


def of_run(run: Run) -> dict[str, Any]:
    """What was recorded of a run."""
    task = STUDY["tasks"][run.task]
    goes_on = UPSTREAMS.get(run.upstream, {}).get("source") == "finetuned"
    weights = [] if run.upstream == "none" else [sha(run.upstream, run.seed if goes_on else run.backbone)]
    inputs = {"subset": sha(run.task, run.budget, run.seed), "weights": weights}
    return {
        **run.keys,
        "recipe_version": 2,
        "task_settings": {"primary_metric": task["primary_metric"], "labels": task["labels"]},
        "hyperparameters": {"learning_rate": 0.003, "deviations": [f"steps={100 + run.seed}"]},
        "inputs": {**inputs, "cohorts": {name: sha(name) for name in [task["id_cohort"], *task["ood_cohorts"]]}},
        "seconds": {"step": 2.5 + run.seed, "data": 0.5},
        **MACHINE,
    }


def of_network(upstream: str, backbone: str) -> dict[str, Any]:
    """What was recorded of a network that was pre-trained."""
    inputs = {"cohort": sha("scenes"), "images": sha("scenes", 48)}
    content = {"upstream": upstream, "backbone": backbone, "recipe_version": 2, "inputs": inputs}
    return {**content, "seconds": {"step": 60.0}, **MACHINE}


def write_provenance(runs: list[Run], path: Path) -> None:
    """Write the table of records of some runs and of all networks."""
    rows = [
        {**run.keys, "what": "run", "record": json.dumps(of_run(run))}
        | {"predictions": made(run, "predictions"), "validation": made(run, "validation"), "weights": ""}
        for run in runs
    ]
    for upstream in PRETRAINED:
        for backbone in STUDY["backbones"]:
            row = {
                **dict.fromkeys(KEYS, ""),
                "upstream": upstream,
                "backbone": backbone,
                "seed": -1,
                "what": "upstream",
            }
            row |= {"record": json.dumps(of_network(upstream, backbone)), "predictions": "", "validation": ""}
            rows.append({**row, "weights": sha(upstream, backbone)})
    write_parquet(pd.DataFrame(rows), path)


def tier(results: Path, code: str = "version 0.1.0") -> Tier:
    """The tier whose results these are."""
    return Tier("demo", results, False, "config/demo.yaml", [STUDY], UPSTREAMS, code)
