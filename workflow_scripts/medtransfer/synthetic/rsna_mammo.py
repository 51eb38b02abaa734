"""RSNA Screening Mammography 2022: raw layout, filled with phantom mammograms (kaggle rsna-breast-cancer-detection).

`train.csv` and `train_images/<patient_id>/<image_id>.dcm`: four images of most patients, both breasts in two views, and
more of some. The two sites differ in their women (those of site 2 are older), in their machines and in their files:
site 1 writes JPEG 2000 and a window, site 2 inverted values (MONOCHROME1) as lossless JPEG, and leaves BI-RADS and
density blank. A quarter of the patients have a cancer, which labels all images of its breast: 13 of 100 images, against
about 2 in the real set, for otherwise a few hundred patients would hold hardly any.

Deliberately bad, as real sets are: the last image is cut off in the middle, the last but one is missing, and some ages
are blank.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import gdcm
import numpy as np
import pandas as pd
from pydicom.dataset import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation
from scipy.special import expit

from medtransfer.files import write_csv
from medtransfer.synthetic.breast import Lesion, Machine, draw_benign, draw_cancer, draw_woman, mammogram
from medtransfer.synthetic.fields import Field, truncate
from medtransfer.synthetic.films import film_header

FOLDER = "train_images"
COLUMNS = [
    "site_id",
    "patient_id",
    "image_id",
    "laterality",
    "view",
    "age",
    "cancer",
    "biopsy",
    "invasive",
    "BIRADS",
    "implant",
    "density",
    "machine_id",
    "difficult_negative_case",
]
SIDES = ("L", "R")
MORE_VIEWS = {"MLO": 0.4, "CC": 0.3, "ML": 0.15, "AT": 0.15}


@dataclass(frozen=True)
class Site:
    """Where women are screened. age: mean and spread in years; odds: log-odds of cancer at the age of 60."""

    number: int
    age: tuple[float, float]
    odds: float
    machines: dict[int, Machine]


DIGITAL = Machine(width=0.77, fat=1.0, gamma=1.0, contrast=1.0, haze=0.0, grain=0.03, blur=0.0, strands=0.5, boxed=True)
SITES = (
    Site(
        number=1,
        age=(56, 10),
        odds=-0.75,
        machines={49: DIGITAL, 48: replace(DIGITAL, gamma=0.9, contrast=0.95, grain=0.04, blur=0.003)},
    ),
    Site(
        number=2,
        age=(63, 9),
        odds=-1.35,
        machines={
            29: Machine(
                width=0.83,
                fat=1.3,
                gamma=1.5,
                contrast=0.9,
                haze=0.05,
                grain=0.06,
                blur=0.008,
                strands=0.9,
                boxed=False,
            )
        },
    ),
)
# Of every five patients, three are of site 1.
TURNS = (0, 1, 0, 1, 0)


def write(raw: Path, patients: int, size: int, seed: int) -> None:
    """Write the folder `raw` for `patients` patients, images `size` pixels high and a little narrower."""
    rows: list[dict[str, object]] = []
    for i in range(patients):
        rows += _patient(raw, i, SITES[TURNS[i % len(TURNS)]], size, np.random.default_rng([seed, i]))
    truncate(_path(raw, rows[-1]))
    _path(raw, rows[-2]).unlink()
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"age": "Int64", "BIRADS": "Int64"})
    write_csv(table, raw / "train.csv")


def _patient(raw: Path, number: int, site: Site, size: int, rng: np.random.Generator) -> list[dict[str, object]]:
    """One patient's images as rows of the table."""
    age = int(np.clip(round(rng.normal(*site.age)), 35, 89))
    woman = draw_woman(age, rng)
    machine_id = int(rng.choice(list(site.machines)))
    ill = rng.random() < expit(site.odds + 0.03 * (age - 60) + 0.15 * (woman.density - 2))
    cancer_side = str(rng.choice(SIDES)) if ill else ""
    age_known = rng.random() > 0.01
    rows: list[dict[str, object]] = []
    for side in SIDES:
        lesions = [draw_benign(rng)] if rng.random() < 0.3 else []
        if side == cancer_side:
            lesions = [*lesions, draw_cancer(rng)]
        about: dict[str, object] = {
            "site_id": site.number,
            "patient_id": _scattered(number, 617_033, 999_983),
            "laterality": side,
            "age": age if age_known else None,
            "implant": int(woman.implants),
            "machine_id": machine_id,
            **_verdict(side == cancer_side, lesions, rng),
        }
        if site.number == 1:
            about["density"] = woman.density_letter
        else:
            about["BIRADS"] = None
        for view in _views(rng):
            image_id = _scattered(100 * number + len(rows), 1_103_515_245, 2**31 - 1)
            row = {**about, "view": view, "image_id": image_id}
            image = mammogram(woman, lesions, side, view, site.machines[machine_id], size, rng)
            _write_dicom(_path(raw, row), row, image)
            rows.append(row)
    return rows


def _scattered(n: int, factor: int, prime: int) -> int:
    """An id that looks drawn at random, yet differs for every n below `prime` - 1 (Lehmer's generator, one step)."""
    return (n + 1) * factor % prime


def _views(rng: np.random.Generator) -> list[str]:
    views = ["CC", "MLO"]
    if rng.random() < 0.08:
        views.append(str(rng.choice(list(MORE_VIEWS), p=list(MORE_VIEWS.values()))))
    return views


def _verdict(cancer: bool, lesions: list[Lesion], rng: np.random.Generator) -> dict[str, object]:
    """What the reader and the pathologist said of one breast; micro-calcifications alone are cancer in situ."""
    recalled = rng.random() < (0.92 if cancer else 0.35 if lesions else 0.04)
    return {
        "cancer": int(cancer),
        "biopsy": int(cancer or (recalled and rng.random() < 0.4)),
        "invasive": int(cancer and lesions[-1].radius > 0),
        "BIRADS": 0 if recalled else 2 if lesions else 1,
        "difficult_negative_case": bool(recalled and not cancer),
    }


def _path(raw: Path, row: dict[str, object]) -> Path:
    return raw / FOLDER / str(row["patient_id"]) / f"{row['image_id']}.dcm"


def _write_dicom(path: Path, row: dict[str, object], image: Field) -> None:
    header = film_header(
        DigitalMammographyXRayImageStorageForPresentation, int(str(row["image_id"])), "MG", image.shape
    )
    header.PatientID = str(row["patient_id"])
    header.PatientSex = "F"
    if row["age"] is not None:
        header.PatientAge = f"{row['age']:03d}Y"
    header.BodyPartExamined = "BREAST"
    header.ImageLaterality = row["laterality"]
    header.ViewPosition = row["view"]
    if row["site_id"] == 1:
        # Some values lie below and above the window, as they do in life.
        header.PhotometricInterpretation = "MONOCHROME2"
        header.WindowCenter, header.WindowWidth = 2000, 3200
        stored, syntax = 400 + 3200 * image, gdcm.TransferSyntax.JPEG2000Lossless
    else:
        header.PhotometricInterpretation = "MONOCHROME1"
        stored, syntax = 4095 - 4095 * image, gdcm.TransferSyntax.JPEGLosslessProcess14_1
    header.PixelData = stored.astype("<u2").tobytes()
    _save_compressed(header, path, syntax)


def _save_compressed(header: Dataset, path: Path, syntax: int) -> None:
    """Write by way of an uncompressed file and GDCM, for pydicom encodes neither lossless JPEG nor tiny images."""
    plain = path.with_suffix(".plain")
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(plain, enforce_file_format=True)
    change = gdcm.FileChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInputFileName(str(plain))
    change.SetOutputFileName(str(path))
    if not change.Change():
        raise OSError(f"{path} cannot be compressed")
    plain.unlink()
