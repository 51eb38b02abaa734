"""CMMD, the Chinese Mammography Database: 5,202 mammograms of 1,775 women with biopsied breasts (Cui et al. 2021).

Expected: CMMD_clinicaldata_revision.xlsx (or the same saved as .csv) and the DICOM files, as in
CMMD/D1-0001/<study>/<series>/1-1.dcm. From https://www.cancerimagingarchive.net/collection/cmmd.

The table has a row for each biopsied breast. Patient, side and view of an image stand in its DICOM header alone, so
copies without one cannot be labelled. Images of a breast without row are rejected: nothing is known of it. The column
site is the first part of the patient's id: D1, or D2, whose women have molecular subtypes and are all said to be
malignant. The split is by hash of the patient.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._breast import tidy_side, worst_finding
from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age
from medtransfer.datasets.base import Reading, assemble
from medtransfer.imaging.dicom import read_tags

LABELS = ("cancer", "mass", "calcification")
CHANNELS = 1
PREPARATION = "breast"
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
COLUMNS = {
    "patient_id": "ID1",
    "side": "LeftRight",
    "age": "Age",
    "abnormality": "abnormality",
    "classification": "classification",
}
CLASSES = {"malignant": 1, "benign": 0}
MASSES = {"mass": 1, "calcification": 0, "both": 1}
CALCIFICATIONS = {"mass": 0, "calcification": 1, "both": 1}
VIEWS = {"craniocaudal": "CC", "mediolateraloblique": "MLO"}
TAGS = ["PatientID", "ImageLaterality", "Laterality", "ViewCodeSequence", "ViewPosition"]


def read(raw: Path) -> Reading:
    """Read CMMD: one row per image, labels of its breast."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("CMMD_clinicaldata_revision.xlsx", "CMMD_clinicaldata_revision.csv")
    breasts = _breasts(path)
    images = folder.images(depth=4)
    shown = pd.DataFrame(
        [_header(raw / file) for file in images.paths], columns=["patient_id", "side", "view"], dtype="str"
    )
    shown = shown.assign(
        file=pd.Series(images.paths, dtype="str"),
        image_id=shown["patient_id"] + "_" + pd.Series([stem(Path(file).name) for file in images.paths], dtype="str"),
        laterality=tidy_side(shown["side"]),
    )
    rows = shown.merge(breasts, on=["patient_id", "laterality"], how="outer", indicator="known", sort=False)
    image_less = rows["known"] == "right_only"
    listing = rows.assign(
        file=rows["file"].where(~image_less, rows["patient_id"] + " " + rows["laterality"].fillna("")),
        study_id=rows["patient_id"],
        reason=np.select(
            [
                image_less,
                rows["patient_id"] == "",
                rows["laterality"].isna(),
                rows["known"] == "left_only",
                rows["cancer"].isna(),
            ],
            [
                "",
                "no DICOM header with a patient id",
                "no side in its DICOM header",
                f"no row for this breast in {path.name}",
                "neither benign nor malignant",
            ],
            default="",
        ),
        site=rows["patient_id"].str.extract(r"^(D\d)-", expand=False),
        split=split_by_hash(rows["patient_id"], SHARES),
    )
    return assemble(listing, LABELS, images, path.name)


def _breasts(path: Path) -> pd.DataFrame:
    """One row per breast: patient_id, laterality, age and labels; the worst of several rows counts."""
    rows = read_table(path, COLUMNS)
    side = tidy_side(rows["side"])
    breast = rows["patient_id"] + " " + side.fillna("")
    abnormality = rows["abnormality"].str.casefold()
    labels = {
        "cancer": worst_finding(rows["classification"].str.casefold().map(CLASSES), breast),
        "mass": worst_finding(abnormality.map(MASSES), breast),
        "calcification": worst_finding(abnormality.map(CALCIFICATIONS), breast),
    }
    breasts = rows.assign(laterality=side, age=tidy_age(rows["age"]), breast=breast).drop_duplicates("breast")
    return breasts[["patient_id", "laterality", "age", "breast"]].join(pd.DataFrame(labels), on="breast")


def _header(path: Path) -> tuple[str, str, str]:
    """Patient, side and view that a DICOM header states, "" where it does not; all "" for what is not DICOM."""
    try:
        header = read_tags(path, TAGS)
        side = str(header.get("ImageLaterality") or header.get("Laterality") or "")
        codes = header.get("ViewCodeSequence")
        meaning = str(codes[0].get("CodeMeaning", "")) if codes else str(header.get("ViewPosition") or "")
        view = VIEWS.get("".join(filter(str.isalpha, meaning.casefold())), meaning.upper())
        return str(header.get("PatientID") or "").strip(), side, view
    except Exception:  # pydicom raises anything at all on hostile bytes
        return "", "", ""
