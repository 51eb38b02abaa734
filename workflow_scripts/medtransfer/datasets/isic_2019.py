"""ISIC 2019: 25,331 dermoscopic images of eight diagnoses, from three sources.

Expected: ISIC_2019_Training_GroundTruth.csv, ISIC_2019_Training_Metadata.csv and the JPEG images in any subfolder, as
in ISIC_2019_Training_Input/. From https://challenge.isic-archive.com (2019, task 1, training data).

There are no patient ids: the lesion stands for the patient, and an image without lesion_id for itself. The column site
is the source that the lesion_id begins with (HAM, BCN, MSK), "other" without one. The split is by hash of lesion_id, as
for HAM10000, whose lesions are among these. Images of the class UNK are rejected.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex
from medtransfer.datasets.base import Reading, assemble

LABELS = ("mel", "nv", "bcc", "ak", "bkl", "df", "vasc", "scc")
CHANNELS = 3
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def read(raw: Path) -> Reading:
    """Read ISIC 2019: one row per image, one-hot labels."""
    folder = RawFolder(raw, __doc__)
    truth_path = folder.table("ISIC_2019_Training_GroundTruth.csv")
    metadata_path = folder.table("ISIC_2019_Training_Metadata.csv")
    truth = read_table(truth_path, {"file": "image"} | {label: label for label in LABELS}, optional={"unk": "UNK"})
    columns = {"file": "image", "lesion_id": "lesion_id", "sex": "sex", "age": "age_approx"}
    metadata = read_table(metadata_path, columns).drop_duplicates("file")

    rows = truth.merge(metadata, on="file", how="outer", sort=False, indicator="listed_in")
    classes = rows[[*LABELS, "unk"]].apply(pd.to_numeric, errors="coerce").fillna(0) == 1
    lesion = rows["lesion_id"].where(rows["lesion_id"].fillna("") != "", rows["file"])
    listing = rows.assign(
        image_id=rows["file"],
        reason=np.select(
            [rows["listed_in"] == "right_only", classes["unk"], classes.sum(axis=1) != 1],
            [f"no diagnosis in {truth_path.name}", "diagnosis UNK", "not exactly one diagnosis"],
            default="",
        ),
        patient_id=lesion,
        site=lesion.str.extract(r"^(HAM|BCN|MSK)", expand=False).fillna("other"),
        sex=tidy_sex(rows["sex"]),
        age=tidy_age(rows["age"]),
        split=split_by_hash(lesion, SHARES),
        **{label: classes[label].astype("Int8") for label in LABELS},
    )
    return assemble(listing, LABELS, folder.images(), truth_path.name)
