"""MIMIC-CXR: 377,110 chest films of 65,379 patients of one Boston hospital (Johnson et al. 2019).

Expected: of the JPG project 2.1.0 (https://physionet.org/content/mimic-cxr-jpg/2.1.0, credentialed access)
mimic-cxr-2.0.0-split.csv, mimic-cxr-2.0.0-metadata.csv and mimic-cxr-2.0.0-chexpert.csv (or -negbio.csv), plain or .gz,
and the films files/p10/p10000032/s50414267/<dicom_id>.jpg, or the .dcm files of the DICOM project in the same folders.
Optional: mimic-cxr-2.1.0-test-set-labeled.csv, and patients.csv and admissions.csv of MIMIC-IV (folder hosp/).

Labels are a study's and stand on each of its films. They were mined from the report by the program that the policy
`labeler` names; with `test_labels: radiologist` the test split has the labels of the radiologist who read 687 of its
reports, and no other films. Blank is not negative: a finding that the report does not mention is missing here. -1
(uncertain) is missing too, and named in the column uncertain.

Sex, age and race come from MIMIC-IV and are missing without it. Age is that in the year of the study, the dates of a
patient being shifted alike in both databases. Race is a patient's most frequent known one over all admissions, up to
the first "/", " - " or " OR " and in lower case ("BLACK/CAPE VERDEAN" is black).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table
from medtransfer.datasets._tidy import OLDEST, tidy_sex, tidy_view
from medtransfer.datasets.base import Reading, assemble
from medtransfer.datasets.chexpert import CHANNELS, FINDINGS, LABELS

__all__ = ["CHANNELS", "LABELS", "POLICIES", "read"]

POLICIES = {"labeler": ("chexpert", "negbio"), "test_labels": ("labeler", "radiologist")}
SPLITS = {"train": "train", "validate": "val", "test": "test"}
UNKNOWN_RACES = ("", "unknown", "unable to obtain", "patient declined to answer")


def read(raw: Path, *, labeler: str = "chexpert", test_labels: str = "labeler") -> Reading:
    """Read MIMIC-CXR: one row per film; findings 1, 0 or missing.

    `labeler`: the program whose labels count. `test_labels`: whether they count in the test split too.
    """
    folder = RawFolder(raw, __doc__)
    split_path = folder.table("mimic-cxr-2.0.0-split.csv")
    label_path = test_label_path = folder.table(f"mimic-cxr-2.0.0-{labeler}.csv")
    if test_labels == "radiologist":
        test_label_path = folder.table("mimic-cxr-2.1.0-test-set-labeled.csv")
    columns = {"image_id": "dicom_id", "study_id": "study_id", "patient_id": "subject_id", "split": "split"}
    films = read_table(split_path, columns).merge(_metadata(folder), on="image_id", how="left")
    test = films["split"] == "test"
    rows = pd.concat([_labelled(films[~test], label_path), _labelled(films[test], test_label_path)], ignore_index=True)

    split = rows["split"].map(SPLITS)
    patient, study = rows["patient_id"], rows["study_id"]
    listing = rows.assign(
        file=[
            f"files/p{patient[:2]}/p{patient}/s{study}/{image}.jpg" if image else ""
            for image, study, patient in zip(rows["image_id"], study, patient, strict=True)
        ],
        reason=np.select(
            [patient == "", study == "", split.isna()],
            ["no patient id", "no study id", "split '" + rows["split"] + "'"],
            default=rows["reason"],
        ),
        split=split,
        view=tidy_view(rows["projection"].fillna("")),
        **_demographics(folder, patient, rows["date"]),
    )
    return assemble(listing, LABELS, folder.images(), split_path.name)


def _metadata(folder: RawFolder) -> pd.DataFrame:
    """View position and date of every film, one row per film."""
    columns = {"image_id": "dicom_id", "projection": "ViewPosition"}
    table = read_table(folder.table("mimic-cxr-2.0.0-metadata.csv"), columns, optional={"date": "StudyDate"})
    return table.drop_duplicates("image_id")


def _labelled(films: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Films with their study's labels from one table: findings, those uncertain, and what speaks against the row."""
    table = read_table(path, {"study_id": "study_id"} | FINDINGS).drop_duplicates("study_id")
    written = table[list(LABELS)]
    values = written.apply(lambda column: pd.to_numeric(column, errors="coerce"))
    odd = (values.isna() & (written != "")) | ~(values.isna() | values.isin([1, 0, -1]))
    names = np.array([f"{label}|" for label in LABELS], dtype=object)
    labels = values.where(values != -1).assign(
        study_id=table["study_id"],
        uncertain=(values == -1).dot(names).str.removesuffix("|"),
        reason=np.where(odd.any(axis=1), f"a finding in {path.name} that is not 1, 0, -1 or blank", ""),
    )
    labelled = films.merge(labels, on="study_id", how="left")
    return labelled.assign(reason=labelled["reason"].fillna(f"study not in {path.name}"))


def _demographics(folder: RawFolder, patient_id: pd.Series, date: pd.Series) -> dict[str, pd.Series]:
    """Sex, age and race of each film's patient from the tables of MIMIC-IV that are there."""
    found: dict[str, pd.Series] = {}
    patients, admissions = folder.find("patients.csv"), folder.find("admissions.csv")
    if patients:
        columns = {"patient_id": "subject_id", "sex": "gender", "age": "anchor_age"}
        table = read_table(patients, columns, optional={"year": "anchor_year"})
        of_film = table.drop_duplicates("patient_id").set_index("patient_id").reindex(patient_id)
        of_film = of_film.set_index(patient_id.index)
        years = pd.to_numeric(date.str[:4], errors="coerce") - pd.to_numeric(of_film["year"], errors="coerce")
        age = pd.to_numeric(of_film["age"], errors="coerce") + years.fillna(0)
        found |= {"sex": tidy_sex(of_film["sex"]), "age": age.where(age.between(0, OLDEST))}
    if admissions:
        table = read_table(admissions, {"patient_id": "subject_id", "race": "race|ethnicity"})
        table["race"] = table["race"].str.lower().str.split(r"/| - | or ", regex=True).str[0].str.strip()
        counts = table[~table["race"].isin(UNKNOWN_RACES)].value_counts().reset_index()
        most = counts.sort_values(["count", "race"], ascending=[False, True]).drop_duplicates("patient_id")
        found["race"] = patient_id.map(most.set_index("patient_id")["race"])
    return found
