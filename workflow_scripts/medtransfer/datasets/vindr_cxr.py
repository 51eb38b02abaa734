"""VinDr-CXR: 18,000 PA chest films from Vietnam, read by radiologists (Nguyen et al. 2022).

Expected: annotations/image_labels_train.csv, annotations/image_labels_test.csv and the DICOM files train/*.dicom and
test/*.dicom. From https://physionet.org/content/vindr-cxr/1.0.0 (credentialed access). Or, from
https://www.kaggle.com/c/vinbigdata-chest-xray-abnormalities-detection, train.csv and the films train/*.dicom.

The training table has one row for each of the three readers of a film: those rows are one listed film here, by default
positive where more than half of its readers say so and missing on a tie. With `readers: any` one reader is enough for a
finding, and no_finding takes all of them. The test labels are a consensus. Kaggle's table has one row for each box of a
reader instead, who found what he drew a box for; it has the local findings alone, so that edema, emphysema, fracture
and pneumonia are missing.

There are no patient ids: each film stands for a patient, and a tenth of the training films, by hash, is val. Kaggle's
test labels are not public: there the whole split is by hash of the film. Sex and age come from the DICOM headers, where
they often lack.
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
POLICIES = {"readers": ("majority", "any")}
SHARES = {"train": 0.9, "val": 0.1}
KAGGLE_SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
SOURCES = [source for sources in FINDINGS.values() for source in sources]
NOT_ON_KAGGLE = {"Edema", "Emphysema", "Clavicle fracture", "Rib fracture", "Pneumonia"}


def read(raw: Path, *, readers: str = "majority") -> Reading:
    """Read VinDr-CXR: one row per film; findings 1 or 0, missing where readers tie or the table lacks the column.

    `readers`: how many of a film's readers make a finding.
    """
    folder = RawFolder(raw, __doc__)
    path = folder.table("image_labels_train.csv", "train.csv")
    if path.name.casefold().startswith("train.csv"):
        tables = path.name
        listing = _film_labels(_boxes(path), readers)
        listing["split"] = split_by_hash(listing["image_id"], KAGGLE_SHARES)
    else:
        test_path = folder.table("image_labels_test.csv")
        tables = f"{path.name} or {test_path.name}"
        train, test = (_film_labels(_rows(table), readers) for table in (path, test_path))
        train["split"] = split_by_hash(train["image_id"], SHARES)
        listing = pd.concat([train, test.assign(split="test")], ignore_index=True)
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
    return assemble(listing, LABELS, images, tables)


def _rows(path: Path) -> pd.DataFrame:
    """A label table: image_id and a column for each of SOURCES, one row for each reader of an image."""
    table = read_table(path, {"image_id": "image_id"}, optional={source: source for source in SOURCES})
    values = table[SOURCES].apply(pd.to_numeric, errors="coerce")
    if values.isna().all(axis=None):
        raise UserError(f"{path} has none of the label columns {', '.join(SOURCES)}.")
    return values.assign(image_id=table["image_id"])


def _boxes(path: Path) -> pd.DataFrame:
    """Kaggle's table of boxes in the form of `_rows`: 1 where a reader drew a box of that class."""
    table = read_table(path, {"image_id": "image_id", "reader": "rad_id", "class": "class_name"})
    drawn = pd.get_dummies(table["class"]).groupby([table["image_id"], table["reader"]], sort=False).max()
    annotated = [source for source in SOURCES if source not in NOT_ON_KAGGLE]
    values = drawn.reindex(columns=annotated, fill_value=False).astype(float).reindex(columns=SOURCES)
    return values.reset_index("image_id")


def _film_labels(rows: pd.DataFrame, readers: str) -> pd.DataFrame:
    """One row per image: every label as the image's readers see it, and what speaks against the row."""
    image_id = rows["image_id"].map(stem)
    # One reader says "fracture" when either bone is broken: first within a reader's row, then across readers.
    read_as = pd.DataFrame({label: rows[sources].max(axis=1) for label, sources in FINDINGS.items()})
    of_image = read_as.groupby(image_id, sort=False)
    one_is_enough = of_image.max().assign(no_finding=of_image["no_finding"].min())
    shares = one_is_enough if readers == "any" else of_image.mean()
    labels = (shares > 0.5).astype("Int8").mask(shares.isna() | (shares == 0.5))
    odd = (~read_as.isna() & ~read_as.isin([0, 1])).any(axis=1).groupby(image_id, sort=False).any()
    return labels.assign(reason=odd.map({True: "a label that is not 1 or 0", False: ""})).reset_index()


def _patient(path: Path) -> tuple[str, str]:
    """Sex and age in a DICOM header; blank for a broken file, which the decoder will report."""
    try:
        return read_patient(path)
    except Exception:  # pydicom raises anything at all on hostile bytes
        return "", ""
