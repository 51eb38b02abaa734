"""Settle a cohort: the images that are listed, found and readable, each with its row in the image store."""

import sys
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.cohorts import check_cohort
from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(dataset: str, listed: str, unreadable: str, listed_rejected: str, cohort: str, rejected: str) -> None:
    """Write a dataset's cohort and all of its rejections.

    Args:
        dataset: Its id.
        listed: Table of the images found.
        unreadable: `row`, `file` and `reason` of the images that could not be decoded.
        listed_rejected: `file` and `reason` of what the reader rejected.
        cohort: The cohort to write; column `row` is an image's row in the image store.
        rejected: All rejections, to write.

    Raises:
        UserError: The cohort breaks a rule that later stages rely on.
    """
    table = pd.read_parquet(listed)
    failures = pd.read_csv(unreadable)
    table.insert(0, "row", range(len(table)))
    readable = table[~table["row"].isin(failures["row"])].reset_index(drop=True)
    if readable.empty:
        raise UserError(f"Cohort {dataset}: none of its {len(table)} images could be decoded; see {unreadable}.")
    check_cohort(readable, dataset)
    write_csv(pd.concat([pd.read_csv(listed_rejected), failures[["file", "reason"]]]), rejected)
    write_parquet(readable, cohort)
    for split, rows in readable.groupby("split"):
        print(f"{dataset} {split}: {len(rows)} images, {rows['patient_id'].nunique()} patients", file=sys.stderr)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.wildcards.dataset,
            snakemake.input.listed,
            snakemake.input.unreadable,
            snakemake.input.rejected,
            snakemake.output.cohort,
            snakemake.output.rejected,
        )
