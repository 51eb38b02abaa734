"""How many images and patients a cohort has, in which splits, with which labels, of whom."""

import numpy as np
import pandas as pd

from medtransfer.cohorts import SPLITS, label_columns

SUBGROUPS = ("sex", "age", "race", "view", "laterality", "site", "skin_type", "density", "implant", "class_name")
AGES = {"under 18": 18, "18 to 39": 40, "40 to 59": 60, "60 to 79": 80, "80 and over": np.inf}  # years, upper bounds
MISSING = "missing"


def counts(cohort: pd.DataFrame) -> pd.DataFrame:
    """Tidy counts of a cohort: `section`, `name`, `value`, `split` and `count`.

    Sections: `size` (images, patients), `label` (for each label its positive, negative and missing images) and
    `subgroup` (for each column of SUBGROUPS that the cohort has, images by value; ages in bands). What a cell does not
    state counts as "missing". Every combination with a split is listed, also where the count is 0.
    """
    parts = [
        _by_split(cohort, pd.Series("images", cohort.index), "size", "size"),
        _by_split(cohort.drop_duplicates("patient_id"), pd.Series("patients", cohort.index), "size", "size"),
    ]
    names = {1: "positive", 0: "negative"}
    for label in label_columns(cohort):
        values = cohort[label].map(names).astype(object).fillna(MISSING)
        parts.append(_by_split(cohort, values, "label", label, ("positive", "negative", MISSING)))
    for column in [column for column in SUBGROUPS if column in cohort]:
        values = _ages(cohort["age"]) if column == "age" else cohort[column]
        values = values.astype(object).where(values.notna(), MISSING).astype(str)
        known = list(AGES) if column == "age" else sorted(set(values) - {MISSING})
        parts.append(_by_split(cohort, values, "subgroup", column, (*known, MISSING)))
    return pd.concat(parts, ignore_index=True)


def tally(reasons: pd.Series, section: str) -> pd.DataFrame:
    """How often each reason or note occurs, most frequent first, as rows of a table of `counts`."""
    found = reasons.value_counts().rename_axis("name").reset_index(name="count")
    return found.assign(section=section, value="", split="")[["section", "name", "value", "split", "count"]]


def _ages(ages: pd.Series) -> pd.Series:
    return pd.cut(ages, [-np.inf, *AGES.values()], right=False, labels=list(AGES))


def _by_split(
    rows: pd.DataFrame, values: pd.Series, section: str, name: str, order: tuple[str, ...] | None = None
) -> pd.DataFrame:
    values = values.loc[rows.index]
    table = pd.crosstab(values, rows["split"]).reindex(
        index=order or values.unique(), columns=list(SPLITS), fill_value=0
    )
    tidy = table.rename_axis("value").melt(var_name="split", value_name="count", ignore_index=False).reset_index()
    return tidy.assign(section=section, name=name)[["section", "name", "value", "split", "count"]]
