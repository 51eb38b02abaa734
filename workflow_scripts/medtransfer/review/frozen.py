"""Frozen results of a tier: all that its figures, tables and claims are made from, small enough to travel.

Logits stand once for each run, images and their targets once for each task. Metrics and their replicates are computed
from them when they are needed, which takes seconds and no GPU, data or torch.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from medtransfer.errors import UserError
from medtransfer.files import file_digest
from medtransfer.runs import KEYS, Run

SCHEMA = 1
RECORD = "frozen.json"
PREDICTIONS, VALIDATION = "predictions", "validation"
LOGIT, TARGET = "logit_", "target_"


@dataclass(frozen=True)
class Frozen:
    """A folder of frozen results, with what its record says."""

    folder: Path
    tier: str
    code: dict[str, Any]
    machine: dict[str, Any]
    files: dict[str, str]
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, folder: Path | str) -> "Frozen":
        """Read the record of frozen results.

        Raises:
            UserError: There are none, or they are of another schema.
        """
        folder = Path(folder)
        try:
            record = json.loads((folder / RECORD).read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{folder} holds no frozen results: there is no {RECORD}. `snakemake freeze` makes them from finished "
                "results; those of the demo tier come with the repository."
            ) from None
        if record.get("schema") != SCHEMA:
            raise UserError(
                f"{folder / RECORD}: schema {record.get('schema')!r}; this version reads schema {SCHEMA}. "
                f"Use the version of the code that made it: {record.get('code')}."
            )
        return cls(folder, *(record[key] for key in ("tier", "code", "machine", "files")))

    def path(self, name: str) -> Path:
        """Where a file of the frozen results lies."""
        return self.folder / name

    def problems(self) -> dict[str, str]:
        """Each file that is not as it was frozen, with what is wrong: it was changed, is missing, or was added."""
        there = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()} - {RECORD}
        changed = {name for name in there & set(self.files) if file_digest(self.path(name)) != self.files[name]}
        found = dict.fromkeys(changed, "was changed") | dict.fromkeys(set(self.files) - there, "is missing")
        return dict(sorted((found | dict.fromkeys(there - set(self.files), "was added")).items()))

    def check(self) -> None:
        """Hold all files against their checksums.

        Raises:
            UserError: Names every file that is not as it was frozen.
        """
        if found := self.problems():
            raise UserError(
                f"{len(found)} files of {self.folder} are not as they were frozen:\n"
                + "\n".join(f"  {name} {what}" for name, what in found.items())
                + "\nTake them from where these results were published; `snakemake verify` says what differs."
            )

    def runs(self) -> list[Run]:
        """The runs that are held, in the order of the run table."""
        table = pd.read_csv(self.path("completeness.csv"), keep_default_na=False)
        return [Run.of(row) for row in table[table["status"] == "present"].to_dict("records")]

    def predictions(self, run: Run) -> pd.DataFrame:
        """A run's predictions, as in its predictions.parquet.

        Raises:
            UserError: They are not held.
        """
        row = self._row(PREDICTIONS, run)
        return _with_logits(self._table(f"{PREDICTIONS}/{run.task}.images.parquet"), row["logits"])

    def validation(self, run: Run) -> pd.DataFrame:
        """What the looks at a run's network saw while it was trained, as in its validation.parquet.

        Raises:
            UserError: It is not held.
        """
        row = self._row(VALIDATION, run)
        images = self._table(f"{VALIDATION}/{run.task}.images.parquet")
        looks = row["logits"].reshape(len(row["steps"]), -1)
        tables = [
            _with_logits(images.assign(step=step, images_seen=seen), logits)
            for step, seen, logits in zip(row["steps"], row["images_seen"], looks, strict=True)
        ]
        first = ["step", "images_seen"]
        return pd.concat(tables, ignore_index=True)[[*first, *tables[0].columns.drop(first)]]

    def record(self, run: Run) -> dict[str, Any]:
        """The record of a run, as in its run.json."""
        table = self._table("provenance.parquet")
        (found,) = table.loc[(table[list(KEYS)] == [getattr(run, key) for key in KEYS]).all(axis=1), "record"]
        record: dict[str, Any] = json.loads(found)
        return record

    def _table(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            self._tables[name] = pd.read_parquet(self.path(name))
        return self._tables[name]

    def _row(self, kind: str, run: Run) -> dict[str, np.ndarray]:
        """What is held of a run beside its keys, each as an array."""
        path = self.path(f"{kind}/{run.task}.parquet")
        wanted = [(key, "==", value) for key, value in run.keys.items()]
        rows = pq.read_table(path, filters=wanted).drop_columns(list(KEYS)) if path.is_file() else None
        if rows is None or len(rows) != 1:
            held = len(rows) if rows is not None else "no"
            raise UserError(f"{path} holds {held} rows of {run.path}; there should be one.")
        return {name: rows[name].combine_chunks().flatten().to_numpy() for name in rows.column_names}


def _with_logits(images: pd.DataFrame, logits: np.ndarray) -> pd.DataFrame:
    """Images with the columns logit_<label> before those of targets, as predictions have them."""
    labels = [name.removeprefix(TARGET) for name in images if name.startswith(TARGET)]
    columns = pd.DataFrame(logits.reshape(len(images), len(labels)), columns=[LOGIT + label for label in labels])
    whole = pd.concat([images.reset_index(drop=True), columns], axis=1)
    return whole[
        [*(name for name in images if not name.startswith(TARGET)), *columns, *(TARGET + label for label in labels)]
    ]
