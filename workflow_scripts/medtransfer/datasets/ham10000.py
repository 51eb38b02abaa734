"""HAM10000: 10,015 dermoscopic images of pigmented lesions (Tschandl et al. 2018).

Expected: HAM10000_metadata.csv (or .tab, or without suffix) and the JPEG images in any subfolder, as in
HAM10000_images_part_1/ and HAM10000_images_part_2/. From Harvard Dataverse, doi:10.7910/DVN/DBW86T.

There are no patient ids: the lesion stands for the patient. The split is by hash of lesion_id, which ISIC 2019 shares,
so that no lesion is in one split here and in another there. Age 0 is kept as it stands.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex
from medtransfer.datasets.base import Reading, assemble

LABELS = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
CHANNELS = 3
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def read(raw: Path) -> Reading:
    """Read HAM10000: one row per image, one-hot labels."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
    columns = {"image_id": "image_id", "lesion_id": "lesion_id", "diagnosis": "dx", "sex": "sex", "age": "age"}
    rows = read_table(path, columns, optional={"site": "dataset"})
    diagnosis = rows["diagnosis"].str.lower()
    lesion = rows["lesion_id"].where(rows["lesion_id"] != "", rows["image_id"])
    listing = rows.assign(
        file=rows["image_id"],
        patient_id=lesion,
        reason=("unknown diagnosis '" + rows["diagnosis"] + "'").where(~diagnosis.isin(LABELS), ""),
        sex=tidy_sex(rows["sex"]),
        age=tidy_age(rows["age"]),
        site=rows["site"].replace("", pd.NA),
        split=split_by_hash(lesion, SHARES),
        **{label: (diagnosis == label).astype("Int8") for label in LABELS},
    )
    return assemble(listing, LABELS, folder.images(), path.name)
