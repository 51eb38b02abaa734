"""Decode the images of a dataset, once, into one array file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.datasets import reader
from medtransfer.files import write_csv, write_json
from medtransfer.imaging.chunk import Form
from medtransfer.imaging.store import build_store, store_facts
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    dataset: str,
    reader_name: str,
    preparation: str,
    raw: str,
    listed: str,
    size: int,
    workers: int,
    outputs: dict[str, str],
) -> None:
    """Build the image store of a dataset at one size.

    Args:
        dataset: Its id.
        reader_name: Its reader, which knows its channels and how its images are prepared.
        preparation: Another preparation than the reader's, "" for none.
        raw: Folder of its raw files.
        listed: Table of its images; the store has one row for each, in this order.
        size: Side of the stored images, in pixels.
        workers: Decoding processes.
        outputs: Paths to write: `images`, the array [n, size, size] or [n, size, size, 3] of uint8; `facts`, JSON with
            its shape and digest; `rejected`, row, file and reason of each image that could not be decoded; `notes`,
            row, file and note of what was odd about others.
    """
    paths = pd.read_parquet(listed, columns=["path"])["path"].tolist()
    module = reader(reader_name)
    form = Form(module.CHANNELS, size, preparation or getattr(module, "PREPARATION", "none"))
    images = Path(outputs["images"])
    scratch = images.parent.parent / "scratch" / "images" / images.stem
    failures, notes = build_store(Path(raw), paths, form, images, scratch, workers)
    print(f"{dataset}: {len(paths) - len(failures)} of {len(paths)} images decoded", file=sys.stderr)
    write_json(store_facts(images), outputs["facts"])
    for name, column, findings in (("rejected", "reason", failures), ("notes", "note", notes)):
        table = pd.DataFrame([(row, paths[row], said) for row, said in findings], columns=["row", "file", column])
        write_csv(table, outputs[name])


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.wildcards.dataset,
            snakemake.params.reader,
            snakemake.params.preparation,
            str(snakemake.input.raw),
            snakemake.input.listed,
            int(snakemake.wildcards.size),
            snakemake.threads,
            dict(snakemake.output.items()),
        )
