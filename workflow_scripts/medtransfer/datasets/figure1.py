"""Figure 1 COVID-19 chest X-ray collection (Chung 2020): 55 films.

Expected: metadata.csv (Windows-1252) and the folder images/ of
https://github.com/agchung/Figure1-COVID-chestxray-dataset.

There is no column of file names: a file is named by its patientid. A letter at its end counts the films of one patient
(COVID-00003a, COVID-00003b). Most films have no stated view; all are X-ray films and are kept. Blank findings are
rejected. An out-of-distribution cohort: every row's split is test.
"""

from pathlib import Path

from medtransfer.datasets._covid import CHANNELS, LABELS, read_covid_table
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading, assemble

__all__ = ["CHANNELS", "LABELS", "read"]


def read(raw: Path) -> Reading:
    """Read the collection: one row per film."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("metadata.csv")
    rows = read_covid_table(path, "patientid")
    patient_id = rows["file"].str.replace(r"(?<=\d)[a-z]$", "", regex=True)
    return assemble(rows.assign(image_id=rows["file"], patient_id=patient_id), LABELS, folder.images(), path.name)
