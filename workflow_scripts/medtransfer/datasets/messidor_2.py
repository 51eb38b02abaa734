"""Messidor-2: 1,748 fundus photographs of 874 examinations, with adjudicated grades (Krause et al. 2018).

Expected: messidor_data.csv (the adjudicated grades, https://www.kaggle.com/datasets/google-brain/messidor2-dr-grades),
the images in any subfolder, as in IMAGES/, and their pairs messidor-2.csv (both by form from
https://www.adcis.net/en/third-party/messidor2/). The pairs may lack.

Either wording of the grades' columns is read. An examination, two eyes, stands for a patient; an image without a pair,
and without messidor-2.csv every image, stands for its own. Left and right are as paired there. Images that the graders
called ungradable are rejected. It serves as an out-of-distribution cohort: every row's split is test.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._retina import RETINOPATHY, grade_labels, grade_reason, tidy_grade
from medtransfer.datasets.base import Reading, assemble

LABELS = (*RETINOPATHY, "macular_edema")
CHANNELS = 3
PREPARATION = "fundus"


def read(raw: Path) -> Reading:
    """Read Messidor-2: one row per gradable image; macular oedema is missing where its cell is blank."""
    folder = RawFolder(raw, __doc__)
    path, pairs_path = folder.table("messidor_data.csv"), folder.find("messidor-2.csv")
    columns = {
        "file": "image_id|id_code",
        "written": "adjudicated_dr_grade|diagnosis",
        "edema": "adjudicated_dme",
        "gradable": "adjudicated_gradable",
    }
    rows = read_table(path, columns)
    grade = tidy_grade(rows["written"])
    edema, gradable = (pd.to_numeric(rows[column], errors="coerce") for column in ("edema", "gradable"))
    image_id = rows["file"].map(stem)
    pairs = _pairs(pairs_path) if pairs_path else pd.DataFrame(columns=["examination", "laterality"], dtype="str")
    examination = image_id.map(pairs["examination"]).astype("str").fillna(image_id)
    listing = rows.assign(
        image_id=image_id,
        reason=grade_reason(rows["written"], grade).mask(gradable == 0, "ungradable"),
        patient_id=examination,
        study_id=examination,
        laterality=image_id.map(pairs["laterality"]).astype("str"),
        split="test",
        macular_edema=edema.where(edema.isin([0, 1])).astype("Int8"),
        **grade_labels(grade),
    )
    return assemble(listing, LABELS, folder.images(), path.name)


def _pairs(path: Path) -> pd.DataFrame:
    """By image id, its examination (named by the first image) and laterality, from cells parted by ; or by commas."""
    table = read_table(path, {"left": "left|left;right"}, optional={"right": "right"})
    cells = (table["left"] + ";" + table["right"]).str.split(";", expand=True)
    eyes = {side: cells[column].str.strip().map(stem) for column, side in enumerate("LR")}
    examination = eyes["L"].where(eyes["L"] != "", eyes["R"])
    images = pd.concat(
        [pd.DataFrame({"image": eyes[side], "examination": examination, "laterality": side}) for side in "LR"]
    )
    return images[images["image"] != ""].drop_duplicates("image").set_index("image")
