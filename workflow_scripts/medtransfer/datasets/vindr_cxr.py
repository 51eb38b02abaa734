"""VinDr-CXR: 18,000 PA chest films from Vietnam, read by radiologists (Nguyen et al. 2022).

Expected: annotations/image_labels_train.csv, annotations/image_labels_test.csv and the DICOM files train/*.dicom and
test/*.dicom. From https://physionet.org/content/vindr-cxr/1.0.0 (credentialed access).

The training table has one row for each of the three readers of a film: those rows are one listed film here, positive
where more than half of its readers say so and missing on a tie. The test labels are a consensus. There are no patient
ids: each film stands for a patient, and a tenth of the training films, by hash, is val. Sex and age come from the DICOM
headers, where they often lack.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex
from medtransfer.datasets.base import Reading, assemble
from medtransfer.errors import UserError
from medtransfer.imaging.dicom import read_patient

FINDINGS = {
    "no_finding": ["No finding"],
    "atelectasis": ["Atelectasis"],
    "cardiomegaly": ["Cardiomegaly"],
    "consolidation": ["Consolidation"],
    "edema": ["Edema"],
    "effusion": ["Pleural effusion"],
    "emphysema": ["Emphysema"],
    "fibrosis": ["Pulmonary fibrosis"],
    "fracture": ["Clavicle fracture", "Rib fracture"],
    "infiltration": ["Infiltration"],
    "lung_lesion": ["Nodule/Mass"],
    "lung_opacity": ["Lung Opacity"],
    "pleural_thickening": ["Pleural thickening"],
    "pneumonia": ["Pneumonia"],
    "pneumothorax": ["Pneumothorax"],
}
LABELS = tuple(FINDINGS)
CHANNELS = 1
SHARES = {"train": 0.9, "val": 0.1}
SOURCES = [source for sources in FINDINGS.values() for source in sources]


def read(raw: Path) -> Reading:
    """Read VinDr-CXR: one row per film; findings 1 or 0, missing where readers tie or the table lacks the column."""
    folder = RawFolder(raw, __doc__)
    train_path, test_path = folder.table("image_labels_train.csv"), folder.table("image_labels_test.csv")
    train, test = _votes(train_path), _votes(test_path)
    listing = pd.concat(
        [
            train.assign(split=split_by_hash(train["image_id"], SHARES)),
            test.assign(split="test"),
        ],
        ignore_index=True,
    )
    images = folder.images()
    paths = images.match(listing["image_id"].tolist())
    patients = pd.DataFrame([_patient(raw / path) if path else ("", "") for path in paths], columns=["sex", "age"])
    listing = listing.assign(
        file=listing["image_id"],
        patient_id=listing["image_id"],
        sex=tidy_sex(patients["sex"].astype("str")),
        age=tidy_age(patients["age"].astype("str")),
        view="PA",
    )
    return assemble(listing, LABELS, images, f"{train_path.name} or {test_path.name}")


def _votes(path: Path) -> pd.DataFrame:
    """One row per image of a label table: every label by the majority of the image's rows."""
    rows = read_table(path, {"image_id": "image_id"}, optional={source: source for source in SOURCES})
    rows["image_id"] = rows["image_id"].map(stem)
    values = rows[SOURCES].apply(pd.to_numeric, errors="coerce")
    if values.isna().all(axis=None):
        raise UserError(f"{path} has none of the label columns {', '.join(SOURCES)}.")
    # One reader says "fracture" when either bone is broken: first within a reader's row, then across readers.
    read_as = pd.DataFrame({label: values[sources].max(axis=1) for label, sources in FINDINGS.items()})
    shares = read_as.groupby(rows["image_id"], sort=False).mean()
    odd = ~read_as.isna() & ~read_as.isin([0, 1])
    reason = odd.any(axis=1).groupby(rows["image_id"], sort=False).any()
    labels = (shares > 0.5).astype("Int8").mask(shares.isna() | (shares == 0.5))
    reasons = reason.map({True: "a label that is not 1 or 0", False: ""})
    return labels.assign(reason=reasons).reset_index()


def _patient(path: Path) -> tuple[str, str]:
    """Sex and age in a DICOM header; blank for a broken file, which the decoder will report."""
    try:
        return read_patient(path)
    except Exception:  # pydicom raises anything at all on hostile bytes
        return "", ""
