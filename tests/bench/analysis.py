"""Measuring runs: from predictions of 25,000 test images with five labels to metrics, gaps, calibration, diagrams."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from medtransfer.metrics.bootstrap import patient_counts
from medtransfer.metrics.diagrams import diagrams
from medtransfer.metrics.evaluate import evaluate
from medtransfer.results import Results
from medtransfer.runs import CELL
from tests import invented
from tests.bench.timing import seconds_of

IMAGES, REPLICATES, ROUNDS = 25_000, 1000, 3
LABELS = ["atelectasis", "cardiomegaly", "consolidation", "edema", "effusion"]
PAPER_RUNS = 5000
WHAT: dict[str, Any] = {"labels": LABELS, "kind": "multilabel", "id_cohort": "chexpert"}
DRAWS: dict[str, Any] = {"replicates": REPLICATES, "confidence": 0.95, "seed": 0, "bins": 15}
GROUPS: dict[str, Any] = {
    "subgroups": {"sex": None, "age": [0, 40, 60, 80, 121], "view": None},
    "intersections": [["sex", "age"]],
}


def main() -> None:
    """Print seconds for a run, for its parts, for growing numbers of runs, and for reading 5,000 runs' results."""
    demographics = patients()
    runs = [predictions(seed, demographics) for seed in range(4)]
    decided = {**DRAWS, **GROUPS, "operating_point": "youden", "min_group": 20}

    def measured(number: int) -> Callable[[], Any]:
        return lambda: [evaluate(run, demographics, **WHAT, **decided) for run in runs[:number]]

    parts: dict[str, Callable[[], Any]] = {
        "one run: metrics, sub-groups, calibration": measured(1),
        "two runs": measured(2),
        "four runs": measured(4),
        "diagrams of one seed": lambda: diagrams(runs[:1], [1.0], **WHAT, **DRAWS),
        "of which the draws of patients, twice": lambda: patient_counts(demographics["patient_id"], REPLICATES, [0]),
    }
    with threadpool_limits(1):
        rounds = [[seconds_of(part) for part in parts.values()] for _ in range(ROUNDS)]
    seconds = dict(zip(parts, np.median(rounds, axis=0), strict=True))
    for part, each in seconds.items():
        print(f"{part}: {each:.2f} s")
    one = seconds["four runs"] / 4 + seconds["diagrams of one seed"]
    print(f"{PAPER_RUNS} runs of one such cohort, on two cores: {PAPER_RUNS * one / 2 / 3600:.1f} hours (from these)")
    with tempfile.TemporaryDirectory() as folder:
        few = [(number, *_read(Path(folder), number)) for number in (1, 4)]
    for number, count, each in few:
        print(f"reading the results of {count} runs for figures and verdicts: {each:.2f} s (repeated {number} times)")


def patients() -> pd.DataFrame:
    """Who the test and validation images are of: two images a patient."""
    generator = np.random.default_rng(1)
    number = np.arange(IMAGES + 2000)
    return pd.DataFrame(
        {
            "cohort": "chexpert",
            "split": np.where(number < IMAGES, "test", "val"),
            "image_id": number.astype(str),
            "patient_id": (number // 2).astype(str),
            "sex": generator.choice(["female", "male"], len(number)),
            "age": generator.uniform(18, 95, len(number)),
            "view": generator.choice(["PA", "AP"], len(number)),
        }
    )


def predictions(seed: int, demographics: pd.DataFrame) -> pd.DataFrame:
    """What one run predicts of them: better than chance, two labels rare."""
    generator = np.random.default_rng([2, seed])
    truth = np.random.default_rng(3).random((len(demographics), len(LABELS))) < [0.03, 0.08, 0.15, 0.25, 0.4]
    table = demographics[["cohort", "split", "image_id", "patient_id"]].copy()
    table[[f"logit_{label}" for label in LABELS]] = generator.normal(size=truth.shape) + 1.5 * truth - 1.0
    table[[f"target_{label}" for label in LABELS]] = truth.astype(float)
    return table


def _read(folder: Path, times: int) -> tuple[int, float]:
    """How many runs an invented study repeated so often has, and the seconds to look each of them up."""
    tables = invented.tables(folder, invented.runs(seeds=list(range(5 * times))))
    start = time.perf_counter()
    results = Results.load(tables, invented.STUDY)
    for *cell, _ in results.cells().itertuples(index=False, name=None):
        for cohort in results.cohorts(dict(zip(CELL, cell, strict=True))["task"]):
            results.measured(tuple(cell), cohort)
    return len(results.runs), time.perf_counter() - start


if __name__ == "__main__":
    main()
