"""Mini-MIAS: 322 digitised screening films of 161 women, with the kind and severity of abnormalities (Suckling 1994).

Expected: Info.txt and the films mdb001.pgm to mdb322.pgm (or copies in another format) in any subfolder. From
http://peipa.essex.ac.uk/info/mias.html.

Info.txt is prose with a table in it: the lines that begin with a film's number. A film with several abnormalities has
several lines and is one row here. An odd number and the next even one are a woman's right and left breast. A film is
cancer where an abnormality is malignant, abnormal where any is listed. The split is by hash of the pair. The tissue
classes (fatty, glandular, dense) are not BI-RADS densities and left out.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble
from medtransfer.errors import UserError

LABELS = ("cancer", "abnormal")
CHANNELS = 1
PREPARATION = "breast"
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
KINDS = "CALC|CIRC|SPIC|MISC|ARCH|ASYM|NORM"
LINE = rf"(?i)^(?P<film>mdb(?P<number>\d{{3}}))\b(?:\s+[FGD]\s+(?P<kind>{KINDS})\b(?:\s+(?P<severity>[BM])\b)?)?"


def read(raw: Path) -> Reading:
    """Read Mini-MIAS: one row per film."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("Info.txt")
    lines = pd.Series(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), dtype="str")
    findings = lines.str.strip().str.extract(LINE).dropna(subset="film")
    if findings.empty:
        raise UserError(f"{path} has no line that begins with a film's number, such as mdb001. Fetch it again.")
    kind, severity = findings["kind"].str.upper(), findings["severity"].str.upper()
    readable = (kind == "NORM") | (kind.notna() & severity.notna())
    findings = findings.assign(
        film=findings["film"].str.lower(), readable=readable, cancer=severity == "M", abnormal=kind != "NORM"
    )
    films = findings.groupby("film", sort=False).agg(
        {"number": "first", "readable": "all", "cancer": "any", "abnormal": "any"}
    )
    films = films.reset_index(names="image_id")
    number = films["number"].astype(int)
    pair = "pair" + ((number + 1) // 2).astype("str").str.zfill(3)
    listing = films.assign(
        file=films["image_id"] + ".pgm",
        patient_id=pair,
        study_id=pair,
        reason=np.where(films["readable"], "", "a line without kind or severity of the abnormality"),
        laterality=np.where(number % 2, "R", "L"),
        view="MLO",
        split=split_by_hash(pair, SHARES),
        **{label: films[label].astype("Int8") for label in LABELS},
    )
    return assemble(listing, LABELS, folder.images(), path.name)
