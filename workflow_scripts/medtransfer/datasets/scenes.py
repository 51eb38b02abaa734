"""Scenes: natural images sorted into folders by class, for pre-training; the layout of ImageNet and many others.

Expected: train/<class>/<image> and val/<class>/<image>, in any image format. The demo writes its own; any folder of
that layout serves.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, stem
from medtransfer.datasets.base import Reading

LABELS: tuple[str, ...] = ()
CHANNELS = 3
SPLITS = ("train", "val", "test")


def read(raw: Path) -> Reading:
    """Read an image folder: one row per image, with the name of its folder as class_name."""
    folder = RawFolder(raw, __doc__)
    paths = pd.Series(folder.images().paths, dtype="str")
    parts = paths.str.extract(rf"^(?P<split>{'|'.join(SPLITS)})/(?P<class_name>[^/]+)/[^/]+$")
    placed = parts["split"].notna()
    if not placed.any():
        raise folder.missing("images in train/<class>/ and val/<class>/")
    rejected = pd.DataFrame({"file": paths[~placed], "reason": f"not in {'/<class>/, '.join(SPLITS)}/<class>/"})
    table = pd.DataFrame({"image_id": paths.map(stem), "path": paths, **parts})[placed]
    twins = table["image_id"].duplicated(keep=False)
    table["image_id"] = table["image_id"].mask(twins, table["path"])
    table = table.assign(patient_id=table["image_id"], study_id=table["image_id"])
    columns = ["image_id", "patient_id", "study_id", "path", "class_name", "split"]
    return Reading(table[columns].reset_index(drop=True), rejected.reset_index(drop=True))
