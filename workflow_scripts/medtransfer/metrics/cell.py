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
from medtransfer.metrics.evaluate import ALL, COLUMNS, MEAN, Evaluation, evaluate, evaluate_primary
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
    groups = [read_demographics(name, path, list(task["subgroups"])) for name, path in cohorts.items()]
    demographics = pd.concat(groups, ignore_index=True)
    places = {seed: Path(folder) for seed, folder in folders.items()}
    runs = {seed: pd.read_parquet(place / "predictions.parquet") for seed, place in places.items()}
    looks = {seed: pd.read_parquet(place / "validation.parquet") for seed, place in places.items()}
    records = {seed: json.loads((place / "run.json").read_text()) for seed, place in places.items()}
    measured = measure_predictions(cell, runs, records, demographics, task, settings)
    measured["curves"] = measure_validation(cell, looks, task, settings)
    representations = {seed: place / "representation.npz" for seed, place in places.items()}
    measured["similarity"] = similarity(representations, settings["confidence"]).assign(**cell)
    for kind, table in measured.items():
        write_parquet(table, outputs[kind])


def measure_predictions(
    cell: dict[str, Any],
    runs: dict[int, pd.DataFrame],
    records: dict[int, dict[str, Any]],
    demographics: pd.DataFrame,
    task: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, pd.DataFrame]:
    """What is measured of the predictions of a cell's runs: the tables `metrics`, `replicates` and `diagrams`.

    Args:
        cell: Keys of its runs without the seed.
        runs: For each seed the predictions.
        records: For each seed the record, of which `patients` and `images` are taken.
        demographics: cohort image_id and the columns that sub-groups are made of.
        task: As for `measure_cell`.
        settings: As for `measure_cell`.
    """
    evaluated = {seed: evaluate(run, demographics, **task, **settings) for seed, run in runs.items()}
    drawn = diagrams(
        list(runs.values()),
        [_temperature(each.metrics) for each in evaluated.values()],
        **_described(task),
        **_draws(settings),
        id_cohort=task["id_cohort"],
        confidence=settings["confidence"],
        bins=settings["bins"],
    )
    return _tables(cell, evaluated, records, task) | {"diagrams": drawn.assign(**cell)[[*cell, *drawn]]}


def measure_primary(
    cell: dict[str, Any],
    runs: dict[int, pd.DataFrame],
    records: dict[int, dict[str, Any]],
    metric: str,
    task: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, pd.DataFrame]:
    """Of the tables `metrics` and `replicates` what `is_primary` tells: one metric of all test images, and sizes.

    Args:
        cell: Keys of its runs without the seed.
        runs: For each seed the predictions.
        records: As for `measure_predictions`.
        metric: The task's primary metric.
        task: As for `measure_cell`.
        settings: As for `measure_cell`.
    """
    what = {**_described(task), **_draws(settings), "confidence": settings["confidence"]}
    evaluated = {
        seed: evaluate_primary(run, metric=metric, id_cohort=task["id_cohort"], **what) for seed, run in runs.items()
    }
    return _tables(cell, evaluated, records, task)


def is_primary(table: pd.DataFrame, metrics: dict[str, str]) -> pd.Series:
    """Which rows of `metrics` or `replicates` hold the primary metric of all test images, or training sizes.

    Args:
        table: The whole table.
        metrics: The primary metric of each task.
    """
    whole = (table["subgroup"] == ALL) & (table["metric"] == table["task"].map(metrics)) & (table["split"] == "test")
    return (whole & (table["label"] == MEAN)) | (table["split"] == "train") if "label" in table else whole


def measure_validation(
    cell: dict[str, Any], looks: dict[int, pd.DataFrame], task: dict[str, Any], settings: dict[str, Any]
) -> pd.DataFrame:
    """The table `curves`, from what the looks at the networks of a cell saw while they were trained, by seed."""
    curves = {seed: validation_curves(each, **_described(task), **_draws(settings)) for seed, each in looks.items()}
    return _by_seed(cell, curves)


def read_demographics(cohort: str, path: Path | str, columns: list[str]) -> pd.DataFrame:
    """Image ids and the columns to group by, missing where the cohort does not have them."""
    return pd.read_parquet(path).reindex(columns=["image_id", *columns]).assign(cohort=cohort)


def training_sizes(record: dict[str, Any], id_cohort: str) -> pd.DataFrame:
    """How many patients and images a run was trained on, as metrics of the split "train"."""
    place = {"cohort": id_cohort, "split": "train", "shift": "id", "subgroup_by": ALL, "subgroup": ALL, "label": MEAN}
    rows = [{**place, "metric": name, "value": float(record[name]), "n": record["images"]} for name in TRAINING_SIZES]
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


def _tables(
    cell: dict[str, Any], evaluated: dict[int, Evaluation], records: dict[int, dict[str, Any]], task: dict[str, Any]
) -> dict[str, pd.DataFrame]:
    metrics = {
        seed: pd.concat([each.metrics, training_sizes(records[seed], task["id_cohort"])], ignore_index=True)
        for seed, each in evaluated.items()
    }
    replicates = {seed: each.replicates for seed, each in evaluated.items()}
    return {"metrics": _by_seed(cell, metrics), "replicates": _by_seed(cell, replicates)}


def _described(task: dict[str, Any]) -> dict[str, Any]:
    return {"labels": task["labels"], "kind": task["kind"]}


def _draws(settings: dict[str, Any]) -> dict[str, Any]:
    return {"replicates": settings["replicates"], "seed": settings["seed"]}


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
