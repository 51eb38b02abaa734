"""Diverse Dermatology Images (DDI): 656 biopsy-proven photographs over skin types (Daneshjou et al. 2022).

Expected: ddi_metadata.csv and the images in any subfolder, as in images/. From https://ddi-dataset.github.io, by
agreement with the Stanford AIMI Center.

Skin tone is given in three groups, I-II, III-IV and V-VI, which are its skin types here. The table has no patient ids:
each image stands for a patient. It serves as an out-of-distribution cohort: every row's split is test.
"""

from pathlib import Path

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets.base import Reading, assemble

LABELS = ("malignant", "benign")
CHANNELS = 3
SKIN_TONES = {"12": "I-II", "34": "III-IV", "56": "V-VI"}
MALIGNANT = {"true": 1, "1": 1, "false": 0, "0": 0}


def read(raw: Path) -> Reading:
    """Read DDI: one row per image."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("ddi_metadata.csv")
    columns = {"file": "DDI_file", "skin_tone": "skin_tone", "malignant": "malignant"}
    rows = read_table(path, columns)
    image_id = rows["file"].map(stem)
    malignant = rows["malignant"].str.casefold().str.removesuffix(".0").map(MALIGNANT).astype("Int8")
    listing = rows.assign(
        image_id=image_id,
        reason=("malignant is '" + rows["malignant"] + "', not True or False").where(malignant.isna(), ""),
        patient_id=image_id,
        skin_type=rows["skin_tone"].str.removesuffix(".0").map(SKIN_TONES).astype("str"),
        split="test",
        malignant=malignant,
        benign=1 - malignant,
    )
    return assemble(listing, LABELS, folder.images(), path.name)
