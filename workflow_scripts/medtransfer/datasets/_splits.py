"""Splits that need no stored state, and the check that no patient stands in two."""

import hashlib
from itertools import accumulate

import pandas as pd

from medtransfer.errors import UserError


def split_by_hash(ids: pd.Series, shares: dict[str, float]) -> pd.Series:
    """Give every id a split, by its SHA-256 alone: the same id lands in the same split in every dataset and version.

    `shares` are the expected shares of the splits and sum to 1. Returns split names on the index of `ids`.
    """
    bounds = list(accumulate(shares.values()))
    if abs(bounds[-1] - 1) > 1e-9:
        raise ValueError(f"shares sum to {bounds[-1]}, not to 1")
    names = list(shares)

    def split(patient: str) -> str:
        position = int.from_bytes(hashlib.sha256(str(patient).encode()).digest()[:6], "big") / 2**48
        return next((name for name, bound in zip(names, bounds, strict=True) if position < bound), names[-1])

    return ids.map({patient: split(patient) for patient in ids.unique()}).astype("str")


def check_splits(cohort: pd.DataFrame) -> None:
    """Raise UserError when a patient stands in two splits, naming some such patients and their splits."""
    splits = cohort.groupby("patient_id")["split"].unique()
    shared = splits[splits.str.len() > 1]
    if len(shared):
        some = "; ".join(f"{patient} in {', '.join(sorted(names))}" for patient, names in shared.head(5).items())
        raise UserError(
            f"{len(shared)} patients stand in more than one split: {some}. Every patient must be in a single one: "
            "correct the dataset's split lists, or take them from the original source."
        )
