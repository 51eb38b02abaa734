"""Cohorts made of others: a part of one dataset, or several put together."""

import pandas as pd

from medtransfer.cohorts import label_columns
from medtransfer.config import Cohort
from medtransfer.datasets._splits import check_splits
from medtransfer.errors import UserError

DEVICES = "support_devices"  # stands beside No Finding: a film can show nothing but a pacemaker


def derive(name: str, definition: Cohort, cohorts: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put a cohort together from those of its datasets.

    Args:
        name: Its name, for messages.
        definition: Which rows and labels it has.
        cohorts: The cohorts of its datasets, by dataset.

    Returns:
        The cohort, and `file` and `reason` of each image that its definition leaves out. Of several datasets, image,
        patient and study ids carry the dataset's name in front, since ids of different hospitals may be equal.

    Raises:
        UserError: The definition names a column or label that no dataset has, or leaves no row.
    """
    cohorts = {dataset: _with_unions(name, definition, table) for dataset, table in cohorts.items()}
    parts, rejected = [], []
    for dataset, table in cohorts.items():
        if len(cohorts) > 1:
            ids = {
                column: f"{dataset}/" + table[column].astype("str") for column in ("image_id", "patient_id", "study_id")
            }
            table = table.assign(**ids)
        reason = _left_out(name, definition, table)
        parts.append(_clear(table[reason == ""], definition.no_finding))
        rejected.append(pd.DataFrame({"file": table["path"], "reason": reason})[reason != ""])
    merged = pd.concat(parts, ignore_index=True)
    if merged.empty:
        raise UserError(f"cohorts.{name}: no row of {', '.join(cohorts)} fits {definition.where}.")
    kept = _labels(name, definition, cohorts)
    dropped = [label for label in label_columns(merged) if label not in kept]
    merged = merged.drop(columns=dropped).astype(dict.fromkeys(kept, "Int8"))
    check_splits(merged)
    return merged, pd.concat(rejected, ignore_index=True)


def _with_unions(name: str, definition: Cohort, table: pd.DataFrame) -> pd.DataFrame:
    """A table with the labels of `any_of`: positive where one of theirs is, negative where all are."""
    for union, labels in definition.any_of.items():
        if strangers := [label for label in labels if label not in label_columns(table)]:
            known = ", ".join(label_columns(table))
            raise UserError(f"cohorts.{name}.any_of.{union}: there is no label {strangers}; there are: {known}.")
        table = table.assign(
            **{union: table[labels].max(axis=1, skipna=False).mask((table[labels] == 1).any(axis=1), 1)}
        )
    return table.astype(dict.fromkeys(definition.any_of, "Int8"))


def _left_out(name: str, definition: Cohort, table: pd.DataFrame) -> pd.Series:
    """Why each row is not in the cohort, "" for those that are."""
    reason = pd.Series("", index=table.index, dtype="str")
    for column, allowed in definition.where.items():
        if column not in table:
            raise UserError(f"cohorts.{name}.where: there is no column {column!r}; there are: {', '.join(table)}.")
        written = table[column].astype("str").fillna("missing")
        told = f"{column} " + written + f" is not {' or '.join(allowed)}"
        reason = reason.mask((reason == "") & ~written.isin(allowed), told)
    return reason


def _clear(table: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Apply what No Finding = 1 says of the other labels."""
    if policy == "as_read" or "no_finding" not in table:
        return table
    spared = {"no_finding"} | ({DEVICES} if policy == "clears_findings" else set())
    others = [label for label in label_columns(table) if label not in spared]
    clear = (table["no_finding"] == 1).fillna(False).to_numpy()
    table = table.assign(**{label: table[label].mask(clear, 0) for label in others})
    if "uncertain" in table:
        left = table["uncertain"].map(lambda listed: "|".join(x for x in str(listed).split("|") if x in spared))
        table = table.assign(uncertain=table["uncertain"].mask(clear, left))
    return table


def _labels(name: str, definition: Cohort, cohorts: dict[str, pd.DataFrame]) -> list[str]:
    sets = [label_columns(table) for table in cohorts.values()]
    spent = set() if definition.no_finding == "as_read" else {"no_finding"}
    everywhere = [label for label in dict.fromkeys(label for labels in sets for label in labels) if label not in spent]
    if definition.labels is None:
        return everywhere
    if definition.labels == "shared":
        # A reader makes a column for each label it knows; one without any value is not shared.
        known = [{label for label in label_columns(table) if table[label].notna().any()} for table in cohorts.values()]
        return [label for label in everywhere if all(label in labels for labels in known)]
    if strangers := [label for label in definition.labels if label not in everywhere]:
        raise UserError(f"cohorts.{name}.labels: no dataset has {strangers}; there are: {', '.join(everywhere)}.")
    return definition.labels
