"""NIH ChestX-ray14: 112,120 frontal films of 30,805 patients, 14 findings text-mined from reports (Wang et al. 2017).

Expected: Data_Entry_2017_v2020.csv (or the older Data_Entry_2017.csv, plain or .gz), train_val_list.txt,
test_list.txt and the PNG images in any subfolder, as in images_001/images/. From
https://nihcc.app.box.com/v/ChestXray-NIHCC.

The official lists give the split; a tenth of the patients of train_val_list.txt, by hash, is val. Without the lists
the whole split is by hash of the patient, in about the official proportions. The older table writes ages like 058Y and
has some over 120: those are missing here.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex, tidy_view
from medtransfer.datasets.base import Reading, assemble

FINDINGS = {
    "No Finding": "no_finding",
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "effusion",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Pleural_Thickening": "pleural_thickening",
    "Hernia": "hernia",
}
LABELS = tuple(FINDINGS.values())
CHANNELS = 1
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
TRAIN_VAL_SHARES = {"train": 0.9, "val": 0.1}
LISTS = ("train_val_list.txt", "test_list.txt")


def read(raw: Path) -> Reading:
    """Read ChestX-ray14: one row per film, every finding 1 or 0."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
    columns = {
        "file": "Image Index",
        "findings": "Finding Labels",
        "patient_id": "Patient ID",
        "age": "Patient Age",
        "sex": "Patient Gender|Patient Sex",
        "view": "View Position",
    }
    rows = read_table(path, columns)
    findings = rows["findings"].str.split("|").map(lambda names: {name.strip() for name in names})
    unknown = findings.map(lambda names: ", ".join(sorted(names - set(FINDINGS))))
    image_id = rows["file"].map(stem)
    split = _split(folder, image_id, rows["patient_id"])
    listing = rows.assign(
        image_id=image_id,
        reason=np.select(
            [rows["findings"] == "", unknown != "", rows["patient_id"] == "", split.isna()],
            [
                "no finding given",
                "unknown finding " + unknown,
                "no patient id",
                f"in neither {LISTS[0]} nor {LISTS[1]}",
            ],
            default="",
        ),
        sex=tidy_sex(rows["sex"]),
        age=tidy_age(rows["age"]),
        view=tidy_view(rows["view"]),
        split=split,
        **{
            label: findings.map(lambda names, name=name: name in names).astype("Int8")
            for name, label in FINDINGS.items()
        },
    )
    return assemble(listing, LABELS, folder.images(), path.name)


def _split(folder: RawFolder, image_id: pd.Series, patient_id: pd.Series) -> pd.Series:
    """The split of each film, missing for films that the official lists leave out."""
    paths = [folder.find(name) for name in LISTS]
    if paths == [None, None]:
        return split_by_hash(patient_id, SHARES)
    lists = []
    for name, path in zip(LISTS, paths, strict=True):
        if path is None:
            raise folder.missing(f"{name}, though the other of the two official lists is there")
        lists.append({stem(line.strip().split("/")[-1]) for line in path.read_text().splitlines()})
    train_val = split_by_hash(patient_id, TRAIN_VAL_SHARES).where(image_id.isin(lists[0]))
    return train_val.mask(image_id.isin(lists[1]), "test")
