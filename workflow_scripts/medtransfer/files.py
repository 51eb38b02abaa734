"""Atomic writes: a file is there whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`, moved onto it when the block ends well and removed when it does not.

    The temporary file keeps the suffix of `path`, since many writers choose their format by it. Its content is
    flushed to disk before the move, so that a full disk is an OSError here and never a truncated file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_parquet(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table to Parquet, atomically and without its index."""
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_csv(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table to CSV, atomically and without its index."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)


def write_json(content: Any, path: Path | str) -> None:
    """Write plain Python content to indented JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def write_text(content: str, path: Path | str) -> None:
    """Write a text file, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(content)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, atomically; a copy where the file system knows no such thing."""
    with atomic(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copy2(source, temporary)
