"""RSNA Pneumonia Detection Challenge 2018: 26,684 films of ChestX-ray14 read by radiologists (Shih et al. 2019).

Expected: stage_2_train_labels.csv and the DICOM files stage_2_train_images/<patientId>.dcm; optional
stage_2_detailed_class_info.csv. From https://www.kaggle.com/c/rsna-pneumonia-detection-challenge. Optional too:
pneumonia-challenge-dataset-mappings_2018.json, which the RSNA publishes beside the challenge.

The table has a row for every box: those of a film are one row here. pneumonia is the column Target, an opacity that may
be pneumonia; no_finding is the class Normal, missing without the table of classes. A patientId names a film, not a
patient: patients are known from the mapping to the images of ChestX-ray14 alone and have the ids of that dataset, so
that its films can be kept apart from these. Without it each film stands for a patient. There is no official split of
the labelled films: this one is by hash of the patient. Sex, age and view come from the DICOM headers, and are missing
for films in another format.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex, tidy_view
from medtransfer.datasets.base import Reading, assemble
from medtransfer.errors import UserError
from medtransfer.imaging.dicom import is_dicom, read_tags

LABELS = ("no_finding", "pneumonia")
CHANNELS = 1
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
CLASSES = {"normal": 1, "no lung opacity / not normal": 0, "lung opacity": 0}
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
HEADER = {"sex": "PatientSex", "age": "PatientAge", "view": "ViewPosition"}


def read(raw: Path) -> Reading:
    """Read the challenge's labelled films: one row per film; no_finding 1, 0 or missing, pneumonia 1 or 0."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("stage_2_train_labels.csv")
    boxes = read_table(path, {"file": "patientId", "target": "Target"})
    targets = pd.to_numeric(boxes["target"], errors="coerce").fillna(-1).groupby(boxes["file"], sort=False)
    rows = pd.DataFrame({"low": targets.min(), "high": targets.max()}).reset_index()
    image_id = rows["file"].map(stem)
    nih_patients = _nih_patients(folder)
    patient_id = image_id.map(lambda film: nih_patients.get(film, film))
    images = folder.images()
    headers = pd.DataFrame(
        [_header(raw / found) if found else dict.fromkeys(HEADER, "") for found in images.match(rows["file"].tolist())],
        columns=list(HEADER),
        dtype="str",
    )
    listing = rows.assign(
        image_id=image_id,
        patient_id=patient_id,
        reason=np.select(
            [~rows[["low", "high"]].isin([0, 1]).all(axis=1), rows["low"] != rows["high"]],
            ["a Target that is not 1 or 0", "rows that disagree on Target"],
            default="",
        ),
        no_finding=image_id.map(_normal(folder)).astype("Int8"),
        pneumonia=rows["high"],
        split=split_by_hash(patient_id, SHARES),
        sex=tidy_sex(headers["sex"]),
        age=tidy_age(headers["age"]),
        view=tidy_view(headers["view"]),
    )
    return assemble(listing, LABELS, images, path.name)


def _normal(folder: RawFolder) -> pd.Series:
    """1 for each film of the class Normal, 0 for those of the others; empty without the table."""
    path = folder.find("stage_2_detailed_class_info.csv")
    if path is None:
        return pd.Series(dtype="Int8")
    table = read_table(path, {"film": "patientId", "class": "class"}).drop_duplicates("film").set_index("film")
    return table["class"].str.casefold().map(CLASSES)


def _nih_patients(folder: RawFolder) -> dict[str, str]:
    """The patient id in ChestX-ray14 of each film that the published mapping lists; none without it.

    Raises UserError for a mapping that is not a list of films with subset_img_id and img_id ("00012345_003.png").
    """
    path = folder.find(MAPPING)
    if path is None:
        return {}
    try:
        films = json.loads(path.read_bytes())
        return {
            film["subset_img_id"]: str(int(film["img_id"].split("_")[0])) for film in films if film["subset_img_id"]
        }
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not the published mapping, a JSON list of films with subset_img_id and img_id "
            f"('00012345_003.png'): {type(error).__name__} {error}. Fetch it again from the RSNA, or take it away."
        ) from error


def _header(path: Path) -> dict[str, str]:
    """What a DICOM header says of the patient and the view; blank for another format or a broken file."""
    try:
        with path.open("rb") as file:
            if not is_dicom(file.read(132)):
                return dict.fromkeys(HEADER, "")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # these headers write ages like 51, where DICOM wants 051Y
            header = read_tags(path, list(HEADER.values()))
            return {name: str(header.get(tag) or "") for name, tag in HEADER.items()}
    except Exception:  # pydicom raises anything at all on hostile bytes; the decoder will report the file
        return dict.fromkeys(HEADER, "")
