"""Find images that occur more than once in the cohorts of a task or a pre-training dataset, and leaks among them."""

import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medtransfer.files import write_csv
from medtransfer.logs import step_log
from medtransfer.quality.duplicates import duplicates
from medtransfer.quality.leaks import leaks

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    cohorts: dict[str, str], images: dict[str, str], train: str, tests: list[str], threads: int, pairs: str, leaked: str
) -> None:
    """Compare all images with one another.

    Args:
        cohorts: For each cohort its table.
        images: For each dataset its image store.
        train: The cohort that is trained on.
        tests: The cohorts whose test splits are predicted.
        threads: How many compare pixels.
        pairs: Table to write, a row for each pair of images that show the same picture.
        leaked: Table to write, the training images that a test split holds too: `dataset`, `image_id` and `reason`.
    """
    tables = {name: pd.read_parquet(path) for name, path in cohorts.items()}
    stores = {dataset: np.load(path, mmap_mode="r") for dataset, path in images.items()}
    found = duplicates(tables, stores, threads)
    leaking = leaks(found, train, tests)
    for kind, number in found["kind"].value_counts().items():
        print(f"{number} pairs of images: {kind}", file=sys.stderr)
    print(f"{len(leaking)} training images of {train} are in a test split too", file=sys.stderr)
    write_csv(found, pairs)
    write_csv(leaking, leaked)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        settings = snakemake.params.settings
        main(
            dict(zip(settings["cohorts"], snakemake.input.cohorts, strict=True)),
            dict(zip(settings["datasets"], snakemake.input.images, strict=True)),
            settings["train"],
            settings["tests"],
            snakemake.threads,
            snakemake.output.duplicates,
            snakemake.output.leaks,
        )
