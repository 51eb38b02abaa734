"""CBIS-DDSM: digitised screen films with biopsied masses and calcifications, 1,566 women (Lee et al. 2017).

Expected: {mass,calc}_case_description_{train,test}_set.csv and the DICOM files in folders such as
CBIS-DDSM/Mass-Training_P_00001_LEFT_CC/<study>/<series>/1-1.dcm, or JPEG copies in folders named by the series. From
https://www.cancerimagingarchive.net/collection/cbis-ddsm.

The tables have a row for each lesion; here is a row for each mammogram, cancer where any of its lesions is malignant. A
mammogram is found by its case folder, whatever its file is called (000000.dcm in the tables, 1-1.dcm from today's
downloader), else by its series. Folders that end in a lesion's number hold crops and masks, never taken here.
A breast's view with masses and calcifications lies there twice: one copy is taken, with the labels of both.

The mass and calcification tables were split apart, and some women stand in train of one and test of the other: under
`split: official` all their films are test. A tenth of the other women, by hash, is val. `split: by_patient` is by hash
alone.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._breast import tidy_density, tidy_side, worst_finding
from medtransfer.datasets._raw import RawFolder, read_table
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

LABELS = ("cancer",)
CHANNELS = 1
PREPARATION = "breast"
POLICIES = {"split": ("official", "by_patient")}
TABLES = [
    (f"{kind}_case_description_{split}_set.csv", split) for kind in ("mass", "calc") for split in ("train", "test")
]
PATHOLOGIES = {"MALIGNANT": 1, "BENIGN": 0, "BENIGN_WITHOUT_CALLBACK": 0}
TRAIN_SHARES = {"train": 0.9, "val": 0.1}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
LISTED = (
    r"(?P<case>(?:Mass|Calc)-(?:Training|Test)_P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO))(?:/.*?)?(?:/(?P<series>[\d.]+))?/[^/]+$"
)
CROP_FOLDER = r"_(?:LEFT|RIGHT)_(?:CC|MLO)_\d+/"
COLUMNS = {
    "patient_id": "patient_id",
    "side": "left or right breast|left_or_right_breast",
    "view": "image view|image_view",
    "pathology": "pathology",
    "file": "image file path|image_file_path",
}


def read(raw: Path, *, split: str = "official") -> Reading:
    """Read CBIS-DDSM: one row per mammogram; missing where a lesion's pathology is and none is malignant."""
    folder = RawFolder(raw, __doc__)
    images = folder.images(depth=4)
    lesions = pd.concat(
        [
            read_table(folder.table(name), COLUMNS, optional={"density": "breast_density|breast density"}).assign(
                official=official
            )
            for name, official in TABLES
        ],
        ignore_index=True,
    )
    lesions["file"] = lesions["file"].str.strip('"\r\n\t ')
    lesions["film"] = lesions["patient_id"] + "_" + lesions["side"].str.upper() + "_" + lesions["view"].str.upper()
    lesions["split"] = _official(lesions) if split == "official" else split_by_hash(lesions["patient_id"], SHARES)
    labels = worst_finding(lesions["pathology"].str.upper().map(PATHOLOGIES), lesions["film"])

    copies = lesions.drop_duplicates(["film", "file"]).reset_index(drop=True)
    found = _find(images.paths, copies["file"])
    taken = found.groupby(copies["film"]).transform("first")
    listing = copies.assign(
        file=found.where(found.notna(), copies["file"]).astype("str"),
        image_id=copies["film"],
        study_id=copies["patient_id"],
        reason=np.select(
            [copies["patient_id"] == "", found.notna() & (found != taken)],
            ["no patient id", "the same mammogram as " + taken.astype("str")],
            default="",
        ),
        cancer=copies["film"].map(labels),
        laterality=tidy_side(copies["side"]),
        view=copies["view"].str.upper(),
        density=tidy_density(copies["density"]),
    )
    crops = pd.DataFrame({"file": [path for path in images.paths if re.search(CROP_FOLDER, path)]})
    listing = pd.concat([listing, crops.assign(reason="crop or mask of a lesion")], ignore_index=True)
    return assemble(listing, LABELS, images, "the case descriptions")


def _find(paths: Sequence[str], files: pd.Series) -> pd.Series:
    """Where each listed file lies: in its case folder, else in one named by its series; missing where in neither."""
    by_folder = {folder: path for path in reversed(paths) for folder in path.split("/")[:-1]}
    parts = files.str.extract(LISTED)
    return parts["case"].map(by_folder).fillna(parts["series"].map(by_folder)).astype(object)


def _official(lesions: pd.DataFrame) -> pd.Series:
    """The split of each lesion: test where any table of test lesions has its patient."""
    tested = lesions["patient_id"][lesions["official"] == "test"]
    return split_by_hash(lesions["patient_id"], TRAIN_SHARES).mask(lesions["patient_id"].isin(tested), "test")
