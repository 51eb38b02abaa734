"""Cohort tables: their checks, the rows a task uses, and the targets it trains on."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from medtransfer.config import Task
from medtransfer.datasets._splits import check_splits
from medtransfer.errors import UserError

REQUIRED = ("image_id", "patient_id", "study_id", "path", "split")
SPLITS = ("train", "val", "test")


def check_cohort(cohort: pd.DataFrame, dataset: str) -> None:
    """Assert what every later stage relies on.

    Raises:
        UserError: A column is missing, an image occurs twice, a split is unknown, a label is neither 1, 0 nor
            missing, or a patient stands in two splits.
    """
    if missing := [column for column in (*REQUIRED, "dataset", "row") if column not in cohort]:
        raise UserError(f"Cohort {dataset}: lacks the columns {missing}; it has {list(cohort)}.")
    if (twice := cohort["image_id"][cohort["image_id"].duplicated()]).size:
        raise UserError(
            f"Cohort {dataset}: {len(twice)} image ids occur more than once, the first is {twice.iloc[0]!r}."
        )
    if strange := set(cohort["split"].unique()) - set(SPLITS):
        raise UserError(
            f"Cohort {dataset}: column split holds {sorted(map(str, strange))}; allowed: {', '.join(SPLITS)}."
        )
    check_splits(cohort)
    for label in label_columns(cohort):
        if not cohort[label].dropna().isin([0, 1]).all():
            raise UserError(f"Cohort {dataset}: label {label} holds values other than 1, 0 and missing.")


def exclude(cohort: pd.DataFrame, dataset: str, exclusions: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take out the images that the configuration excludes.

    `exclusions` are CSV files with the columns dataset, image_id and reason. Returns the cohort without the images of
    `dataset` that they name, and `file` and `reason` of these. Raises UserError for a file without those columns.
    """
    reasons: dict[str, str] = {}
    for path in exclusions:
        listed = pd.read_csv(path, dtype="str", keep_default_na=False)
        if missing := [column for column in ("dataset", "image_id", "reason") if column not in listed]:
            raise UserError(f"{path}, named by the key exclude, lacks the columns {missing}; it has {list(listed)}.")
        listed = listed[listed["dataset"] == dataset]
        reasons |= {
            image: f"excluded by {path}: {reason}"
            for image, reason in zip(listed["image_id"], listed["reason"], strict=True)
        }
    reason = cohort["image_id"].map(reasons)
    excluded = pd.DataFrame({"file": cohort["path"], "reason": reason})[reason.notna()]
    return cohort[reason.isna()].reset_index(drop=True), excluded


def label_columns(cohort: pd.DataFrame) -> list[str]:
    """The label columns of a cohort: those of type Int8."""
    return [column for column in cohort if cohort[column].dtype == "Int8"]


def select(cohort: pd.DataFrame, task: Task, split: str) -> pd.DataFrame:
    """The rows of a split that a task uses: those of its views, with a value for at least one of its labels.

    In the training split uncertain labels count as values, since the task's policy may give them one.
    """
    rows = cohort[cohort["split"] == split]
    if task.views is not None and "view" in rows:
        rows = rows[rows["view"].isin(task.views) | rows["view"].isna()]
    known = np.isfinite(targets(rows, task, training=split == "train")).any(axis=1)
    return rows[known].reset_index(drop=True)


def targets(rows: pd.DataFrame, task: Task, *, training: bool) -> np.ndarray:
    """Targets [rows, labels] as float32: 1, 0 or NaN where a label has no value.

    Args:
        rows: Rows of a cohort. A label that it lacks altogether has no value anywhere.
        task: For training, its policies for uncertain and blank labels are applied (Irvin et al. 2019 call them
            U-Ignore, U-Zeros and U-Ones); evaluation uses definite labels alone.
        training: Whether these are training targets.
    """
    columns = []
    for label in task.labels:
        if label not in rows:
            columns.append(np.full(len(rows), np.nan, dtype=np.float32))
            continue
        values = rows[label].astype("Float32").to_numpy(dtype=np.float32, na_value=np.nan)
        if training:
            values = _apply_policies(values, _uncertain(rows, label), task, label)
        columns.append(values)
    return np.stack(columns, axis=1)


def _uncertain(rows: pd.DataFrame, label: str) -> np.ndarray:
    if "uncertain" not in rows:
        return np.zeros(len(rows), dtype=bool)
    return np.array([label in str(listed).split("|") for listed in rows["uncertain"]], dtype=bool)


def _apply_policies(values: np.ndarray, uncertain: np.ndarray, task: Task, label: str) -> np.ndarray:
    given = {"ignore": np.nan, "zeros": 0.0, "ones": 1.0}
    policy = task.uncertain_overrides.get(label, task.uncertain)
    blank = np.isnan(values) & ~uncertain
    values = np.where(uncertain, given[policy], values)
    return np.where(blank, given[task.blank], values).astype(np.float32)
