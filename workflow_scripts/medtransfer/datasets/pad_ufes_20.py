"""PAD-UFES-20: 2,298 smartphone photographs of skin lesions, six diagnoses, with skin type (Pacheco et al. 2020).

Expected: metadata.csv and the PNG images in any subfolder, as in images/imgs_part_1/. From Mendeley Data,
https://data.mendeley.com/datasets/zr7vgbcyr2/1.

Its classes take ISIC 2019's names: ACK is ak, NEV is nv, SEK (seborrhoeic keratosis) is bkl. It serves as an
out-of-distribution cohort: every row's split is test. Skin types I to VI are the column "fitspatrick" (sic).
"""

from pathlib import Path

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._tidy import tidy_age, tidy_sex
from medtransfer.datasets.base import Reading, assemble

LABELS = ("mel", "nv", "bcc", "ak", "bkl", "scc")
CHANNELS = 3
DIAGNOSES = {"MEL": "mel", "NEV": "nv", "BCC": "bcc", "ACK": "ak", "SEK": "bkl", "SCC": "scc"}
SKIN_TYPES = dict(enumerate(("I", "II", "III", "IV", "V", "VI"), start=1))


def read(raw: Path) -> Reading:
    """Read PAD-UFES-20: one row per image, one-hot labels."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("metadata.csv")
    columns = {
        "file": "img_id",
        "patient_id": "patient_id",
        "diagnosis": "diagnostic",
        "sex": "gender",
        "age": "age",
        "skin_type": "fitspatrick|fitzpatrick",
    }
    rows = read_table(path, columns, optional={"lesion_id": "lesion_id"})
    diagnosis = rows["diagnosis"].str.upper().map(DIAGNOSES)
    skin_type = rows["skin_type"].str.extract(r"^([1-6])(?:\.0)?$", expand=False).astype(float)
    listing = rows.assign(
        image_id=rows["file"].map(stem),
        reason=("unknown diagnosis '" + rows["diagnosis"] + "'").where(diagnosis.isna(), ""),
        patient_id=rows["patient_id"].where(rows["patient_id"] != "", rows["file"].map(stem)),
        lesion_id=rows["lesion_id"].where(rows["lesion_id"] != ""),
        sex=tidy_sex(rows["sex"]),
        age=tidy_age(rows["age"]),
        skin_type=skin_type.map(SKIN_TYPES).astype("str"),
        split="test",
        **{label: (diagnosis == label).astype("Int8") for label in LABELS},
    )
    return assemble(listing, LABELS, folder.images(), path.name)
