"""Freezing the results of a tier: what `Frozen` reads."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from medtransfer.errors import UserError
from medtransfer.files import file_digest, write_json
from medtransfer.machine import this_machine
from medtransfer.review.frozen import LOGIT, PREDICTIONS, RECORD, SCHEMA, VALIDATION
from medtransfer.runs import KEYS, Run

RUNS_AT_ONCE = 32
LISTS = {
    PREDICTIONS: [("logits", pa.list_(pa.float32()))],
    VALIDATION: [
        ("steps", pa.list_(pa.int64())),
        ("images_seen", pa.list_(pa.int64())),
        ("logits", pa.list_(pa.float32())),
    ],
}
"""What is held of each run beside its keys."""
COPIED = ("completeness.csv", "upstreams.csv", "claims.csv", "similarity.parquet", "provenance.parquet")
DERIVED = ("replicates.parquet", "curves.parquet", "diagrams.parquet")
"""Tables that can be computed from frozen predictions, and are many times as large."""
VALUES = ("value", "ci_low", "ci_high")
"""Columns of the metrics that are kept as float32: they are there to be compared with what predictions give."""


def freeze(
    results: Path,
    folder: Path,
    tier: str,
    config: dict[str, Any],
    cohorts: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    derived: bool,
) -> None:
    """Write the frozen results of a tier, all or nothing.

    Args:
        results: Folder of the tier's results; all runs of its completeness.csv are there.
        folder: The folder to write; there is none yet.
        tier: The tier's name.
        config: The configuration that made the results.
        cohorts: All cohorts, of which what is in them is kept.
        groups: For each cohort that is predicted the columns that sub-groups are made of.
        derived: Whether the tables that can be computed from predictions are kept, too, and metrics in full precision.

    Raises:
        UserError: The folder is there already, or runs are missing.
    """
    if folder.exists():
        raise UserError(
            f"{folder} is there already, and frozen results are written once. Move it away, or remove it, to freeze "
            "others in its place."
        )
    runs = _finished_runs(results / "completeness.csv")
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in (*COPIED, *(DERIVED if derived else ())):
        shutil.copyfile(results / name, draft / name)
    metrics = pd.read_parquet(results / "metrics.parquet")
    _write(metrics if derived else metrics.astype(dict.fromkeys(VALUES, "float32")), draft / "metrics.parquet", VALUES)
    (draft / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (draft / "quality").mkdir()
    for cohort in cohorts:
        shutil.copyfile(results / "quality" / f"{cohort}.csv", draft / "quality" / f"{cohort}.csv")
    predicted: dict[str, set[str]] = {}
    for task in dict.fromkeys(run.task for run in runs):
        own = [run for run in runs if run.task == task]
        images = _freeze_logits(own, results, draft, PREDICTIONS)
        for cohort, part in images.groupby("cohort"):
            predicted.setdefault(str(cohort), set()).update(part["image_id"])
        _freeze_logits(own, results, draft, VALIDATION)
    for cohort, image_ids in predicted.items():
        table = pd.read_parquet(results / "cohorts" / f"{cohort}.parquet")
        wanted = ["image_id", *(column for column in groups[cohort] if column in table)]
        _write(table.loc[table["image_id"].isin(image_ids), wanted], draft / "cohorts" / f"{cohort}.parquet")
    files = {str(path.relative_to(draft)): file_digest(path) for path in sorted(draft.rglob("*")) if path.is_file()}
    record = {"schema": SCHEMA, "tier": tier, "code": code_version(), "machine": this_machine(), "files": files}
    write_json(record, draft / RECORD)
    draft.rename(folder)


def code_version() -> dict[str, Any]:
    """The commit of the code, and whether it was modified since; None where that cannot be told."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "modified": None}
    return {"commit": commit, "modified": bool(changes.stdout.strip())}


def _finished_runs(completeness: Path) -> list[Run]:
    table = pd.read_csv(completeness, keep_default_na=False)
    if len(missing := table[table["status"] != "present"]):
        raise UserError(
            f"{len(missing)} of {len(table)} runs are missing ({completeness} lists them): only what is complete can "
            "be frozen. Run the workflow to its end, or take them out of the configuration."
        )
    return [Run.of(row) for row in table.to_dict("records")]


def _freeze_logits(runs: Sequence[Run], results: Path, draft: Path, kind: str) -> pd.DataFrame:
    """Write the logits of all runs of a task, and once the images that they belong to; those are given back."""
    path = draft / kind / f"{runs[0].task}.parquet"
    path.parent.mkdir(exist_ok=True)
    images = _looks(results, runs[0], kind)[0][1]
    _write(images, path.with_suffix(".images.parquet"))
    keys = [(key, pa.int64() if key == "seed" else pa.string()) for key in KEYS]
    schema = pa.schema([*keys, *LISTS[kind]])
    with pq.ParquetWriter(path, schema, **_options(list(KEYS), ["logits.list.element"])) as writer:
        for start in range(0, len(runs), RUNS_AT_ONCE):
            rows = [_row(run, _looks(results, run, kind), images) for run in runs[start : start + RUNS_AT_ONCE]]
            columns = {field.name: pa.array([row[field.name] for row in rows], field.type) for field in schema}
            writer.write_table(pa.table(columns, schema))
    return images


def _looks(results: Path, run: Run, kind: str) -> list[tuple[tuple[int, int], pd.DataFrame, np.ndarray]]:
    """What was predicted of a run: step and images seen, the images and targets, the logits [images, labels]."""
    table = pd.read_parquet(results / "runs" / run.path / f"{kind}.parquet")
    if kind == PREDICTIONS:
        table = table.assign(step=0, images_seen=0)
    logits = [name for name in table if name.startswith(LOGIT)]
    return [
        (
            when,
            look.drop(columns=["step", "images_seen", *logits]).reset_index(drop=True),
            look[logits].to_numpy(np.float32),
        )
        for when, look in table.groupby(["step", "images_seen"])
    ]


def _row(
    run: Run, looks: list[tuple[tuple[int, int], pd.DataFrame, np.ndarray]], images: pd.DataFrame
) -> dict[str, Any]:
    for _, seen, _ in looks:
        if not seen.equals(images):
            raise UserError(
                f"{run.path} was not predicted on the images and targets of the other runs of its task. "
                "Remove what was made with another configuration, and run the workflow again."
            )
    steps, images_seen = zip(*(when for when, _, _ in looks), strict=True)
    logits = np.concatenate([logits.ravel() for _, _, logits in looks])
    return {**run.keys, "steps": steps, "images_seen": images_seen, "logits": logits}


def _write(table: pd.DataFrame, path: Path, floats: Sequence[str] = ()) -> None:
    path.parent.mkdir(exist_ok=True)
    others = [name for name in table if name not in floats]
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, **_options(others, floats))


def _options(repeated: Sequence[str], floats: Sequence[str]) -> dict[str, Any]:
    """How columns are stored: those of few values by dictionary, numbers byte by byte, which compresses them best."""
    return {
        "compression": "zstd",
        "compression_level": 19,
        "use_dictionary": list(repeated),
        "use_byte_stream_split": list(floats),
    }
