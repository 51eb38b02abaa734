"""What the report's figures and tables are made of: tables for readers, files embedded in the page."""

import base64
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medtransfer.errors import UserError

NUMERIC = re.compile(r"[-<\d., %\[\]]*|–")


@dataclass(frozen=True)
class Readable:
    """A table for readers: text in every cell, and which columns hold numbers alone."""

    columns: list[str]
    rows: list[list[str]]
    explanation: str

    @cached_property
    def numeric(self) -> list[bool]:
        """Of each column whether all its cells are numbers."""
        return [all(NUMERIC.fullmatch(row[place]) for row in self.rows) for place in range(len(self.columns))]


def read_markdown(path: Path | str, note: str) -> Readable:
    """Read a table that `medtransfer.plotting.tables.write_table` wrote, without the tier's note.

    Raises:
        UserError: A cell holds what separates cells.
    """
    table, _, explanation = Path(path).read_text().strip().partition("\n\n")
    columns, _, *rows = (
        [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split(" |")] for line in table.splitlines()
    )
    if broken := [row for row in rows if len(row) != len(columns)]:
        raise UserError(
            f"{path} has a row of {len(broken[0])} cells below {len(columns)} columns: {', '.join(broken[0])}. A title "
            "in the configuration may hold a bar ( |), which separates cells: write it otherwise."
        )
    return Readable(columns, rows, explanation.removesuffix(note).strip())


def data_uri(path: Path | str, kind: str) -> str:
    """A file as an address that holds all of it; `kind` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(Path(path).read_bytes()).decode()}"
