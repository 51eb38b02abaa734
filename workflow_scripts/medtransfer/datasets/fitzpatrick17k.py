"""Fitzpatrick17k: 16,577 clinical photographs of 114 skin conditions, with skin types I to VI (Groh et al. 2021).

Expected: fitzpatrick17k.csv and the images <md5hash>.jpg in any subfolder, as in images/ or data/finalfitz17k/. The
table from https://github.com/mattgroh/fitzpatrick17k, the images from the addresses in it or by the form linked there.

The three-part diagnosis (malignant, benign, non-neoplastic) is one-hot; the condition is the column class_name. There
are no patient ids: each image, known by its hash, stands for a patient, and the split is by that hash. An unknown skin
type (-1) is missing. 504 images were checked (column qc): the policy `quality` says whether those that are wrongly
labelled are kept.
"""

from pathlib import Path

import numpy as np

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

LABELS = ("malignant", "benign", "non_neoplastic")
CHANNELS = 3
POLICIES = {"quality": ("keep", "drop")}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
SKIN_TYPES = dict(zip("123456", ("I", "II", "III", "IV", "V", "VI"), strict=True))
WRONG = "3 Wrongly labelled"


def read(raw: Path, *, quality: str = "keep") -> Reading:
    """Read Fitzpatrick17k: one row per image, one-hot labels.

    `quality`: "drop" rejects the images that were checked and found wrongly labelled, "keep" keeps them.
    """
    folder = RawFolder(raw, __doc__)
    path = folder.table("fitzpatrick17k.csv")
    columns = {"file": "md5hash", "diagnosis": "three_partition_label", "class_name": "label"}
    rows = read_table(path, columns | {"skin_type": "fitzpatrick_scale|fitzpatrick"}, optional={"checked": "qc"})
    diagnosis = rows["diagnosis"].str.casefold().str.replace(r"[-\s]+", "_", regex=True)
    image_id = rows["file"].map(stem)
    listing = rows.assign(
        image_id=image_id,
        reason=np.select(
            [~diagnosis.isin(LABELS), (rows["checked"] == WRONG) & (quality == "drop")],
            ["unknown diagnosis '" + rows["diagnosis"] + "'", "checked and found wrongly labelled"],
            default="",
        ),
        patient_id=image_id,
        class_name=rows["class_name"].where(rows["class_name"] != ""),
        skin_type=rows["skin_type"].str.removesuffix(".0").map(SKIN_TYPES).astype("str"),
        split=split_by_hash(image_id, SHARES),
        **{label: (diagnosis == label).astype("Int8") for label in LABELS},
    )
    return assemble(listing, LABELS, folder.images(), path.name)
