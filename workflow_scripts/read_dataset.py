"""Read a dataset's tables: one row for each image that is there, a reason for everything that is not used."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.datasets import reader
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(dataset: str, raw: str, allow_partial: bool, listed: str, rejected: str) -> None:
    """Read the tables of a dataset.

    Args:
        dataset: Its id.
        raw: Folder of its raw files.
        allow_partial: Whether listed files may be absent.
        listed: Table to write, one row per image found.
        rejected: Table to write, `file` and `reason` of everything else.

    Raises:
        UserError: Files are absent and `allow_partial` is false; nothing usable is there.
    """
    reading = reader(dataset).read(Path(raw))
    absent = reading.rejected[reading.rejected["reason"] == ABSENT]
    n_listed = len(reading.table) + len(absent)
    print(f"{dataset}: {n_listed} images listed, {len(reading.table)} found", file=sys.stderr)
    for reason, count in reading.rejected["reason"].value_counts().items():
        print(f"{dataset}: {count} rejected: {reason}", file=sys.stderr)
    if reading.table.empty:
        raise UserError(f"{dataset}: no image of {n_listed} listed ones was found under {raw}.")
    if len(absent) and not allow_partial:
        raise UserError(
            f"{dataset}: {len(absent)} of {n_listed} listed images are not under {raw}, among them "
            f"{', '.join(absent['file'].head(10))}. Complete the dataset, or set decoding.allow_partial to true."
        )
    write_csv(reading.rejected, rejected)
    write_parquet(reading.table, listed)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.wildcards.dataset,
            str(snakemake.input.raw),
            snakemake.params.allow_partial,
            snakemake.output.listed,
            snakemake.output.rejected,
        )
