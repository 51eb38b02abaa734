"""What every reader shares: its result, and the way from listed rows to a cohort table."""

from dataclasses import dataclass

import pandas as pd

from medtransfer.datasets._raw import Images
from medtransfer.datasets._splits import check_splits

ABSENT = "file not found"  # the reason for a listed image that is not on disk
OPTIONAL = (
    *("uncertain", "sex", "age", "race", "view", "laterality", "site", "skin_type", "density", "implant", "lesion_id"),
    "class_name",
)


@dataclass(frozen=True)
class Reading:
    """What a reader makes of a raw folder: the cohort `table`, and `rejected` (file, reason), all that is not in it."""

    table: pd.DataFrame
    rejected: pd.DataFrame


def assemble(listing: pd.DataFrame, labels: tuple[str, ...], images: Images, table: str) -> Reading:
    """Turn listed rows into a cohort table and the list of what is not in it, losing no row and no file.

    `listing` has one row per listed image: `file` (as listed), `reason` ("" where nothing speaks against the row),
    image_id, patient_id, split, study_id where the dataset has studies, labels (0, 1 or missing), and any of OPTIONAL.
    A row is rejected for its own reason, when its image is not among `images`, or when its image stands in an earlier
    row. Images that no row lists are rejected too; `table` names the file they are missing from.

    Raises UserError when a patient stands in two splits.
    """
    listing = listing.reset_index(drop=True)
    paths = pd.Series(images.match(listing["file"].tolist()), dtype=object)
    reason = listing["reason"].mask(listing["file"] == "", f"a row of {table} without file name")
    reason = reason.mask((reason == "") & paths.isna(), ABSENT)
    kept = listing.assign(path=paths)[reason == ""]
    again = kept["path"].duplicated()
    reason[again.index[again]] = "listed more than once; the first row counts"

    rejected = listing.assign(reason=reason).loc[reason != "", ["file", "reason"]]
    unlisted = pd.DataFrame(
        images.unlisted(listing["file"].tolist(), paths.tolist(), table), columns=["file", "reason"]
    )
    cohort = kept[~again]
    twins = cohort["image_id"].duplicated(keep=False)  # files that differ by their suffix alone
    cohort = cohort.assign(image_id=cohort["image_id"].mask(twins, cohort["file"]))
    if "study_id" not in cohort:
        cohort = cohort.assign(study_id=cohort["image_id"])
    optional = [column for column in OPTIONAL if column in cohort and cohort[column].notna().any()]
    columns = ["image_id", "patient_id", "study_id", "path", *labels, *optional, "split"]
    cohort = cohort[columns].astype({"path": "str"} | dict.fromkeys(labels, "Int8")).reset_index(drop=True)
    check_splits(cohort)
    return Reading(cohort, pd.concat([rejected, unlisted], ignore_index=True))
