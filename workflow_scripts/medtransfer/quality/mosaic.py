"""Pictures for a cohort's page: a sample of its images, and pairs side by side."""

import base64
import hashlib
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image

from medtransfer.cohorts import label_columns

SIDE = 96  # pixels of an image in a picture
GAP = 4


def sample(cohort: pd.DataFrame, n: int) -> pd.DataFrame:
    """Up to `n` rows, the same every time: each label (or class) in turn, within it by the SHA-256 of the image id."""
    key = cohort["image_id"].map(lambda name: hashlib.sha256(str(name).encode()).hexdigest())
    ordered = cohort.assign(_key=key, _stratum=_strata(cohort)).sort_values("_key")
    turn = ordered.groupby("_stratum").cumcount()
    chosen = ordered.assign(_turn=turn).sort_values(["_turn", "_key"]).head(n)
    return chosen.drop(columns=["_key", "_stratum", "_turn"])


def mosaic(images: Sequence[np.ndarray], columns: int) -> Image.Image:
    """Images of any size, grey or colour, in rows of `columns`, each fitted into a square of SIDE pixels."""
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (SIDE + GAP) - GAP, rows * (SIDE + GAP) - GAP), "white")
    for place, pixels in enumerate(images):
        tile = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB").resize((SIDE, SIDE))
        sheet.paste(tile, (place % columns * (SIDE + GAP), place // columns * (SIDE + GAP)))
    return sheet


def data_uri(picture: Image.Image) -> str:
    """A picture as text that a web page can hold: a JPEG in base64."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _strata(cohort: pd.DataFrame) -> pd.Series:
    """The class, or the first label that is positive."""
    if "class_name" in cohort:
        return cohort["class_name"].astype(str)
    labels = label_columns(cohort)
    positive = cohort[labels].eq(1).fillna(False).to_numpy(dtype=bool).reshape(len(cohort), len(labels))
    named = np.array([*labels, "none"], dtype=object)
    return pd.Series(named[np.argmax(np.pad(positive, ((0, 0), (0, 1)), constant_values=True), axis=1)], cohort.index)
