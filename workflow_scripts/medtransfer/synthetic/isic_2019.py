"""ISIC 2019: raw layout, filled with phantom dermoscopy (challenge.isic-archive.com, 2019, training part).

`ISIC_2019_Training_Input/ISIC_<number>.jpg` (some names end in `_downsampled`), `ISIC_2019_Training_GroundTruth.csv`
(one-hot, with an UNK column that is never set) and `ISIC_2019_Training_Metadata.csv`. Lesions come from three
sources told by the prefix of their lesion id, each with its own camera and case mix; part of the MSK images have no
lesion id. Classes are less skewed than published, so that the rarest has some dozens of lesions.

Deliberately bad, as real sets are: the last image is cut off in the middle, the last but one is missing, and the
last but two has no class.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.files import write_csv
from medtransfer.synthetic.fields import save, to_uint8, truncate
from medtransfer.synthetic.skin import Camera, draw_lesion, photograph

FOLDER = "ISIC_2019_Training_Input"
CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
SHARES = {"NV": 0.38, "MEL": 0.17, "BCC": 0.14, "BKL": 0.11, "AK": 0.06, "SCC": 0.06, "VASC": 0.04, "DF": 0.04}
MEAN_AGE = {"MEL": 61, "NV": 46, "BCC": 67, "AK": 69, "BKL": 64, "DF": 49, "VASC": 51, "SCC": 71}
WOMEN = {"MEL": 0.44, "NV": 0.52, "BCC": 0.38, "AK": 0.36, "BKL": 0.45, "DF": 0.60, "VASC": 0.52, "SCC": 0.36}
SITES = (
    "anterior torso",
    "head/neck",
    "lateral torso",
    "lower extremity",
    "oral/genital",
    "palms/soles",
    "posterior torso",
    "upper extremity",
)

SOURCES = ("HAM", "BCN", "MSK4")
SOURCE_SHARES = {
    "NV": (0.55, 0.30, 0.15),
    "BKL": (0.45, 0.40, 0.15),
    "DF": (0.5, 0.4, 0.1),
    "VASC": (0.6, 0.4, 0.0),
}
SOURCE_SHARES_OTHERWISE = (0.25, 0.65, 0.10)
CAMERAS = {
    "HAM": Camera(1.0, 1.0, (1.02, 0.96, 1.00), 0.08, 0.1, 0.012, vignette=0.1, hairs=0.3, ruler=0.02, off_centre=0.08),
    "BCN": Camera(1.1, 0.9, (0.98, 1.00, 0.96), 0.15, 0.2, 0.015, vignette=0.5, hairs=0.4, ruler=0.05, off_centre=0.10),
    "MSK4": Camera(0.9, 0.8, (1.00, 1.00, 1.04), 0.10, 0.3, 0.02, vignette=0.3, hairs=0.3, ruler=0.35, off_centre=0.12),
}
FIRST_NUMBER = 24306


def write(raw: Path, patients: int, size: int, seed: int) -> None:
    """Write the folder `raw` for `patients` lesions with one to three images each, `size` pixels wide."""
    rows: list[dict[str, object]] = []
    for lesion, diagnosis in enumerate(_diagnoses(patients, seed)):
        rows += _lesion(raw, lesion, diagnosis, len(rows), size, np.random.default_rng([seed, lesion]))
    table = pd.DataFrame(rows)

    truth = pd.DataFrame(
        {"image": table["image"]} | {c: (table["class"] == c).astype(float) for c in (*CLASSES, "UNK")}
    )
    truth.loc[truth.index[-3], list(CLASSES)] = 0.0
    (raw / FOLDER / f"{table['image'].iloc[-2]}.jpg").unlink()
    truncate(raw / FOLDER / f"{table['image'].iloc[-1]}.jpg")
    write_csv(truth, raw / "ISIC_2019_Training_GroundTruth.csv")
    write_csv(table.drop(columns="class"), raw / "ISIC_2019_Training_Metadata.csv")


def _diagnoses(lesions: int, seed: int) -> list[str]:
    """The diagnosis of each lesion: fixed shares in random order, so that no class is missing by chance."""
    ends = np.round(np.cumsum(list(SHARES.values())) * lesions).astype(int)
    ordered = np.repeat(list(SHARES), np.diff(ends, prepend=0))
    return [str(name) for name in np.random.default_rng([seed, lesions]).permutation(ordered)]


def _lesion(
    raw: Path, number: int, diagnosis: str, images_before: int, size: int, rng: np.random.Generator
) -> list[dict[str, object]]:
    source = str(rng.choice(SOURCES, p=SOURCE_SHARES.get(diagnosis, SOURCE_SHARES_OTHERWISE)))
    lesion = draw_lesion(diagnosis.lower(), int(rng.choice((1, 2, 3, 4), p=(0.3, 0.45, 0.2, 0.05))), rng)
    about = {
        "age_approx": _some(float(np.clip(5 * round(rng.normal(MEAN_AGE[diagnosis], 14) / 5), 0, 85)), 0.02, rng),
        "anatom_site_general": _some(str(rng.choice(SITES)), 0.1, rng),
        "lesion_id": _some(f"{source}_{number:07d}", 0.6 if source == "MSK4" else 0.0, rng),
        "sex": _some("female" if rng.random() < WOMEN[diagnosis] else "male", 0.015, rng),
    }
    rows = []
    for i in range(int(rng.choice((1, 2, 3), p=(0.65, 0.25, 0.10)))):
        downsampled = source == "MSK4" and rng.random() < 0.5
        name = f"ISIC_{FIRST_NUMBER + images_before + i:07d}" + "_downsampled" * downsampled
        image = photograph(lesion, CAMERAS[source], size, rng)
        if source == "HAM":  # 600 x 450 in the real set
            image = image[size // 8 : size - size // 8]
        save(to_uint8(image), raw / FOLDER / f"{name}.jpg")
        rows.append({"image": name, **about, "class": diagnosis})
    return rows


def _some(value: object, blank: float, rng: np.random.Generator) -> object:
    return None if rng.random() < blank else value
