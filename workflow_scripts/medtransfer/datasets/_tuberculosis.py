"""What the two tuberculosis sets of the National Library of Medicine share: labels in names, readings beside them."""

import re
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import Images, RawFolder, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex
from medtransfer.datasets.base import Reading, assemble

LABELS = ("tuberculosis",)
CHANNELS = 1
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
# "Patient's Sex: F", "male 45yrs", "femal 32yrs", "Female, 28yrs": the first such word.
SEX = re.compile(r"\b(f|m)(?:emale?|ale)?(?![a-z])", re.IGNORECASE)


def read_set(folder: RawFolder, prefix: str, head: int) -> Reading:
    """Read one set: a row for each film named <prefix>_<number>_<0 or 1>, the last digit being the label.

    A film stands for a patient; all are PA. The first `head` lines of ClinicalReadings/<film>.txt say sex and age, in
    whatever form; both are missing where they do not, or where there is no such file. Lung masks are told by "mask" in
    the path and are no films. Raises UserError when no image has such a name.
    """
    films = [path for path in folder.images().paths if "mask" not in path.casefold()]
    images = Images(films, depth=1)
    stems = pd.Series(list(dict.fromkeys(stem(images.name(path)) for path in films)), dtype="str")
    parts = stems.str.extract(rf"^(?P<patient>{prefix}_\d+)_(?P<label>[01])$", flags=re.IGNORECASE)
    if parts["label"].isna().all():
        raise folder.missing(f"any image named {prefix}_<number>_<0 or 1>")
    patient = parts["patient"].fillna("").str.upper()
    heads = _heads(folder, head)
    patients = pd.Series([heads.get(name, "") for name in stems], dtype="str")
    listing = pd.DataFrame(
        {
            "file": stems,
            "image_id": stems,
            "patient_id": patient,
            "reason": np.where(parts["label"].isna(), f"name is not {prefix}_<number>_<0 or 1>", ""),
            "tuberculosis": pd.to_numeric(parts["label"]).astype("Int8"),
            "sex": tidy_sex(patients.str.extract(SEX, expand=False).fillna("")),
            "age": tidy_age(patients),
            "view": "PA",
            "split": split_by_hash(patient, SHARES),
        }
    )
    return assemble(listing, LABELS, images, "the names of films")


def _heads(folder: RawFolder, lines: int) -> dict[str, str]:
    """The first lines of each clinical reading, by the name of its film."""
    readings = [PurePosixPath(path) for path in folder.files if path.casefold().endswith(".txt")]
    return {
        path.stem: "\n".join((folder.raw / path).read_text("utf-8-sig", errors="replace").strip().splitlines()[:lines])
        for path in readings
    }
