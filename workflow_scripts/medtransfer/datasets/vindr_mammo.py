"""VinDr-Mammo: 20,000 mammograms of 5,000 exams from Vietnam, read by radiologists (Nguyen et al. 2023).

Expected: breast-level_annotations.csv, the DICOM files images/<study_id>/<image_id>.dicom (or copies in another
format, also as <study_id>_<image_id>.png), and where wanted finding_annotations.csv (for the labels of findings) and
metadata.csv (for ages). From https://physionet.org/content/vindr-mammo/1.0.0 (data use agreement).

There is no pathology: `cancer` is what the radiologists suspect, a breast of at least BI-RADS 4 or, by the policy
`cancer: birads5`, of BI-RADS 5. The labels of findings speak of the image; asymmetry may be plain, focal or global.
There are no patient ids: the exam stands for the patient. The official split is kept, a tenth of its training exams, by
hash, is val.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._breast import find_flat_copies, tidy_density, tidy_side
from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age
from medtransfer.datasets.base import Reading, assemble

FINDINGS = {
    "mass": ("mass",),
    "suspicious_calcification": ("suspicious calcification",),
    "asymmetry": ("asymmetry", "focal asymmetry", "global asymmetry"),
    "architectural_distortion": ("architectural distortion",),
    "no_finding": ("no finding",),
}
LABELS = ("cancer", *FINDINGS)
CHANNELS = 1
PREPARATION = "breast"
POLICIES = {"cancer": ("birads4", "birads5")}
SHARES = {"train": 0.9, "val": 0.1}
COLUMNS = {
    "study_id": "study_id",
    "image_id": "image_id",
    "laterality": "laterality",
    "view": "view_position",
    "birads": "breast_birads",
    "density": "breast_density",
    "official": "split",
}


def read(raw: Path, *, cancer: str = "birads4") -> Reading:
    """Read VinDr-Mammo: one row per image; findings 1 or 0, missing for images that finding_annotations.csv lacks."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("breast-level_annotations.csv")
    rows = read_table(path, COLUMNS)
    rows["image_id"] = rows["image_id"].map(stem)
    birads = rows["birads"].str.extract(r"^(?:BI-?RADS\s+)?([1-6])[A-C]?$", expand=False).astype("Float64")
    official = rows["official"].str.casefold()
    images = folder.images()
    files = (rows["study_id"] + "/" + rows["image_id"] + ".dicom").where(rows["image_id"] != "", "")
    listing = rows.assign(
        file=find_flat_copies(images, files),
        patient_id=rows["study_id"],
        reason=np.select(
            [rows["study_id"] == "", birads.isna(), ~official.isin(["training", "test"])],
            [
                "no study id",
                "assessment '" + rows["birads"] + "', not BI-RADS 1 to 6",
                "split '" + rows["official"] + "' is neither training nor test",
            ],
            default="",
        ),
        cancer=(birads >= int(cancer.removeprefix("birads"))).astype("Int8"),
        laterality=tidy_side(rows["laterality"]),
        view=rows["view"].str.upper(),
        density=tidy_density(rows["density"]),
        age=rows["image_id"].map(_ages(folder)),
        split=split_by_hash(rows["study_id"], SHARES).mask(official == "test", "test"),
        **{label: rows["image_id"].map(found) for label, found in _findings(folder).items()},
    )
    return assemble(listing, LABELS, images, path.name)


def _findings(folder: RawFolder) -> pd.DataFrame:
    """For each image that finding_annotations.csv lists (none without that table), 1 or 0 for each of FINDINGS."""
    path = folder.find("finding_annotations.csv")
    if path is None:
        return pd.DataFrame(columns=list(FINDINGS), dtype="Int8")
    rows = read_table(path, {"image_id": "image_id", "categories": "finding_categories"})
    # Cells are written as Python lists: "['Mass', 'Skin Thickening']".
    categories = rows["categories"].str.casefold().str.strip("[]").str.split(",").explode().str.strip(" '\"")
    image_id = rows["image_id"].map(stem)[categories.index]
    found = {label: categories.isin(names).groupby(image_id).any() for label, names in FINDINGS.items()}
    return pd.DataFrame(found).astype("Int8")


def _ages(folder: RawFolder) -> pd.Series:
    """Age in years by image, from metadata.csv; none without that table."""
    path = folder.find("metadata.csv")
    if path is None:
        return pd.Series(dtype=float)
    rows = read_table(path, {"image_id": "SOP Instance UID|image_id", "age": "Patient's Age|PatientAge"})
    rows = rows.assign(image_id=rows["image_id"].map(stem)).drop_duplicates("image_id").set_index("image_id")
    return tidy_age(rows["age"])
