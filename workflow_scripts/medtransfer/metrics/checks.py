"""What predictions must be before anything is measured on them."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from medtransfer.errors import UserError
from medtransfer.metrics.scores import Kind


def check_predictions(predictions: pd.DataFrame, labels: Sequence[str], kind: Kind, id_cohort: str) -> None:
    """Raise a UserError that names the columns, the image or the cohort at fault; return when there is none."""
    keys = ["cohort", "split", "image_id", "patient_id"]
    logits, targets = [f"logit_{label}" for label in labels], [f"target_{label}" for label in labels]
    require_columns(predictions, [*keys, *logits, *targets], "predictions")
    if id_cohort not in set(predictions["cohort"]):
        have = ", ".join(sorted(set(predictions["cohort"]))) or "none"
        raise UserError(f"The predictions have no image of the in-distribution cohort {id_cohort!r}, but of: {have}.")
    require_unique_images(predictions, "predictions")
    _refuse(
        predictions,
        predictions[keys].isna().any(axis=1).to_numpy(),
        "has no cohort, split, image_id or patient_id. Predict again from a cohort in which every image has them.",
    )
    _refuse(
        predictions,
        ~np.isfinite(predictions[logits].to_numpy(dtype=float)).all(axis=1),
        "has a logit that is not finite. Training has probably diverged: lower the learning rate and train again.",
    )
    values = predictions[targets].to_numpy(dtype=float)
    _refuse(predictions, ~(np.isin(values, (0, 1)) | np.isnan(values)).all(axis=1), "has a target beside 0, 1 and NaN.")
    if kind == "multiclass":
        _refuse(predictions, (values == 1).sum(axis=1) > 1, "belongs to several classes of a multi-class task.")


def require_columns(table: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    """Raise a UserError that lists the columns which the table lacks."""
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"The {name} lack the columns {', '.join(missing)}. They have: {', '.join(table.columns)}.")


def require_unique_images(table: pd.DataFrame, name: str) -> None:
    """Raise a UserError that names an image which stands in the table twice."""
    twice = table.duplicated(["cohort", "image_id"]).to_numpy()
    _refuse(table, twice, f"stands in the {name} twice. An image_id must be unique in its cohort.")


def _refuse(table: pd.DataFrame, bad: np.ndarray, what: str) -> None:
    if bad.any():
        first = table[bad].iloc[0]
        others = f" (so do {bad.sum() - 1} more)" if bad.sum() > 1 else ""
        raise UserError(f"Image {first['image_id']!r} of cohort {first['cohort']!r} {what}{others}")
