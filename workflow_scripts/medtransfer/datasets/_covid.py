"""What the COVID-19 collections of 2020 share: their table columns and their vocabulary of findings."""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import read_table
from medtransfer.datasets._tidy import tidy_age, tidy_sex, tidy_view

LABELS = ("no_finding", "pneumonia", "covid19")
CHANNELS = 1
UNKNOWN = ("todo", "unknown")
# The column says which kind of pneumonia a patient has: these are organisms and kinds, besides "... pneumonia".
PNEUMONIAS = (
    *("pneumonia", "covid-19", "sars", "mers", "pneumocystis", "streptococcus", "klebsiella", "legionella"),
    *("mycoplasma", "chlamydophila", "e.coli", "bacterial", "lipoid", "varicella", "influenza", "aspiration"),
    *("nocardia", "aspergillosis", "herpes", "staphylococcus"),
)


def read_covid_table(path: Path, file_column: str) -> pd.DataFrame:
    """Read such a table into a listing with labels, where nothing but an unknown finding speaks against a row.

    pneumonia is 1 for COVID-19, SARS and any other pneumonia, flat ("Klebsiella", "COVID-19, ARDS") or hierarchical
    ("Pneumonia/Viral/COVID-19"); 0 for "No Finding"; missing for findings that may or may not come with pneumonia
    (ARDS alone, tuberculosis). no_finding and covid19 are 1 or 0. All rows are test.
    """
    columns = {"file": file_column, "patient_id": "patientid", "sex": "sex", "age": "age", "finding": "finding"}
    rows = read_table(path, columns | {"projection": "view", "modality": "modality"})
    finding = rows["finding"].str.casefold()
    none = finding == "no finding"
    pneumonia = finding.map(lambda text: any(word in text for word in PNEUMONIAS))
    return rows.assign(
        reason=np.select(
            [rows["patient_id"] == "", finding == "", finding.isin(UNKNOWN)],
            ["no patient id", "no finding given", "finding '" + rows["finding"] + "'"],
            default="",
        ),
        sex=tidy_sex(rows["sex"]),
        age=tidy_age(rows["age"]),
        view=tidy_view(rows["projection"]),
        no_finding=none.astype("Int8"),
        pneumonia=pd.Series(np.select([pneumonia, none], [1.0, 0.0], np.nan), index=rows.index).astype("Int8"),
        covid19=finding.str.contains("covid-19", regex=False).astype("Int8"),
        split="test",
    )
