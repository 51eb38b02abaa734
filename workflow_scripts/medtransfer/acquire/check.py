"""What a dataset's folder holds, against what its card says it should."""

import re
import zlib
from pathlib import Path, PurePosixPath

import pandas as pd

from medtransfer.datasets._raw import IMAGE_SUFFIXES, RawFolder, stem
from medtransfer.datasets.card import Card, File

COLUMNS = ["path", "what", "expected", "found", "verdict"]
Row = tuple[str, str, str, str, str]


def check(card: Card, raw: Path) -> pd.DataFrame:
    """Compare a dataset's folder with its card.

    One row for the number of files of each kind, for the rows of each table, and for each column:

    - `path`: as the card writes it; `what`: files, rows, or `column <name>`; `expected`, `found`: text
    - `verdict`: ok; differs (another number: another version, or a partial copy); missing (a required file or column is
      not there, or a table cannot be read)

    Images are found whatever their suffix, as the readers find them. A folder that is not there holds nothing.
    """
    folder = RawFolder(raw, None) if raw.is_dir() else None
    rows: list[Row] = []
    for file in card.files:
        matches = find(file.path, folder) if folder else []
        rows.append(_count(file, len(matches)))
        if matches and (file.rows is not None or file.columns):
            rows += _table(file, raw / matches[0])
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def in_words(checked: pd.DataFrame, verdict: str) -> list[str]:
    """The rows of `check` with one verdict, as sentences."""
    rows = checked[checked["verdict"] == verdict].itertuples()
    return [f"{row.path}: {row.what}, expected {row.expected}, found {row.found}" for row in rows]


def find(pattern: str, folder: RawFolder) -> list[str]:
    """Files whose path ends in `pattern`, with * for any part of a name, plain or as .gz, the least deep first.

    Case does not count; neither does the suffix of images.
    """
    if PurePosixPath(pattern).suffix.lower() in IMAGE_SUFFIXES:
        wanted = _expression(stem(pattern))
        return [path for path in folder.images().paths if wanted.fullmatch(stem(path))]
    wanted = _expression(pattern)
    return [path for path in folder.files if wanted.fullmatch(re.sub(r"\.gz$", "", path)) or wanted.fullmatch(path)]


def _expression(pattern: str) -> re.Pattern[str]:
    names = "[^/]*".join(re.escape(part) for part in pattern.split("*"))
    return re.compile(f"(.*/)?{names}", re.IGNORECASE)


def _count(file: File, found: int) -> Row:
    expected = "1 or more" if file.count is None else str(file.count)
    if not found:
        verdict = "ok" if file.optional else "missing"
    else:
        verdict = "ok" if file.count in (None, found) else "differs"
    return file.path, "files", f"{expected}, optional" if file.optional else expected, str(found), verdict


def _table(file: File, path: Path) -> list[Row]:
    try:
        header, n_rows = _measure(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OSError, EOFError, zlib.error) as error:
        return [(file.path, "rows", str(file.rows or "1 or more"), f"unreadable: {error}", "missing")]
    rows: list[Row] = []
    if file.rows is not None:
        rows.append((file.path, "rows", str(file.rows), str(n_rows), "ok" if n_rows == file.rows else "differs"))
    for names in file.columns:
        there = [name for name in names.split("|") if name.casefold() in header]
        rows.append((file.path, f"column {names}", "there", *(("there", "ok") if there else ("not there", "missing"))))
    return rows


def _measure(path: Path) -> tuple[set[str], int]:
    """Header, in lower case, and number of rows of a table; cells may hold line breaks."""
    separator = "\t" if ".tab" in path.suffixes else ","
    # Names of columns are ASCII, and no other text is looked at: any encoding of which that is a part will do.
    header = pd.read_csv(path, sep=separator, dtype="str", encoding="latin-1", index_col=False, nrows=0)
    first = pd.read_csv(path, sep=separator, dtype="str", encoding="latin-1", index_col=False, usecols=[0])
    return {str(name).removeprefix("ï»¿").strip().casefold() for name in header.columns}, len(first)
