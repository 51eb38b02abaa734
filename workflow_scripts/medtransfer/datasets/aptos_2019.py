"""APTOS 2019: 3,662 graded fundus photographs from Aravind Eye Hospital, India (Kaggle Blindness Detection, 2019).

Expected: train.csv, and train_images/*.png in any subfolder; where they are there, test.csv and test_images/*.png are
listed as rejected, having no grades. From https://www.kaggle.com/c/aptos2019-blindness-detection.

Neither patients nor eyes are told: each image stands for a patient, and the split is by hash of its id. Images that
occur twice under different ids can stand in two splits.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._retina import RETINOPATHY, grade_labels, grade_reason, tidy_grade
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

LABELS = RETINOPATHY
CHANNELS = 3
PREPARATION = "fundus"
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def read(raw: Path) -> Reading:
    """Read APTOS 2019: one row per graded image, its grade one-hot."""
    folder = RawFolder(raw, __doc__)
    path, test_path = folder.table("train.csv"), folder.find("test.csv")
    rows = read_table(path, {"file": "id_code", "diagnosis": "diagnosis"})
    rows["reason"] = grade_reason(rows["diagnosis"], tidy_grade(rows["diagnosis"]))
    if test_path is not None:
        ungraded = read_table(test_path, {"file": "id_code"}).assign(
            diagnosis="", reason=f"no grade: an image of {test_path.name}"
        )
        rows = pd.concat([rows, ungraded], ignore_index=True)
    image_id = rows["file"].map(stem)
    listing = rows.assign(
        image_id=image_id,
        patient_id=image_id,
        split=split_by_hash(image_id, SHARES),
        **grade_labels(tidy_grade(rows["diagnosis"])),
    )
    return assemble(listing, LABELS, folder.images(), path.name)
