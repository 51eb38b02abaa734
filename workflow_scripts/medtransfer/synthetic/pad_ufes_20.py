"""PAD-UFES-20: raw layout, filled with phantom smartphone photographs (Pacheco et al. 2020, doi 10.17632/zr7vgbcyr2.1).

`images/imgs_part_<n>/PAT_<patient>_<lesion>_<number>.png` and `metadata.csv` with its 26 columns, most of them blank
where there was no biopsy. Darker skin than ISIC 2019, worse light, fewer melanomas.

Deliberately bad, as real sets are: the last image is cut off in the middle and the last but one is missing.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.files import write_csv
from medtransfer.synthetic.fields import save, to_uint8, truncate
from medtransfer.synthetic.skin import Camera, draw_lesion, photograph

DIAGNOSES = {"BCC": "bcc", "ACK": "ak", "NEV": "nv", "SEK": "bkl", "SCC": "scc", "MEL": "mel"}
SHARES = (0.34, 0.30, 0.12, 0.11, 0.08, 0.05)
MEAN_AGE = {"BCC": 65, "ACK": 64, "NEV": 37, "SEK": 62, "SCC": 68, "MEL": 60}
CANCER = {"BCC", "SCC", "MEL"}
SKIN_TYPES = (0.10, 0.34, 0.28, 0.14, 0.09, 0.05)
REGIONS = (
    "FACE",
    "FOREARM",
    "CHEST",
    "BACK",
    "ARM",
    "NOSE",
    "HAND",
    "NECK",
    "THIGH",
    "EAR",
    "ABDOMEN",
    "SCALP",
    "FOOT",
)
BACKGROUNDS = ("POMERANIA", "GERMANY", "ITALY", "BRAZIL", "PORTUGAL", "BRASIL")
COLUMNS = [
    "patient_id",
    "lesion_id",
    "smoke",
    "drink",
    "background_father",
    "background_mother",
    "age",
    "pesticide",
    "gender",
    "skin_cancer_history",
    "cancer_history",
    "has_piped_water",
    "has_sewage_system",
    "fitspatrick",
    "region",
    "diameter_1",
    "diameter_2",
    "diagnostic",
    "itch",
    "grew",
    "hurt",
    "changed",
    "bleed",
    "elevation",
    "img_id",
    "biopsed",
]
# What is asked only where a biopsy is taken.
HISTORY = (
    "smoke",
    "drink",
    "pesticide",
    "skin_cancer_history",
    "cancer_history",
    "has_piped_water",
    "has_sewage_system",
)
IMAGES_PER_PART = 800

CAMERA = Camera(0.75, 0.5, (1.05, 0.98, 0.88), 0.30, 0.6, 0.02, vignette=0.0, hairs=0.25, ruler=0.0, off_centre=0.22)


def write(raw: Path, patients: int, size: int, seed: int) -> None:
    """Write the folder `raw` for `patients` patients with one or two lesions each, square images of `size` pixels."""
    rows: list[dict[str, object]] = []
    for patient in range(1, patients + 1):
        rows += _patient(raw, patient, len(rows), size, np.random.default_rng([seed, patient]))
    files = sorted((raw / "images").rglob("*.png"), key=lambda path: int(path.stem.split("_")[-1]))
    files[-2].unlink()
    truncate(files[-1])
    write_csv(pd.DataFrame(rows, columns=COLUMNS), raw / "metadata.csv")


def _patient(
    raw: Path, number: int, images_before: int, size: int, rng: np.random.Generator
) -> list[dict[str, object]]:
    skin_type = int(rng.choice(6, p=SKIN_TYPES)) + 1
    woman = bool(rng.random() < 0.5)
    rows: list[dict[str, object]] = []
    for lesion_number in range(1, 2 + int(rng.random() < 0.2)):
        diagnosis = str(rng.choice(list(DIAGNOSES), p=SHARES))
        lesion = draw_lesion(DIAGNOSES[diagnosis], skin_type, rng)
        biopsed = diagnosis in CANCER or bool(rng.random() < 0.25)
        about: dict[str, object] = {
            "patient_id": f"PAT_{number}",
            "lesion_id": 2 * number + lesion_number,
            "age": int(np.clip(rng.normal(MEAN_AGE[diagnosis], 13), 6, 94)),
            "region": str(rng.choice(REGIONS)),
            "diagnostic": diagnosis,
            "itch": str(rng.random() < 0.6),
            "grew": str(rng.choice(("True", "False", "UNK"))),
            "hurt": str(rng.random() < 0.15),
            "changed": str(rng.choice(("True", "False", "UNK"), p=(0.1, 0.7, 0.2))),
            "bleed": str(diagnosis in CANCER and rng.random() < 0.4),
            "elevation": str(rng.random() < 0.6),
            "biopsed": str(biopsed),
        }
        if biopsed:
            about |= {question: str(rng.random() < 0.4) for question in HISTORY}
            about |= {f"background_{parent}": str(rng.choice(BACKGROUNDS)) for parent in ("father", "mother")}
            about |= {f"diameter_{i}": float(round(12 * lesion.look.radius * rng.uniform(1, 2))) for i in (1, 2)}
            about |= {"gender": "FEMALE" if woman else "MALE", "fitspatrick": float(skin_type)}
        elif rng.random() < 0.5:
            about |= {"gender": "FEMALE" if woman else "MALE", "fitspatrick": float(skin_type)}
        for _ in range(1 + int(rng.random() < 0.35)):
            image_number = images_before + len(rows)
            name = f"PAT_{number}_{about['lesion_id']}_{image_number}.png"
            part = f"imgs_part_{1 + image_number // IMAGES_PER_PART}"
            save(to_uint8(photograph(lesion, CAMERA, size, rng)), raw / "images" / part / name)
            rows.append({**about, "img_id": name})
    return rows
