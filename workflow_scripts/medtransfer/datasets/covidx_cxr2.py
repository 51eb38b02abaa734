"""COVIDx CXR-2 (V8B): 16,352 chest films with and without COVID-19, from six sources (Wang, Lin and Wong 2020).

Expected: the lists train.txt and test.txt (train_COVIDx8B.txt and test_COVIDx8B.txt of
https://github.com/lindawangg/COVID-Net, folder labels/), and the images in train/ and test/ as at
https://www.kaggle.com/datasets/andyczhao/covidx-cxr2. An image that is not there is taken from its source, in a
folder beside this one: rsna_pneumonia/, covid_chestxray/, actualmed/, figure1/, and ricord/ and sirm/ with the images
of RICORD 1c and of the COVID-19 radiography database under the names in the lists.

A line of a list is patient, file, label and source, of which the patient may contain spaces. positive is covid19 = 1;
negative says nothing of other diseases. site is the source. The lists give the split; a tenth of the training patients,
by hash, is val.

In the test list the label equals the source, RICORD for positive and RSNA for negative: whoever tells the sources apart
has solved it. Its numbers are no evidence by themselves. The RSNA films are films of ChestX-ray14.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import Images, RawFolder, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble
from medtransfer.errors import UserError

LABELS = ("covid19",)
CHANNELS = 1
LISTS = {"train": ("train.txt", "train_COVIDx8B.txt"), "test": ("test.txt", "test_COVIDx8B.txt")}
SHARES = {"train": 0.9, "val": 0.1}
FIELDS = ["patient_id", "file", "label", "site"]
VALUES = {"positive": 1, "negative": 0}
SOURCES = {  # for each source its folder, beside this dataset's
    "rsna": "rsna_pneumonia",
    "cohen": "covid_chestxray",
    "actmed": "actualmed",
    "fig1": "figure1",
    "ricord": "ricord",
    "sirm": "sirm",
}


def read(raw: Path) -> Reading:
    """Read COVIDx CXR-2: one row per film, covid19 1 or 0. Paths into the folder of a source begin with "../"."""
    folder = RawFolder(raw, __doc__)
    paths = {split: folder.table(*names) for split, names in LISTS.items()}
    rows = pd.concat([_lines(path).assign(split=split) for split, path in paths.items()], ignore_index=True)
    # A letter at the end of a patient counts the films of one patient of Figure 1.
    same = rows["patient_id"].str.replace(r"(?<=\d)[a-z]$", "", regex=True)
    patient_id = rows["patient_id"].mask(rows["site"] == "fig1", same)
    value = rows["label"].map(VALUES)
    listing = rows.assign(
        image_id=rows["file"].map(stem),
        patient_id=patient_id,
        reason=("label '" + rows["label"] + "'").where(value.isna(), ""),
        covid19=value.astype("Int8"),
        split=rows["split"].mask(rows["split"] == "train", split_by_hash(patient_id, SHARES)),
    )
    return assemble(listing, LABELS, _Composed(folder, rows), " or ".join(path.name for path in paths.values()))


class _Composed(Images):
    """The images of the set's own folder and, for listed files that are not there, those of their sources."""

    def __init__(self, folder: RawFolder, rows: pd.DataFrame) -> None:
        own = folder.images()
        super().__init__(own.paths, own.depth)
        files = rows["file"].tolist()
        self.found = {file: path for file, path in zip(files, own.match(files), strict=True) if path}
        for source, name in SOURCES.items():
            lacking = [file for file in rows.loc[rows["site"] == source, "file"] if file not in self.found]
            self.found |= _from_source(folder.raw, name, lacking)

    def match(self, files: Sequence[str]) -> list[str | None]:
        return [self.found.get(file) for file in files]


def _from_source(raw: Path, name: str, files: list[str]) -> dict[str, str]:
    """Paths, relative to `raw`, of the files that the folder `name` beside it has, under any suffix."""
    source = raw.absolute().parent.resolve() / name
    if not files or not source.is_dir():
        return {}
    way = Path(os.path.relpath(source, raw.resolve()))  # where `raw` is a link, ".." is beside what it points to
    # The lists write "COVID(1).png" for the radiography database's "COVID (1).png".
    written = {path.replace(" ", ""): path for path in RawFolder(source, __doc__).images().paths}
    matches = Images(list(written), depth=1).match(files)
    return {file: (way / written[path]).as_posix() for file, path in zip(files, matches, strict=True) if path}


def _lines(path: Path) -> pd.DataFrame:
    """The fields of each line of a list, parsed from the right; a line with fewer is all file.

    Raises UserError for a list without lines.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()]
    fields = [line.rsplit(maxsplit=3) for line in lines if line]
    if not fields:
        raise UserError(f"{path} has no lines. Fetch it again from https://github.com/lindawangg/COVID-Net (labels/).")
    whole = [parts if len(parts) == len(FIELDS) else ["", " ".join(parts), "", ""] for parts in fields]
    return pd.DataFrame(whole, columns=FIELDS, dtype="str")
