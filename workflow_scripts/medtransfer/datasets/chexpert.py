"""CheXpert v1.0: 224,316 chest films of 65,240 patients, 14 findings mined from reports (Irvin et al. 2019).

Expected: train.csv, valid.csv and the folders train/, valid/, test/, in CheXpert-v1.0/, in CheXpert-v1.0-small/ or in
the folder itself; for the test split also the radiologists' labels, CheXpert/test_labels.csv (CheXlocalize). From
https://stanfordaimi.azurewebsites.net after registration.

Blank is not negative: a finding that the report does not mention is missing here. -1 (uncertain) is missing too, and
named in the column uncertain, so that a task can choose its policy. Lateral films are kept with the view lateral. The
view of a frontal film is PA or AP where train.csv says so, else "frontal" (17 films marked LL or RL, and the test
films, whose table has no such column). Ages are capped at 90. valid.csv is the split val.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table
from medtransfer.datasets._tidy import tidy_age, tidy_sex
from medtransfer.datasets.base import Reading, assemble

FINDINGS = {
    "no_finding": "No Finding",
    "enlarged_cardiomediastinum": "Enlarged Cardiomediastinum",
    "cardiomegaly": "Cardiomegaly",
    "lung_opacity": "Lung Opacity|Airspace Opacity",
    "lung_lesion": "Lung Lesion",
    "edema": "Edema",
    "consolidation": "Consolidation",
    "pneumonia": "Pneumonia",
    "atelectasis": "Atelectasis",
    "pneumothorax": "Pneumothorax",
    "effusion": "Pleural Effusion",
    "pleural_other": "Pleural Other",
    "fracture": "Fracture",
    "support_devices": "Support Devices",
}
LABELS = tuple(FINDINGS)
CHANNELS = 1
DESCRIPTION = {"sex": "Sex", "age": "Age", "side": "Frontal/Lateral", "projection": "AP/PA"}
DEPTH = 4  # train/patient00001/study1/view1_frontal.jpg, whatever stands before it


def read(raw: Path) -> Reading:
    """Read CheXpert: one row per film; findings 1, 0 or missing."""
    folder = RawFolder(raw, __doc__)
    tables = {"train": folder.table("train.csv"), "val": folder.table("valid.csv")}
    required = {"file": "Path"} | DESCRIPTION | FINDINGS
    parts = [read_table(table, required).assign(split=split) for split, table in tables.items()]
    test = folder.find("CheXpert/test_labels.csv", "test_labels.csv", "test.csv")
    if test:
        tables["test"] = test
        parts.append(read_table(test, {"file": "Path"}, optional=DESCRIPTION | FINDINGS).assign(split="test"))
    rows = pd.concat(parts, ignore_index=True)

    place = rows["file"].str.extract(r"(?P<patient>patient\d+)/(?P<study>study\d+)/(?P<film>[^/.]+)[^/]*$")
    study_id = place["patient"] + "_" + place["study"]
    values = rows[list(LABELS)].apply(partial(pd.to_numeric, errors="coerce"))
    odd = (values.isna() & (rows[list(LABELS)] != "")) | ~(values.isna() | values.isin([1, 0, -1]))
    side = rows["side"].str.casefold().where(rows["side"] != "", rows["file"].str.extract(r"_(\w+)\.", expand=False))
    lateral, projection = side == "lateral", rows["projection"].str.upper()
    listing = rows.assign(
        image_id=study_id + "_" + place["film"],
        patient_id=place["patient"],
        study_id=study_id,
        reason=np.select(
            [place["patient"].isna(), odd.any(axis=1)],
            ["path without patient and study", "a finding that is not 1, 0, -1 or blank"],
            default="",
        ),
        uncertain=_joined_names(values == -1),
        sex=tidy_sex(rows["sex"]),
        age=tidy_age(rows["age"]),
        view=np.select([lateral, projection.isin(["AP", "PA"])], ["lateral", projection], default="frontal"),
        **values.where(values != -1).astype("Float64"),
    )
    return assemble(listing, LABELS, folder.images(DEPTH), ", ".join(table.name for table in tables.values()))


def _joined_names(flags: pd.DataFrame) -> pd.Series:
    """The names of each row's true columns, joined by "|"."""
    names = pd.Series("", index=flags.index)
    for column in flags:
        names = names.mask(flags[column], names + "|" + str(column))
    return names.str.removeprefix("|")
