"""Settle a cohort: the images that are listed, found, readable and not excluded, with their rows in the image store."""

import sys
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.cohorts import check_cohort, exclude
from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    dataset: str,
    listed: str,
    unreadable: str,
    listed_rejected: str,
    exclusions: list[str],
    cohort: str,
    rejected: str,
) -> None:
    """Write a dataset's cohort and all of its rejections.

    Args:
        dataset: Its id.
        listed: Table of the images found.
        unreadable: `row`, `file` and `reason` of the images that could not be decoded.
        listed_rejected: `file` and `reason` of what the reader rejected.
        exclusions: Tables of images that are not to be used: `dataset`, `image_id`, `reason`.
        cohort: The cohort to write; columns `dataset` and `row` say which store an image lies in, and where.
        rejected: All rejections, to write.

    Raises:
        UserError: The cohort breaks a rule that later stages rely on.
    """
    table = pd.read_parquet(listed)
    failures = pd.read_csv(unreadable)
    table.insert(0, "dataset", dataset)
    table.insert(1, "row", range(len(table)))
    readable = table[~table["row"].isin(failures["row"])]
    if readable.empty:
        raise UserError(f"Cohort {dataset}: none of its {len(table)} images could be decoded; see {unreadable}.")
    kept, excluded = exclude(readable, dataset, exclusions)
    check_cohort(kept, dataset)
    write_csv(pd.concat([pd.read_csv(listed_rejected), failures[["file", "reason"]], excluded]), rejected)
    write_parquet(kept, cohort)
    for split, rows in kept.groupby("split"):
        print(f"{dataset} {split}: {len(rows)} images, {rows['patient_id'].nunique()} patients", file=sys.stderr)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.wildcards.dataset,
            snakemake.input.listed,
            snakemake.input.unreadable,
            snakemake.input.rejected,
            list(snakemake.input.exclusions),
            snakemake.output.cohort,
            snakemake.output.rejected,
        )
