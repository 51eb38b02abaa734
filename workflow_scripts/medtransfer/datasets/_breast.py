"""What mammography readers share: sides, densities and yes-or-no cells in one form, labels of findings, flat copies."""

import pandas as pd

from medtransfer.datasets._raw import Images, stem

SIDES = {"l": "L", "left": "L", "r": "R", "right": "R"}
FLAGS = {"1": 1, "1.0": 1, "true": 1, "0": 0, "0.0": 0, "false": 0}
DENSITIES = {"1": "A", "2": "B", "3": "C", "4": "D"} | {letter: letter for letter in "ABCD"}
STANDARD_VIEWS = ("CC", "MLO")


def tidy_side(written: pd.Series) -> pd.Series:
    """ "L", "R" or missing, from L, left, R and right in any case."""
    return written.str.strip().str.casefold().map(SIDES).astype("str")


def tidy_density(written: pd.Series) -> pd.Series:
    """BI-RADS density "A" (fatty) to "D" (extremely dense), from letters, "DENSITY C" or 1 to 4; else missing."""
    category = written.str.strip().str.upper().str.extract(r"^(?:DENSITY\s+)?([A-D1-4])(?:\.0)?$", expand=False)
    return category.map(DENSITIES).astype("str")


def tidy_flag(written: pd.Series) -> pd.Series:
    """1 or 0 from 1, 0, true and false in any case; anything else is missing."""
    return written.str.strip().str.casefold().map(FLAGS).astype("Int8")


def worst_finding(labels: pd.Series, whose: pd.Series) -> pd.Series:
    """One label for each value of `whose`, in order of appearance, from the labels (1, 0 or missing) of its findings.

    1 where any finding is 1; otherwise missing where one is missing; otherwise 0.
    """
    findings = labels.astype("Float64").groupby(whose, sort=False)
    worst = findings.max()
    return worst.where((worst == 1).fillna(False) | (findings.count() == findings.size())).astype("Int8")


def find_flat_copies(images: Images, files: pd.Series) -> pd.Series:
    """`files`, but where folder/name is not among `images` and folder_name is (converted copies), the latter's path."""
    flat = {stem(path.split("/")[-1]): path for path in reversed(images.paths)}
    found = images.match(files.tolist())
    copies = files.map(lambda file: flat.get(stem("_".join(file.split("/")[-2:]))))
    return files.where(pd.Series(found, index=files.index, dtype=object).notna() | copies.isna(), copies).astype("str")
