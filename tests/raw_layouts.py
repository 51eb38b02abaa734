"""Tiny raw folders, written by hand, and what holds for whatever a reader makes of them."""

from pathlib import Path
from typing import Any

from medtransfer.datasets import reader
from medtransfer.datasets.base import Reading

Files = dict[str, Any]  # contents by path, text or bytes


def put(raw: Path, files: Files) -> Path:
    for name, content in files.items():
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return raw


def images(*names: str) -> Files:
    """Readers never open images, so a name is enough."""
    return dict.fromkeys(names, b"")


def read(dataset: str, raw: Path) -> Reading:
    """Read, and check what holds for every reader."""
    module = reader(dataset)
    reading = module.read(raw)
    table = reading.table
    assert table["image_id"].is_unique and table["path"].is_unique
    assert set(table["split"]) <= {"train", "val", "test"}
    assert table.groupby("patient_id")["split"].nunique().max() <= 1 or table.empty
    assert table[["image_id", "patient_id", "study_id", "path", "split"]].notna().all(axis=None)
    assert all(str(table[label].dtype) == "Int8" for label in module.LABELS)
    assert list(reading.rejected.columns) == ["file", "reason"]
    assert (reading.rejected["reason"].str.len() > 0).all()
    return reading


def reasons(reading: Reading) -> dict[str, str]:
    return dict(zip(reading.rejected["file"], reading.rejected["reason"], strict=True))
