"""Sex, age and view, as datasets write them, in one form."""

import pandas as pd

SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
VIEWS = {
    "pa": "PA",
    "ap": "AP",
    "ap supine": "AP",
    "aps": "AP",
    "ap erect": "AP",
    "l": "lateral",
    "ll": "lateral",
    "rl": "lateral",
    "lateral": "lateral",
}
YEARS = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}  # DICOM age strings: 058Y, 010M, 003W, 020D
OLDEST = 120


def tidy_sex(written: pd.Series) -> pd.Series:
    """ "female", "male" or missing; anything but m, f, male and female (any case) is missing."""
    return written.str.strip().str.casefold().map(SEXES).astype("str")


def tidy_age(written: pd.Series) -> pd.Series:
    """Years, from numbers, DICOM age strings ("058Y", "010M") and text ("50+", "mid 50s": the number in it).

    Text without a number, and ages under 0 or over 120, are NaN.
    """
    parts = written.str.strip().str.extract(r"^(?P<before>[^\d-]*)(?P<number>-?\d+(?:\.\d+)?)\s*(?P<unit>[yYmMwWdD]?)")
    years = parts["number"].astype(float) * parts["unit"].str.lower().map(YEARS).fillna(1.0)
    return years.where(years.between(0, OLDEST))


def tidy_view(written: pd.Series) -> pd.Series:
    """ "PA", "AP" (erect or supine) or "lateral"; anything else is missing."""
    return written.str.strip().str.casefold().map(VIEWS).astype("str")
