"""Grades of diabetic retinopathy, 0 (none) to 4 (proliferative), and eyes, as datasets write them, in one form."""

import re

import pandas as pd

GRADES = ("grade0", "grade1", "grade2", "grade3", "grade4")
RETINOPATHY = (*GRADES, "referable")
REFERABLE = 2  # the least grade that is referred to an ophthalmologist: moderate
EYES = {"left": "L", "l": "L", "right": "R", "r": "R"}


def tidy_grade(written: pd.Series) -> pd.Series:
    """Grades 0 to 4 as Int8, from "2" or "2.0"; anything else is missing."""
    grade = pd.to_numeric(written, errors="coerce")
    return grade.where(grade.isin(range(len(GRADES)))).astype("Int8")


def grade_labels(grade: pd.Series) -> dict[str, pd.Series]:
    """The labels RETINOPATHY of grades: one-hot grades, and whether an eye is referable; missing where the grade is."""
    one_hot = {label: (grade == number).astype("Int8") for number, label in enumerate(GRADES)}
    return one_hot | {"referable": (grade >= REFERABLE).astype("Int8")}


def grade_reason(written: pd.Series, grade: pd.Series) -> pd.Series:
    """What speaks against rows whose written grade is none of 0 to 4, and "" for all others."""
    reason = ("grade '" + written + "', not one of 0 to 4").mask(written == "", "no grade given")
    return reason.where(grade.isna(), "")


def split_name(image_id: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Patient and eye ("L" or "R") in names such as 10_left and Patient001_R; "" and missing for names without both."""
    parts = image_id.str.extract(r"^(?P<patient>.+)_(?P<eye>left|right|l|r)$", flags=re.IGNORECASE)
    return parts["patient"].fillna(""), parts["eye"].str.lower().map(EYES).astype("str")
