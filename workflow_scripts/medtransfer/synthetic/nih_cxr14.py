"""NIH ChestX-ray14: raw layout, filled with phantom films (Wang et al. 2017, arXiv 1705.02315).

`images_001/images/<patient>_<follow-up>.png`, `Data_Entry_2017_v2020.csv` (whose size and spacing columns are split
at the bracket's comma), `train_val_list.txt`, `test_list.txt`. A few PNGs are RGBA, as in the real set.

Deliberately bad, as real sets are: the last image is cut off in the middle, and the first image of the last but one
patient is missing.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.files import write_csv, write_text
from medtransfer.synthetic.fields import save, to_uint8, truncate
from medtransfer.synthetic.hospital import Hospital, draw_findings, draw_patient, film

FOLDER = "images_001/images"
RGBA_SHARE = 0.02
TEST_SHARE = 0.25

LABELS = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Effusion": "effusion",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Infiltration": "infiltration",
    "Nodule": "lung_lesion",
    "Pleural_Thickening": "pleural_thickening",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
}

# Healthier, younger and more often upright than CheXpert's patients; consolidation and edema are more common than
# published, for otherwise a few hundred films would hold none.
HOSPITAL = Hospital(
    prevalence={
        "atelectasis": 0.12,
        "cardiomegaly": 0.10,
        "consolidation": 0.09,
        "edema": 0.08,
        "effusion": 0.15,
        "emphysema": 0.03,
        "fibrosis": 0.02,
        "infiltration": 0.16,
        "lung_lesion": 0.07,
        "pleural_thickening": 0.03,
        "pneumonia": 0.02,
        "pneumothorax": 0.05,
        "support_devices": 0.15,
    },
    age=(48, 16),
    women=0.44,
    supine=0.40,
    subtle=1.2,
    gamma=1.35,
    contrast=0.85,
    noise=0.03,
    blur=0.5,
    framed=0.5,
    marker="R",
)


def write(raw: Path, patients: int, size: int, seed: int) -> None:
    """Write the folder `raw` for `patients` patients with one to three films each, square, at `size` pixels."""
    rows: list[dict[str, object]] = []
    for number in range(1, patients + 1):
        rows += _patient(raw, number, size, np.random.default_rng([seed, number]))
    table = pd.DataFrame(rows)

    truncate(raw / FOLDER / table["Image Index"].iloc[-1])
    (raw / FOLDER / f"{patients - 1:08d}_000.png").unlink()

    test_patients = np.random.default_rng([seed, 0]).permutation(patients)[: round(TEST_SHARE * patients)] + 1
    tested = table["Patient ID"].isin(test_patients)
    write_csv(table, raw / "Data_Entry_2017_v2020.csv")
    write_text("\n".join(table.loc[~tested, "Image Index"]) + "\n", raw / "train_val_list.txt")
    write_text("\n".join(table.loc[tested, "Image Index"]) + "\n", raw / "test_list.txt")


def _patient(raw: Path, number: int, size: int, rng: np.random.Generator) -> list[dict[str, object]]:
    patient = draw_patient(HOSPITAL, rng)
    rows = []
    for visit in range(int(rng.choice((1, 2, 3), p=(0.65, 0.25, 0.10)))):
        view = "AP" if rng.random() < HOSPITAL.supine else "PA"
        severity = draw_findings(HOSPITAL, patient, view, rng)
        image = to_uint8(film(HOSPITAL, patient, severity, view, size, rng))
        if rng.random() < RGBA_SHARE:
            image = np.dstack([image, image, image, np.full_like(image, 255)])
        name = f"{number:08d}_{visit:03d}.png"
        save(image, raw / FOLDER / name)
        rows.append(
            {
                "Image Index": name,
                "Finding Labels": "|".join(label for label, ours in LABELS.items() if ours in severity) or "No Finding",
                "Follow-up #": visit,
                "Patient ID": number,
                "Patient Age": int(patient.body.age) + visit,
                "Patient Gender": "F" if patient.body.sex == "female" else "M",
                "View Position": view,
                "OriginalImage[Width": 2500 if view == "AP" else 2048,
                "Height]": 2048 if view == "AP" else 2500,
                "OriginalImagePixelSpacing[x": 0.168,
                "y]": 0.168,
            }
        )
    return rows
