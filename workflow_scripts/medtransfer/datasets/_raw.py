"""Raw folders as people have them: tables and images wherever they were unpacked, whatever became of their suffixes."""

import csv
import os
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from medtransfer.errors import UserError

IMAGE_SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".jfif", ".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm", ".webp")
}
NOT_THE_DATASET = {"originals_sample", "annotations", "__MACOSX"}  # folders with copies, masks and other companions


class RawFolder:
    """All files beneath a dataset's folder, looked up once.

    `layout` is told to the user when something is missing: what the folder should hold and where to get it. Raises
    UserError when the folder is not there.
    """

    def __init__(self, raw: Path, layout: str | None) -> None:
        self.raw = raw
        self.layout = layout or ""
        if not raw.is_dir():
            raise self.missing("the folder itself")
        self.files: list[str] = []
        for folder, subfolders, names in os.walk(raw, followlinks=True):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            here = PurePosixPath(Path(folder).relative_to(raw).as_posix())
            self.files += [str(here / name) for name in names if not name.startswith(".")]
        self.files.sort(key=lambda path: (path.count("/"), path))

    def missing(self, what: str) -> UserError:
        """The error that says what is not in this folder and what should be."""
        return UserError(f"Missing in {self.raw}: {what}.\n{self.layout.strip()}")

    def find(self, *names: str) -> Path | None:
        """The first of `names` that is there, plain or as .gz, in any subfolder; the least deep one of several."""
        for name in names:
            wanted = {name.casefold(), f"{name}.gz".casefold()}
            depth = name.count("/") + 1
            for path in self.files:
                if "/".join(path.casefold().split("/")[-depth:]) in wanted:
                    return self.raw / path
        return None

    def table(self, *names: str) -> Path:
        """Like `find`, but raises UserError when none is there."""
        path = self.find(*names)
        if path is None:
            raise self.missing(f"the table {' or '.join(names)} (or .gz)")
        return path

    def images(self, depth: int = 1) -> "Images":
        """The image files beneath this folder. `depth`: how many trailing parts of a path make an image's name."""
        paths = [path for path in self.files if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES]
        return Images([path for path in paths if not NOT_THE_DATASET & set(path.split("/")[:-1])], depth)


class Images:
    """Image files by name, with and without suffix."""

    def __init__(self, paths: Sequence[str], depth: int) -> None:
        self.paths = paths
        self.depth = depth
        self.by_name: dict[str, list[str]] = defaultdict(list)
        self.by_stem: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            self.by_name[self.name(path)].append(path)
            self.by_stem[stem(self.name(path))].append(path)

    def name(self, path: str) -> str:
        return "/".join(path.replace("\\", "/").split("/")[-self.depth :])

    def match(self, files: Sequence[str]) -> list[str | None]:
        """The path of each listed file, or None where there is none.

        A file of exactly that name comes first. Otherwise a file of another suffix serves (converted copies), unless
        it is itself listed.
        """
        exact = [self.by_name.get(self.name(file), [None])[0] for file in files]
        claimed = set(exact)
        found: list[str | None] = []
        for file, path in zip(files, exact, strict=True):
            others = (other for other in self.by_stem.get(stem(self.name(file)), []) if other not in claimed)
            found.append(path or next(others, None))
        return found

    def unlisted(self, files: Sequence[str], paths: Sequence[str | None], table: str) -> list[tuple[str, str]]:
        """(path, reason) of every image that no listed file was matched with."""
        used = {stem(self.name(file)): path for file, path in zip(files, paths, strict=True) if path}
        matched = set(paths)
        left = [path for path in self.paths if path not in matched]
        twins = [used.get(stem(self.name(path))) for path in left]
        return [
            (path, f"{twin} has the same name and is used" if twin else f"not listed in {table}")
            for path, twin in zip(left, twins, strict=True)
        ]


def stem(name: str) -> str:
    """A file name without the suffix of an image; dots inside a name stay."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else name


def read_table(path: Path, required: dict[str, str], optional: dict[str, str] | None = None) -> pd.DataFrame:
    """Read some columns of a CSV file (.tab: tab-separated; .gz), or of the first sheet of an .xlsx, as stripped text.

    `required` and `optional` map the names to return to the names in the file; "a|b" allows either. Headers are
    compared without case and surrounding spaces. Blank cells and optional columns that are not there are "". The text
    may be UTF-8, with or without byte-order mark, or Windows-1252. Raises UserError, naming file and columns, when the
    file cannot be read.
    """
    table = _read_text(path)
    found = {str(column).strip().casefold(): column for column in reversed(table.columns)}
    wanted = required | (optional or {})
    sources = {
        name: next((found[choice] for choice in names.casefold().split("|") if choice in found), None)
        for name, names in wanted.items()
    }
    lacking = [names.replace("|", " or ") for name, names in required.items() if sources[name] is None]
    if lacking:
        raise UserError(
            f"{path} lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}. "
            f"It has: {', '.join(str(column).strip() for column in table.columns)}."
        )
    return pd.DataFrame(
        {name: "" if source is None else table[source] for name, source in sources.items()}, dtype="str"
    )


def _read_text(path: Path) -> pd.DataFrame:
    table = _read_sheet(path) if path.suffix == ".xlsx" else _read_csv(path)
    if table.empty:
        raise UserError(f"{path} has no rows. Fetch it again from its source.")
    return table.fillna("").apply(lambda column: column.str.strip())


def _read_sheet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_excel(path, dtype="str", keep_default_na=False, na_filter=False, engine="openpyxl")
    except Exception as error:  # openpyxl raises anything at all on damaged workbooks
        raise UserError(f"{path} cannot be read as a workbook: {error}. Fetch it again from its source.") from error


def _read_csv(path: Path) -> pd.DataFrame:
    separator = "\t" if ".tab" in path.suffixes else ","
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return pd.read_csv(
                path,
                sep=separator,
                dtype="str",
                keep_default_na=False,
                index_col=False,
                encoding=encoding,
                encoding_errors="strict" if encoding == "utf-8-sig" else "replace",
            )
        except UnicodeDecodeError:
            continue
        except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path} cannot be read as a table: {error}. Fetch it again from its source.") from error
    raise AssertionError("Windows-1252 with replacement reads any bytes")
