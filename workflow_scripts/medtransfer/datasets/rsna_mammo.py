"""RSNA Screening Mammography 2022: 54,706 mammograms of 11,913 women from two sites, with biopsy-proven cancers.

Expected: train.csv and the DICOM files train_images/<patient_id>/<image_id>.dcm, or copies in another format, also as
<patient_id>_<image_id>.png. From https://www.kaggle.com/competitions/rsna-breast-cancer-detection (rules accepted).

There is one exam of each woman, so patient_id is the exam too. The labels speak of the breast that the image shows. The
column site is the hospital, "1" or "2": train on one and test on the other. The split is by hash of patient_id; the
competition's test set has no labels. Policies: `implants` drops breasts with an implant, `views` keeps other views than
CC and MLO (AT, LM, ML, LMO).
"""

from pathlib import Path

import numpy as np

from medtransfer.datasets._breast import STANDARD_VIEWS, find_flat_copies, tidy_density, tidy_flag, tidy_side
from medtransfer.datasets._raw import RawFolder, read_table
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age
from medtransfer.datasets.base import Reading, assemble

LABELS = ("cancer", "biopsy", "invasive", "difficult_negative")
CHANNELS = 1
PREPARATION = "breast"
POLICIES = {"implants": ("keep", "drop"), "views": ("standard", "all")}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
COLUMNS = {
    "site": "site_id",
    "patient_id": "patient_id",
    "image": "image_id",
    "laterality": "laterality",
    "view": "view",
    "age": "age",
    "cancer": "cancer",
    "biopsy": "biopsy",
    "invasive": "invasive",
    "implant": "implant",
    "density": "density",
    "difficult_negative": "difficult_negative_case",
}


def read(raw: Path, *, implants: str = "keep", views: str = "standard") -> Reading:
    """Read the RSNA mammograms: one row per image, labels of its breast."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("train.csv")
    rows = read_table(path, COLUMNS)
    written = rows[list(LABELS)]
    labels = written.apply(tidy_flag)
    view = rows["view"].str.upper()
    implant = tidy_flag(rows["implant"]).map({1: "yes", 0: "no"}).astype("str")
    images = folder.images(depth=2)
    files = (rows["patient_id"] + "/" + rows["image"] + ".dcm").where(rows["image"] != "", "")
    listing = rows.assign(
        file=find_flat_copies(images, files),
        image_id=rows["patient_id"] + "_" + rows["image"],
        study_id=rows["patient_id"],
        reason=np.select(
            [
                rows["patient_id"] == "",
                (labels.isna() & (written != "")).any(axis=1),
                (views == "standard") & ~view.isin(STANDARD_VIEWS),
                (implants == "drop") & (implant == "yes"),
            ],
            [
                "no patient id",
                "a label that is not 1 or 0",
                "view '" + rows["view"] + "', not CC or MLO",
                "breast with implant",
            ],
            default="",
        ),
        view=view,
        laterality=tidy_side(rows["laterality"]),
        age=tidy_age(rows["age"]),
        implant=implant,
        density=tidy_density(rows["density"]),
        split=split_by_hash(rows["patient_id"], SHARES),
        **labels,
    )
    return assemble(listing, LABELS, images, path.name)
