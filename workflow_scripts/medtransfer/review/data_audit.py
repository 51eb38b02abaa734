"""Rows of cohorts back to their raw files and labels, and the hashes that runs recorded of what they were made from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtransfer import plan
from medtransfer.cohorts import select, targets
from medtransfer.config import Config
from medtransfer.config.data import Dataset
from medtransfer.datasets import read, reader
from medtransfer.derived import derive
from medtransfer.errors import UserError
from medtransfer.files import file_digest
from medtransfer.imaging.chunk import Form, decode_chunk
from medtransfer.imaging.store import store_facts
from medtransfer.review.checks import AS_EXPECTED, DATA, DEVIATING, NOT_HERE, Check, found
from medtransfer.review.frozen import Frozen
from medtransfer.runs import Run

STREAM = 1  # of the reviewer's seed; runs are drawn by another


def audit_data(
    config: Config, folder: Path, frozen: Frozen, runs: Sequence[Run], bits: Sequence[Run], rows: int, seed: int
) -> list[Check]:
    """Check the data behind some runs.

    Args:
        config: The configuration.
        folder: Results that hold cohorts, image stores and subsets.
        frozen: The record.
        runs: Runs whose data is checked: those whose inputs are in `folder`.
        bits: Those of them that are held to bit-equality.
        rows: How many rows of each dataset to take back to their raw files, drawn at random.
        seed: Seed of that draw.
    """
    tasks = {run.task: run for run in runs}
    cohorts = list(dict.fromkeys(cohort for task in tasks for cohort in plan.cohort_names(config, task)))
    datasets = dict.fromkeys(dataset for cohort in cohorts for dataset in config.sources(cohort))
    return [
        *(check for dataset in datasets for check in dataset_checks(config, folder, dataset, rows, seed)),
        *(derived_check(config, folder, cohort) for cohort in cohorts if cohort in config.cohorts),
        *(record_check(config, folder, frozen.predictions(run), task) for task, run in tasks.items()),
        *(hash_check(folder, frozen.record(run), run, run in bits) for run in runs),
    ]


def raw_folder(config: Config, folder: Path, dataset: str) -> Path:
    """Where a dataset's raw files lie: among the results, if they are drawn."""
    settings = config.datasets.get(dataset, Dataset())
    return (
        folder / "raw" / dataset if dataset in config.synthetic else Path(config.raw_root, settings.folder or dataset)
    )


def dataset_checks(config: Config, folder: Path, dataset: str, n: int, seed: int) -> list[Check]:
    """Take random rows of a dataset's cohort back to the raw folder: read its tables anew, decode the files anew."""
    cohort = pd.read_parquet(folder / "cohorts" / f"{dataset}.parquet")
    generator = np.random.default_rng([seed, STREAM, *dataset.encode()])
    chosen = cohort.iloc[np.sort(generator.choice(len(cohort), min(n, len(cohort)), replace=False))]
    raw, settings = raw_folder(config, folder, dataset), config.datasets.get(dataset, Dataset())
    name = settings.reader or dataset
    if not raw.is_dir():
        return [Check(DATA, dataset, "rows as read anew", NOT_HERE, 0, f"{raw} is not there")]
    try:
        reading = read(name, raw, settings.policies).table
    except UserError as error:
        return [Check(DATA, dataset, "rows as read anew", DEVIATING, 0, str(error))]
    module = reader(name)
    preparation = str(settings.preparation or getattr(module, "PREPARATION", "none"))
    again = chosen[["path"]].merge(reading.assign(row=range(len(reading))), "left", "path", indicator=True)
    lost = again.pop("_merge") == "left_only"
    problems = [
        f"{dataset} {image}: its file {path} is not listed in {raw} any more"
        for image, path in chosen.loc[lost.to_numpy(), ["image_id", "path"]].itertuples(index=False)
    ]
    kept = ~lost.to_numpy()
    problems += differences(dataset, chosen[kept].drop(columns="dataset"), again[kept], "as read anew")
    checks = [found(DATA, dataset, "rows as read anew", len(chosen), problems)]
    for store in sorted((folder / "images").glob(f"{dataset}-*.npy")):
        pixels = np.load(store, mmap_mode="r")
        decoded = decode_chunk(raw, chosen["path"].tolist(), Form(module.CHANNELS, pixels.shape[1], preparation))
        reasons = dict(decoded.failures)
        other = [
            f"{dataset} {image}: {reasons.get(i, f'{path} decodes to other pixels than row {row} of {store.name}')}"
            for i, (image, path, row) in enumerate(chosen[["image_id", "path", "row"]].itertuples(index=False))
            if i in reasons or not np.array_equal(decoded.pixels[i], pixels[row])
        ]
        checks.append(found(DATA, dataset, f"pixels of {store.name} as decoded anew", len(chosen), other))
    return checks


def differences(name: str, recorded: pd.DataFrame, again: pd.DataFrame, told: str) -> list[str]:
    """Where two tables of the same rows differ, in words: image, column, and both values."""
    problems = []
    for column in recorded:
        one = recorded[column].to_numpy(object, na_value=None)
        other = again[column].to_numpy(object, na_value=None) if column in again else np.full(len(one), None)
        problems += [
            f"{name} {image}: {column} is {was}, {told} {now}"
            for image, was, now in zip(recorded["image_id"], one, other, strict=True)
            if was != now
        ]
    return problems


def derived_check(config: Config, folder: Path, cohort: str) -> Check:
    """Put a derived cohort together anew, and compare all of its rows."""
    table = pd.read_parquet(folder / "cohorts" / f"{cohort}.parquet")
    parts = {of: pd.read_parquet(folder / "cohorts" / f"{of}.parquet") for of in config.sources(cohort)}
    again, _ = derive(cohort, config.cohorts[cohort], parts)
    same = table["image_id"].tolist() == again["image_id"].tolist()
    problems = differences(cohort, table, again, "derived anew") if same else [f"{cohort}: other images than defined"]
    return found(DATA, cohort, "rows as derived anew", len(table), problems)


def record_check(config: Config, folder: Path, predictions: pd.DataFrame, task: str) -> Check:
    """Hold images, patients and targets of frozen predictions against the cohorts, all of them."""
    settings, problems = config.tasks[task], []
    for (cohort, split), recorded in predictions.groupby(["cohort", "split"]):
        rows = select(pd.read_parquet(folder / "cohorts" / f"{cohort}.parquet"), settings, split)
        known = pd.DataFrame(targets(rows, settings, training=False), columns=[f"target_{x}" for x in settings.labels])
        expected = rows[["image_id", "patient_id"]].join(known).sort_values("image_id")
        recorded = recorded[list(expected)].sort_values("image_id")
        if recorded["image_id"].tolist() != expected["image_id"].tolist():
            others = sorted(set(recorded["image_id"]) ^ set(expected["image_id"]))
            problems += [f"{cohort} {image}: predicted or in the {split} split, not both" for image in others]
        else:
            problems += differences(str(cohort), recorded, expected, "in the cohort")
    return found(DATA, task, "predicted images and their labels", len(predictions), problems)


def hash_check(folder: Path, record: Mapping[str, Any], run: Run, bits: bool) -> Check:
    """Hash what a run was made from, and compare with what its record says: bytes differ where packages do."""
    inputs, size = record["inputs"], record["resolution"]["resize"]
    files = {folder / "subsets" / run.task / run.budget / f"seed{run.seed}.parquet": inputs["subset"]}
    files |= {folder / "cohorts" / f"{name}.parquet": told for name, told in inputs["cohorts"].items()}
    files |= {folder / "images" / f"{name}-{size}.npy": told for name, told in inputs["images"].items()}
    other = [
        f"{path.relative_to(folder)} is not what was recorded" for path, told in files.items() if _hash(path) != told
    ]
    check = found(DATA, run.path, "hashes of subset, cohorts and image stores", len(files), other)
    return replace(check, result=AS_EXPECTED) if other and not bits else check


@cache
def _hash(path: Path) -> str:
    """As training records it: of an image store its pixels alone."""
    return str(store_facts(path)["sha256"]) if path.suffix == ".npy" else file_digest(path)
