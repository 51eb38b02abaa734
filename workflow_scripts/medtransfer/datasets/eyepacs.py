"""EyePACS: 88,702 fundus photographs of both eyes, graded 0 to 4 (Kaggle Diabetic Retinopathy Detection, 2015).

Expected: trainLabels.csv, the JPEG images in any subfolder, as in train/10_left.jpeg and test/1_left.jpeg, and for the
test images retinopathy_solution.csv. From https://www.kaggle.com/c/diabetic-retinopathy-detection.

A name is a patient and an eye. The published split is kept: a tenth of the patients of trainLabels.csv, by hash, is
val, and the images of retinopathy_solution.csv, public and private, are test. Without that table the patients of
trainLabels.csv are split by hash. Each image was graded by one clinician.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._retina import RETINOPATHY, grade_labels, grade_reason, split_name, tidy_grade
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

LABELS = RETINOPATHY
CHANNELS = 3
PREPARATION = "fundus"
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
TRAIN_VAL_SHARES = {"train": 0.9, "val": 0.1}


def read(raw: Path) -> Reading:
    """Read EyePACS: one row per image, its grade one-hot."""
    folder = RawFolder(raw, __doc__)
    train_path, solution_path = folder.table("trainLabels.csv"), folder.find("retinopathy_solution.csv")
    train = _graded(train_path)
    if solution_path is None:
        listing = train.assign(split=split_by_hash(train["patient_id"], SHARES))
        tables = train_path.name
    else:
        train = train.assign(split=split_by_hash(train["patient_id"], TRAIN_VAL_SHARES))
        listing = pd.concat([train, _graded(solution_path).assign(split="test")], ignore_index=True)
        tables = f"{train_path.name} or {solution_path.name}"
    return assemble(listing, LABELS, folder.images(), tables)


def _graded(path: Path) -> pd.DataFrame:
    rows = read_table(path, {"file": "image", "level": "level"})
    image_id = rows["file"].map(stem)
    patient, eye = split_name(image_id)
    grade = tidy_grade(rows["level"])
    return rows.assign(
        image_id=image_id,
        reason=grade_reason(rows["level"], grade).where(patient != "", "no patient and eye in the name"),
        patient_id=patient,
        laterality=eye,
        **grade_labels(grade),
    )
