"""What was fetched into a dataset's folder: addresses, checksums and sizes, in `.acquired.json` beside the files."""

import json
from pathlib import Path
from typing import TypedDict

from medtransfer.errors import UserError
from medtransfer.files import write_json

NAME = ".acquired.json"


class Entry(TypedDict):
    """One finished download."""

    sha256: str
    bytes: int
    verified: bool
    """Whether a checksum was known before; otherwise `sha256` is only what was found."""
    files: int
    """How many files came of it, 0 for one that lay there before."""


Record = dict[str, Entry]  # by address


def read_record(folder: Path) -> Record | None:
    """The record of a dataset's folder, None where nothing was ever fetched. Raises UserError for an unreadable one."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        record: Record = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}. Remove it; what is there already is found again.") from None
    return record


def write_record(folder: Path, record: Record) -> None:
    """Write the record of a dataset's folder."""
    write_json(dict(sorted(record.items())), folder / NAME)
