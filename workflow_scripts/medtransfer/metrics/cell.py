"""Everything that is measured of one cell: the runs that differ by their seed alone."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtransfer.files import write_parquet
from medtransfer.metrics.curves import validation_curves
from medtransfer.metrics.diagrams import diagrams
from medtransfer.metrics.evaluate import ALL, COLUMNS, MEAN, evaluate
from medtransfer.representation.cka import FEWEST, cka_interval

TRAINING_SIZES = ("patients", "images")


def measure_cell(
    cell: dict[str, Any],
    folders: dict[int, str],
    cohorts: dict[str, str],
    task: dict[str, Any],
    settings: dict[str, Any],
    outputs: dict[str, str],
) -> None:
    """Measure the runs of a cell.

    Args:
        cell: Keys of its runs without the seed.
        folders: For each seed the folder of its run: predictions, what the looks at its network saw, the Gram matrices
            of its blocks before and after fine-tuning, its record.
        cohorts: Tables of the task's cohorts, by name.
        task: `kind`, `labels`, `id_cohort`, `subgroups` and `intersections` of the task.
        settings: The configuration's `metrics`.
        outputs: Tables to write: `metrics`, `replicates`, `curves`, `diagrams`, `similarity`.
    """
    demographics = pd.concat(
        [_demographics(name, path, list(task["subgroups"])) for name, path in cohorts.items()], ignore_index=True
    )
    runs = {seed: pd.read_parquet(Path(folder) / "predictions.parquet") for seed, folder in folders.items()}
    evaluated = {seed: evaluate(run, demographics, **task, **settings) for seed, run in runs.items()}
    what = {"labels": task["labels"], "kind": task["kind"]}
    draws = {"replicates": settings["replicates"], "seed": settings["seed"]}
    temperatures = [_temperature(each.metrics) for each in evaluated.values()]
    curves = {
        seed: validation_curves(pd.read_parquet(Path(folder) / "validation.parquet"), **what, **draws)
        for seed, folder in folders.items()
    }
    drawn = diagrams(
        list(runs.values()),
        temperatures,
        **what,
        **draws,
        id_cohort=task["id_cohort"],
        confidence=settings["confidence"],
        bins=settings["bins"],
    )
    measured = {
        seed: pd.concat(
            [each.metrics, training_sizes(Path(folders[seed]) / "run.json", task["id_cohort"])], ignore_index=True
        )
        for seed, each in evaluated.items()
    }
    write_parquet(_by_seed(cell, measured), outputs["metrics"])
    write_parquet(_by_seed(cell, {seed: each.replicates for seed, each in evaluated.items()}), outputs["replicates"])
    write_parquet(_by_seed(cell, curves), outputs["curves"])
    write_parquet(drawn.assign(**cell)[[*cell, *drawn]], outputs["diagrams"])
    representations = {seed: Path(folder) / "representation.npz" for seed, folder in folders.items()}
    write_parquet(similarity(representations, settings["confidence"]).assign(**cell), outputs["similarity"])


def training_sizes(record: Path, id_cohort: str) -> pd.DataFrame:
    """How many patients and images a run was trained on, as metrics of the split "train"."""
    facts = json.loads(record.read_text())
    place = {"cohort": id_cohort, "split": "train", "shift": "id", "subgroup_by": ALL, "subgroup": ALL, "label": MEAN}
    rows = [{**place, "metric": name, "value": float(facts[name]), "n": facts["images"]} for name in TRAINING_SIZES]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n_positive": "Int64"})


def similarity(representations: dict[int, Path], confidence: float) -> pd.DataFrame:
    """Linear CKA of each block, between a network before and after fine-tuning and between networks of two seeds.

    Returns:
        comparison ("fine-tuning" or "seeds"), seeds ("0", "0-1"), block, depth (0, the stem, to 1, the last block),
        value, ci_low, ci_high, n. Intervals are over images, which are of one patient each. There are no values where
        fewer than FEWEST images were compared.
    """
    grams = {seed: _load(path) for seed, path in representations.items()}
    pairs = [("fine-tuning", str(seed), "before", seed, seed) for seed in grams]
    pairs += [("seeds", f"{one}-{other}", "after", one, other) for one, other in combinations(grams, 2)]
    rows = []
    for comparison, seeds, state, one, other in pairs:
        blocks = list(grams[one]["after"])
        for number, block in enumerate(blocks):
            left, right = grams[one][state][block], grams[other]["after"][block]
            depth = number / max(1, len(blocks) - 1)
            values = cka_interval(left, right, confidence) if len(left) >= FEWEST else (np.nan, np.nan, np.nan)
            rows.append((comparison, seeds, block, depth, *values, len(left)))
    return pd.DataFrame(rows, columns=["comparison", "seeds", "block", "depth", "value", "ci_low", "ci_high", "n"])


def _temperature(metrics: pd.DataFrame) -> float:
    return float(metrics.loc[metrics["metric"] == "temperature", "value"].item())


def _load(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Gram matrices by state and block, blocks in order of depth."""
    grams: dict[str, dict[str, np.ndarray]] = {"before": {}, "after": {}}
    with np.load(path) as arrays:
        for name in arrays.files:
            state, _, block = name.partition("/")
            grams[state][block] = arrays[name]
    return grams


def _by_seed(cell: dict[str, Any], tables: dict[int, pd.DataFrame]) -> pd.DataFrame:
    named = [pd.DataFrame({**cell, "seed": seed}, index=table.index).join(table) for seed, table in tables.items()]
    return pd.concat(named, ignore_index=True)


def _demographics(cohort: str, path: str, columns: list[str]) -> pd.DataFrame:
    """Image ids and the columns to group by, missing where the cohort does not have them."""
    return pd.read_parquet(path).reindex(columns=["image_id", *columns]).assign(cohort=cohort)
