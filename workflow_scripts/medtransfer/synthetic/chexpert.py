"""CheXpert v1.0 small: raw layout, filled with phantom films (Irvin et al. 2019, arXiv 1901.07031).

`CheXpert-v1.0-small/{train,valid}.csv` and images; the test labels as CheXlocalize released them,
`CheXpert/test_labels.csv` (Saporta et al. 2022), whose paths lack the version prefix and which hold neither sex nor
age. Patients are numbered as published: train from 1, valid from 64541, test from 64741.

Deliberately bad, as real sets are: the last training image is cut off in the middle, the one before it is missing,
and the first training patient's sex is "Unknown".
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.files import write_csv
from medtransfer.synthetic.fields import save, to_uint8, truncate
from medtransfer.synthetic.hospital import Hospital, draw_findings, draw_patient, film

ROOT = "CheXpert-v1.0-small"
FIRST_NUMBER = {"train": 1, "valid": 64541, "test": 64741}
MOST = {"valid": 200, "test": 500}

# Our findings behind each of CheXpert's labels; fractures cannot be seen in the phantoms.
LABELS = {
    "No Finding": (),
    "Enlarged Cardiomediastinum": ("enlarged_cardiomediastinum",),
    "Cardiomegaly": ("cardiomegaly",),
    "Lung Opacity": ("consolidation", "edema", "pneumonia", "atelectasis", "lung_lesion"),
    "Lung Lesion": ("lung_lesion",),
    "Edema": ("edema",),
    "Consolidation": ("consolidation",),
    "Pneumonia": ("pneumonia",),
    "Atelectasis": ("atelectasis",),
    "Pneumothorax": ("pneumothorax",),
    "Pleural Effusion": ("effusion",),
    "Pleural Other": ("pleural_thickening",),
    "Fracture": ("fracture",),
    "Support Devices": ("support_devices",),
}

# What a report says of a present finding (blank, uncertain) and of an absent one (denied, uncertain): read off the
# published counts, where atelectasis is almost never denied and often uncertain.
REPORTED = {
    "Atelectasis": (0.05, 0.33, 0.01, 0.10),
    "Cardiomegaly": (0.10, 0.12, 0.06, 0.02),
    "Consolidation": (0.15, 0.25, 0.15, 0.08),
    "Edema": (0.08, 0.08, 0.13, 0.04),
    "Pleural Effusion": (0.05, 0.06, 0.26, 0.03),
}
REPORTED_OTHERWISE = (0.15, 0.10, 0.05, 0.01)

HOSPITAL = Hospital(
    prevalence={
        "atelectasis": 0.22,
        "cardiomegaly": 0.16,
        "consolidation": 0.14,
        "edema": 0.20,
        "effusion": 0.30,
        "support_devices": 0.35,
        "pneumothorax": 0.06,
        "enlarged_cardiomediastinum": 0.06,
        "lung_lesion": 0.05,
        "pneumonia": 0.04,
        "pleural_thickening": 0.02,
        "fracture": 0.03,
    },
    age=(61, 17),
    women=0.41,
    supine=0.80,
    subtle=0.0,
    gamma=1.0,
    contrast=1.05,
    noise=0.03,
    blur=0.2,
    framed=0.3,
    marker="L",
)


def write(raw: Path, patients: int, size: int, seed: int) -> None:
    """Write the folder `raw` for `patients` patients (70 % train, 10 % valid, 20 % test) at `size` pixels."""
    held_out = {"valid": min(round(0.1 * patients), MOST["valid"]), "test": min(round(0.2 * patients), MOST["test"])}
    counts = {"train": patients - sum(held_out.values())} | held_out
    tables, start = {}, 0
    for split, count in counts.items():
        rows = []
        for i in range(count):
            rng = np.random.default_rng([seed, start + i])
            rows += _patient(raw, split, FIRST_NUMBER[split] + i, size, rng)
        tables[split] = pd.DataFrame(rows)
        start += count

    train = tables["train"]
    train.loc[train["Path"].str.contains("patient00001/"), "Sex"] = "Unknown"
    (raw / train["Path"].iloc[-2]).unlink()
    truncate(raw / train["Path"].iloc[-1])

    write_csv(train, raw / ROOT / "train.csv")
    write_csv(tables["valid"], raw / ROOT / "valid.csv")
    test = tables["test"][["Path", *LABELS]]
    write_csv(test.assign(Path=test["Path"].str.removeprefix(f"{ROOT}/")), raw / "CheXpert" / "test_labels.csv")


def _patient(raw: Path, split: str, number: int, size: int, rng: np.random.Generator) -> list[dict[str, object]]:
    """One patient's images, one or two studies of one or two views (one study outside train), as rows."""
    patient = draw_patient(HOSPITAL, rng)
    rows: list[dict[str, object]] = []
    for study in range(1, 2 + int(split == "train" and rng.random() < 0.35)):
        view = "AP" if rng.random() < HOSPITAL.supine else "PA"
        severity = draw_findings(HOSPITAL, patient, view, rng)
        labels = _consensus(severity) if split != "train" else _reported(severity, rng)
        # Laterals are taken upright, so with PA films above all.
        views = [view, "lateral"] if rng.random() < (0.6 if view == "PA" else 0.06) else [view]
        for n, shown in enumerate(views, start=1):
            side = "lateral" if shown == "lateral" else "frontal"
            path = f"{ROOT}/{split}/patient{number:05d}/study{study}/view{n}_{side}.jpg"
            save(to_uint8(film(HOSPITAL, patient, severity, shown, size, rng)), raw / path)
            rows.append(
                {
                    "Path": path,
                    "Sex": patient.body.sex.capitalize(),
                    "Age": int(patient.body.age),
                    "Frontal/Lateral": side.capitalize(),
                    "AP/PA": None if shown == "lateral" else shown,
                    **labels,
                }
            )
    return rows


def _consensus(severity: dict[str, float]) -> dict[str, float | None]:
    """Radiologists' consensus: every label 1 or 0."""
    labels: dict[str, float | None] = {
        label: float(any(finding in severity for finding in findings)) for label, findings in LABELS.items()
    }
    labels["No Finding"] = float(not severity.keys() - {"support_devices"})
    return labels


def _reported(severity: dict[str, float], rng: np.random.Generator) -> dict[str, float | None]:
    """What a labeller finds in a report: 1 stated, 0 denied, -1 uncertain, None not mentioned."""
    labels = _consensus(severity)
    normal = labels["No Finding"] == 1
    for label in LABELS:
        blank, doubted, denied, suspected = REPORTED.get(label, REPORTED_OTHERWISE)
        chance = rng.random()
        if labels[label] == 1:
            labels[label] = None if chance < blank else -1.0 if chance < blank + doubted else 1.0
        else:
            labels[label] = 0.0 if chance < denied else -1.0 if chance < denied + suspected else None
    labels["No Finding"] = 1.0 if normal else None
    return labels
