"""COVID-19 image data collection (Cohen et al. 2020): X-ray films of COVID-19 and other pneumonias, from publications.

Expected: metadata.csv and the folder images/ of https://github.com/ieee8023/covid-chestxray-dataset, of any revision.

Frontal X-ray films alone are taken (PA, AP, erect or supine); CT, lateral films and films without a stated view are
rejected, and so are those whose finding is blank, "todo" or "Unknown". Some films are listed under two patient numbers:
the first row counts, and the second number is taken as the same patient in all its rows. It serves as an
out-of-distribution cohort, every row's split test; to train on it, the policy `split: by_hash` splits its patients. The
licence differs from image to image: see the column license of metadata.csv.
"""

from pathlib import Path

from medtransfer.datasets._covid import CHANNELS, LABELS, read_covid_table
from medtransfer.datasets._raw import RawFolder, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

__all__ = ["CHANNELS", "LABELS", "POLICIES", "read"]

POLICIES = {"split": ("test", "by_hash")}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def read(raw: Path, *, split: str = "test") -> Reading:
    """Read the collection: one row per frontal film."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("metadata.csv")
    rows = read_covid_table(path, "filename")
    first = rows.groupby("file")["patient_id"].transform("first").where(rows["file"] != "", rows["patient_id"])
    same = {other: kept for other, kept in zip(rows["patient_id"], first, strict=True) if other != kept}
    frontal = rows["view"].isin(["PA", "AP"])
    xray = rows["modality"].str.casefold() == "x-ray"
    reason = rows["reason"].mask(~frontal, "view '" + rows["projection"] + "', not a frontal one")
    reason = reason.mask(~xray, "modality '" + rows["modality"] + "', not X-ray")
    listing = rows.assign(image_id=rows["file"].map(stem), patient_id=rows["patient_id"].replace(same), reason=reason)
    if split == "by_hash":
        listing = listing.assign(split=split_by_hash(listing["patient_id"], SHARES))
    return assemble(listing, LABELS, folder.images(), path.name)
