"""Read a dataset's tables: one row for each image that is there, a reason for everything that is not used."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.acquire.check import check, in_words
from medtransfer.datasets import read
from medtransfer.datasets.base import ABSENT
from medtransfer.datasets.card import load_card, missing_raw_message
from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    dataset: str,
    reader: str,
    policies: dict[str, str],
    card: str,
    raw: str,
    allow_partial: bool,
    checked: str,
    listed: str,
    rejected: str,
) -> None:
    """Check a dataset's folder against its card, and read its tables.

    Args:
        dataset: Its id.
        reader: The reader of its layout.
        policies: Decisions that the reader takes.
        card: The file that says what is known of it.
        raw: Folder of its raw files.
        allow_partial: Whether listed files may be absent.
        checked: Table to write, what the folder holds against what the card expects.
        listed: Table to write, one row per image found.
        rejected: Table to write, `file` and `reason` of everything else.

    Raises:
        UserError: A required file or column is missing; files are absent and `allow_partial` is false; nothing usable
            is there.
    """
    facts = load_card(Path(card))
    comparison = check(facts, Path(raw))
    write_csv(comparison, checked)
    for difference in in_words(comparison, "differs"):
        print(f"{dataset}: {difference}", file=sys.stderr)
    if missing := in_words(comparison, "missing"):
        _, advice = missing_raw_message(facts, Path(raw)).split("\n", 1)
        raise UserError("\n".join([f"{dataset}: {raw} lacks", *(f"  {what}" for what in missing), advice]))
    reading = read(reader, Path(raw), policies)
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
            snakemake.params.reader,
            snakemake.params.policies,
            snakemake.params.card,
            str(snakemake.input.raw),
            snakemake.params.allow_partial,
            snakemake.output.checked,
            snakemake.output.listed,
            snakemake.output.rejected,
        )
