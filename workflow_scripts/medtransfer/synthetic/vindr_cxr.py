"""VinDr-CXR: raw layout, filled with phantom films (Nguyen et al. 2022, doi 10.1038/s41597-022-01498-w).

`train/<image_id>.dicom` and `test/<image_id>.dicom` (12 bits stored in 16, some MONOCHROME1, sex and age often
missing), `annotations/image_labels_train.csv` with three readers per image who sometimes disagree, and
`annotations/image_labels_test.csv` with the consensus. One image per patient.

Deliberately bad, as real sets are: one training file is cut off in the middle, and one is missing.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydicom.uid import DigitalXRayImageStorageForPresentation

from medtransfer.files import write_csv
from medtransfer.synthetic.fields import truncate
from medtransfer.synthetic.films import film_header
from medtransfer.synthetic.hospital import Hospital, draw_findings, draw_patient, film

LOCAL = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Clavicle fracture",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Enlarged PA",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Lung cavity",
    "Lung cyst",
    "Mediastinal shift",
    "Nodule/Mass",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "Rib fracture",
    "Other lesion",
)
GLOBAL = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding")

# The findings that phantoms show; the other labels stay 0.
LABELS = {
    "Atelectasis": ("atelectasis",),
    "Cardiomegaly": ("cardiomegaly",),
    "Consolidation": ("consolidation",),
    "Edema": ("edema",),
    "Infiltration": ("infiltration",),
    "Lung Opacity": ("consolidation", "infiltration", "edema"),
    "Nodule/Mass": ("lung_lesion",),
    "Pleural effusion": ("effusion",),
    "Pleural thickening": ("pleural_thickening",),
    "Pneumonia": ("pneumonia",),
    "Pneumothorax": ("pneumothorax",),
    "Pulmonary fibrosis": ("fibrosis",),
}

READERS = 17
SEEN, IMAGINED = 0.85, 0.01
TEST_SHARE = 0.4

# Upright films only, crisp and dark; edema and atelectasis are more common than published, for otherwise a few
# hundred films would hold none.
HOSPITAL = Hospital(
    prevalence={
        "atelectasis": 0.10,
        "cardiomegaly": 0.16,
        "consolidation": 0.10,
        "edema": 0.08,
        "effusion": 0.12,
        "infiltration": 0.08,
        "lung_lesion": 0.08,
        "pleural_thickening": 0.10,
        "pneumonia": 0.05,
        "pneumothorax": 0.03,
        "fibrosis": 0.08,
    },
    age=(50, 17),
    women=0.48,
    supine=0.0,
    subtle=1.8,
    gamma=1.6,
    contrast=1.0,
    noise=0.02,
    blur=0.0,
    framed=0.7,
    marker="",
)


def write(raw: Path, patients: int, size: int, seed: int) -> None:
    """Write the folder `raw` for `patients` patients with one DICOM file each, `size` pixels wide, a little taller."""
    train: list[dict[str, object]] = []
    test: list[dict[str, object]] = []
    n_test = round(TEST_SHARE * patients)
    for i in range(patients):
        rng = np.random.default_rng([seed, i])
        split = "test" if i < n_test else "train"
        image_id = hashlib.md5(f"vindr_cxr {seed} {i}".encode()).hexdigest()
        severity = _image(raw / split / f"{image_id}.dicom", image_id, size, rng)
        truth = {label: any(ours in severity for ours in LABELS.get(label, ())) for label in LOCAL + GLOBAL}
        if split == "test":
            test.append({"image_id": image_id, **_row(truth)})
            continue
        for reader in sorted(rng.choice(READERS, 3, replace=False)):
            rate = np.where(list(truth.values()), SEEN, [IMAGINED * (label in LABELS) for label in truth])
            read = dict(zip(truth, (rng.random(len(truth)) < rate).tolist(), strict=True))
            train.append({"image_id": image_id, "rad_id": f"R{reader + 1}", **_row(read)})

    names = list(dict.fromkeys(str(row["image_id"]) for row in train))
    truncate(raw / "train" / f"{names[-1]}.dicom")
    (raw / "train" / f"{names[-2]}.dicom").unlink()
    write_csv(pd.DataFrame(train), raw / "annotations" / "image_labels_train.csv")
    # The published test table says "Other disease" where the training table says "Other diseases".
    consensus = pd.DataFrame(test).rename(columns={"Other diseases": "Other disease"})
    write_csv(consensus, raw / "annotations" / "image_labels_test.csv")


def _row(labels: dict[str, bool]) -> dict[str, int]:
    return {label: int(value) for label, value in labels.items()} | {"No finding": int(not any(labels.values()))}


def _image(path: Path, image_id: str, size: int, rng: np.random.Generator) -> dict[str, float]:
    """Write one film and return the severities of its findings."""
    patient = draw_patient(HOSPITAL, rng)
    severity = draw_findings(HOSPITAL, patient, "PA", rng)
    image = film(HOSPITAL, patient, severity, "PA", size, rng)
    # Detectors are taller than wide.
    image = np.pad(image, ((size // 12, 0), (0, 0)), mode="edge")
    stored = (200 + image * 3600).astype(np.uint16)
    inverted = rng.random() < 0.15
    sex = ("F" if patient.body.sex == "female" else "M") if rng.random() < 0.8 else ""
    age = f"{int(patient.body.age):03d}Y" if rng.random() < 0.6 else None
    _write_dicom(path, image_id, 4095 - stored if inverted else stored, inverted, sex, age)
    return severity


def _write_dicom(
    path: Path, image_id: str, stored: NDArray[np.uint16], inverted: bool, sex: str, age: str | None
) -> None:
    header = film_header(DigitalXRayImageStorageForPresentation, int(image_id, 16), "DX", stored.shape)
    header.PatientSex = sex
    if age is not None:
        header.PatientAge = age
    header.ViewPosition = "PA"
    header.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    header.WindowCenter, header.WindowWidth = 2047, 4096
    header.PixelData = stored.astype("<u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
