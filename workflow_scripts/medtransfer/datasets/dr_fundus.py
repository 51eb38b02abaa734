"""DR fundus: photographs of both eyes in ten classes of retinopathy and maculopathy (Rahim 2025).

Expected: images in folders named by class, as in "DR and maculopathy 10 classes/1 - No DR/Patient001_L.jpg", or
files.csv (columns class_name and bundle_path) and the images in any subfolder. From
https://github.com/SRahimDR/DR-image-dataset.

The class gives the grade; proliferative retinopathy (PDR) is grade 4, and so is what follows it, ADED (advanced
diabetic eye disease). Maculopathy, of a kind the publisher does not state, is read as macular_edema: 0 where there is
no retinopathy, missing for ADED, whose class leaves it open. The split is by hash of the patient, whose eyes share it.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import Images, RawFolder, read_table, stem
from medtransfer.datasets._retina import RETINOPATHY, grade_labels, split_name
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

LABELS = (*RETINOPATHY, "macular_edema")
CHANNELS = 3
PREPARATION = "fundus"
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
STAGES = {"no dr": 0, "mild dr": 1, "moderate dr": 2, "severe dr": 3, "pdr": 4, "aded": 4}
CLASS = r"^(?:\d+\s*-\s*)?(?P<stage>.+?)(?:\s+(?P<maculopathy>with|without) maculopathy)?$"


def read(raw: Path) -> Reading:
    """Read DR fundus: one row per image."""
    folder = RawFolder(raw, __doc__)
    images = folder.images(depth=2)
    path = folder.find("files.csv")
    rows = read_table(path, {"file": "bundle_path", "class_name": "class_name"}) if path else _by_folder(images)
    if rows.empty:
        raise folder.missing("folders of images, named by class, or files.csv")

    written = rows["class_name"].str.casefold().str.extract(CLASS)
    grade = written["stage"].map(STAGES).astype("Int8")
    maculopathy = written["maculopathy"].map({"with": 1, "without": 0}).mask(grade == 0, 0).astype("Int8")
    image_id = rows["file"].str.split("/").str[-1].map(stem)
    patient, eye = split_name(image_id)
    listing = rows.drop(columns="class_name").assign(
        image_id=image_id,
        reason=("unknown class '" + rows["class_name"] + "'")
        .where(grade.isna(), "")
        .mask(patient == "", "no patient and eye in the name"),
        patient_id=patient,
        laterality=eye,
        split=split_by_hash(patient, SHARES),
        macular_edema=maculopathy,
        **grade_labels(grade),
    )
    return assemble(listing, LABELS, images, path.name if path else "any folder that names a class")


def _by_folder(images: Images) -> pd.DataFrame:
    """Images in a folder, which names their class."""
    paths = [path.split("/") for path in images.paths if "/" in path]
    return pd.DataFrame({"file": ["/".join(path[-2:]) for path in paths], "class_name": [path[-2] for path in paths]})
