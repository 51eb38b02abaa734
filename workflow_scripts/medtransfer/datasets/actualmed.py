"""Actualmed COVID-19 chest X-ray collection (Chung 2020): 238 films of 215 patients.

Expected: metadata.csv and the folder images/ of https://github.com/agchung/Actualmed-COVID-chestxray-dataset.

Blank findings are inconclusive ones, by the column notes, and are rejected. Sex and age are not given. An
out-of-distribution cohort: every row's split is test.
"""

from pathlib import Path

from medtransfer.datasets._covid import CHANNELS, LABELS, read_covid_table
from medtransfer.datasets._raw import RawFolder, stem
from medtransfer.datasets.base import Reading, assemble

__all__ = ["CHANNELS", "LABELS", "read"]


def read(raw: Path) -> Reading:
    """Read the collection: one row per film."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("metadata.csv")
    rows = read_covid_table(path, "imagename")
    return assemble(rows.assign(image_id=rows["file"].map(stem)), LABELS, folder.images(), path.name)
