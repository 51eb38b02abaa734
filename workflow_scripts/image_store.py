"""Decode the images of a dataset, once, into one array file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.datasets import reader
from medtransfer.files import write_csv, write_json
from medtransfer.imaging.store import build_store, store_facts
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(dataset: str, raw: str, listed: str, size: int, workers: int, images: str, facts: str, rejected: str) -> None:
    """Build the image store of a dataset at one size.

    Args:
        dataset: Its id.
        raw: Folder of its raw files.
        listed: Table of its images; the store has one row for each, in this order.
        size: Side of the stored images, in pixels.
        workers: Decoding processes.
        images: The array to write, [n, size, size] or [n, size, size, 3] of uint8.
        facts: JSON to write: shape and digest of the array.
        rejected: Table to write, `file` and `reason` of each image that could not be decoded.
    """
    paths = pd.read_parquet(listed, columns=["path"])["path"].tolist()
    failures = build_store(Path(raw), paths, reader(dataset).CHANNELS, size, Path(images), workers)
    print(f"{dataset}: {len(paths) - len(failures)} of {len(paths)} images decoded", file=sys.stderr)
    write_json(store_facts(Path(images)), facts)
    write_csv(
        pd.DataFrame([(row, paths[row], reason) for row, reason in failures], columns=["row", "file", "reason"]),
        rejected,
    )


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.wildcards.dataset,
            str(snakemake.input.raw),
            snakemake.input.listed,
            int(snakemake.wildcards.size),
            snakemake.threads,
            snakemake.output.images,
            snakemake.output.facts,
            snakemake.output.rejected,
        )
