"""A digest of what a table says, whatever the order of its rows and however it is stored."""

import hashlib

import numpy as np
import pandas as pd

ORDER = ["step", "cohort", "split", "image_id"]
"""Columns that tell the rows of predictions and of validation tables apart, as far as a table has them."""


def digest(table: pd.DataFrame) -> str:
    """SHA-256 of the values of a table of predictions or of validation logits, in hexadecimal.

    Rows are put in the order of step, cohort, split and image, columns in that of their names; numbers count as float32
    or int64, all missing ones alike. Two tables have one digest if and only if their predictions are bit-identical.
    """
    rows = table.sort_values([name for name in ORDER if name in table], kind="stable")
    sha = hashlib.sha256()
    for name in sorted(rows.columns):
        sha.update(f"{name}\0".encode() + _content(rows[name]) + b"\0")
    return sha.hexdigest()


def _content(column: pd.Series) -> bytes:
    if pd.api.types.is_float_dtype(column):
        values = column.to_numpy("<f4")
        return np.where(np.isnan(values), np.float32("nan"), values).tobytes()
    if pd.api.types.is_integer_dtype(column):
        return column.to_numpy("<i8").tobytes()
    return "\0".join(column.astype(str)).encode()
