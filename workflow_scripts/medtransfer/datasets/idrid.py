"""IDRiD: 516 fundus photographs from Nanded, India, graded for retinopathy and macular oedema (Porwal et al. 2018).

Expected: the folder "B. Disease Grading" with "1. Original Images/a. Training Set/*.jpg", ".../b. Testing Set/*.jpg",
"2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv" and ".../b. IDRiD_Disease Grading_Testing Labels.csv".
From https://ieee-dataport.org/open-access/indian-diabetic-retinopathy-image-dataset-idrid.

Training and testing images have the same names: an image is known by its folder and name. The published test set is
test; a tenth of the training images, by hash, is val. There are no patient ids: each image stands for a patient. A risk
of macular oedema of 1 or 2 counts as macular oedema.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._retina import RETINOPATHY, grade_labels, grade_reason, tidy_grade
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

LABELS = (*RETINOPATHY, "macular_edema")
CHANNELS = 3
PREPARATION = "fundus"
SHARES = {"train": 0.9, "val": 0.1}
TRAIN = "a. IDRiD_Disease Grading_Training Labels.csv"
TEST = "b. IDRiD_Disease Grading_Testing Labels.csv"


def read(raw: Path) -> Reading:
    """Read IDRiD: one row per image."""
    folder = RawFolder(raw, __doc__)
    train = _graded(folder.table(TRAIN), "a. Training Set", "train")
    test = _graded(folder.table(TEST), "b. Testing Set", "test")
    train["split"] = split_by_hash(train["image_id"], SHARES)
    listing = pd.concat([train, test], ignore_index=True)
    return assemble(listing, LABELS, folder.images(depth=2), "the tables of labels")


def _graded(path: Path, images: str, split: str) -> pd.DataFrame:
    columns = {"name": "Image name", "written": "Retinopathy grade", "risk": "Risk of macular edema"}
    rows = read_table(path, columns)
    grade = tidy_grade(rows["written"])
    risk = pd.to_numeric(rows["risk"], errors="coerce")
    image_id = f"{split}_" + rows["name"].map(stem)
    return rows.assign(
        file=(f"{images}/" + rows["name"]).where(rows["name"] != "", ""),
        image_id=image_id,
        reason=grade_reason(rows["written"], grade),
        patient_id=image_id,
        split=split,
        macular_edema=(risk.where(risk.isin([0, 1, 2])) >= 1).astype("Int8").mask(~risk.isin([0, 1, 2])),
        **grade_labels(grade),
    )
