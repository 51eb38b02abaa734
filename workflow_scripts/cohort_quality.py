"""Report what a cohort holds: counts, missing values, rejections, duplicates, and a sample of its images."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medtransfer.files import write_csv, write_text
from medtransfer.logs import step_log
from medtransfer.quality.counts import counts, tally
from medtransfer.quality.hashes import BLANK, perceptual_hashes
from medtransfer.quality.page import render
from medtransfer.quality.pairs import describe, read_pairs

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    cohort: str,
    facts: dict[str, str],
    images: dict[str, str],
    rejected: list[str],
    notes: dict[str, str],
    duplicates: list[str],
    template: str,
    page: str,
    table: str,
) -> None:
    """Write the page of a cohort and the numbers on it.

    Args:
        cohort: Its table.
        facts: `cohort`, `title` and `note`, for the top of the page.
        images: For each dataset its image store; also of other cohorts that share pictures with this one.
        rejected: Tables of `file` and `reason`.
        notes: For each dataset of the cohort a table of `row` and `note`: images whose decoding needed a decision.
        duplicates: What the rule `duplicates` has found in the groups that this cohort belongs to.
        template: The page's template.
        page: HTML to write, which needs no other file.
        table: Tidy counts to write: section, name, value, split, count.
    """
    rows = pd.read_parquet(cohort)
    stores = {dataset: np.load(path, mmap_mode="r") for dataset, path in images.items()}
    pairs = read_pairs(duplicates, facts["cohort"])
    numbers = pd.concat(
        [
            counts(rows),
            # What an excluded image duplicates differs from one to the next; which list excludes it is what counts.
            tally(_column(rejected, "reason").str.replace(r"^(excluded by [^:]+):.*", r"\1", regex=True), "rejected"),
            tally(_notes(notes, rows), "note"),
            tally(describe(pairs, facts["cohort"]), "duplicates"),
        ],
        ignore_index=True,
    )
    write_csv(numbers, table)
    write_text(render(Path(template).read_text(), facts, numbers, rows, pairs, _blank(rows, stores), stores), page)


def _column(paths: list[str], name: str) -> pd.Series:
    tables = [pd.read_csv(path, dtype="str", usecols=[name])[name] for path in paths]
    return pd.concat([pd.Series(dtype="str"), *tables], ignore_index=True)


def _notes(paths: dict[str, str], rows: pd.DataFrame) -> pd.Series:
    """The notes on images that are in the cohort: it may be a part of its datasets."""
    tables = [pd.read_csv(path).assign(dataset=dataset) for dataset, path in paths.items()]
    return pd.concat(tables).merge(rows[["dataset", "row"]], on=["dataset", "row"])["note"]


def _blank(rows: pd.DataFrame, stores: dict[str, np.ndarray]) -> list[str]:
    """Ids of the images that show nothing."""
    return [
        str(name)
        for dataset, part in rows.groupby("dataset")
        for name in part["image_id"][perceptual_hashes(stores[str(dataset)], part["row"].to_numpy()) == BLANK]
    ]


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            cohort=snakemake.input.cohort,
            facts={"cohort": snakemake.wildcards.cohort, **snakemake.params.facts},
            images=dict(zip(snakemake.params.datasets, snakemake.input.images, strict=True)),
            rejected=snakemake.input.rejected,
            notes=dict(zip(snakemake.params.sources, snakemake.input.notes, strict=True)),
            duplicates=snakemake.input.duplicates,
            template=snakemake.input.template,
            page=snakemake.output.page,
            table=snakemake.output.table,
        )
