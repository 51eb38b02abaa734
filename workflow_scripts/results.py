"""Collect what was measured of all cells into one table of each kind, and say which runs they hold."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq

from medtransfer.files import atomic, write_csv
from medtransfer.logs import step_log
from medtransfer.runs import KEYS

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(runs: str, cells: Mapping[str, Sequence[str]], tables: Mapping[str, str], completeness: str) -> None:
    """Write the results tables and the completeness table.

    Args:
        runs: The run table.
        cells: For each kind of table (metrics, replicates, curves, diagrams, similarity) those of all cells.
        tables: For each kind the table to write.
        completeness: To write: the run table with a `status`, `present` or `missing`.
    """
    for kind, path in tables.items():
        collect(cells[kind], path)
    measured = pd.read_parquet(tables["metrics"], columns=list(KEYS)).drop_duplicates()
    complete = completeness_of(pd.read_csv(runs, keep_default_na=False), measured)
    write_csv(complete, completeness)
    print(f"{(complete['status'] == 'present').sum()} of {len(complete)} runs present", file=sys.stderr)


def collect(parts: Sequence[str], path: str) -> None:
    """Put tables of one schema one below the other, a row group each, holding one at a time."""
    schema = pq.read_schema(parts[0])
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).cast(schema))


def completeness_of(runs: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """The run table with the column `status`: `present` where `metrics` has rows of the run, else `missing`."""
    keys = list(KEYS)
    present = pd.MultiIndex.from_frame(metrics[keys].drop_duplicates())
    found = pd.MultiIndex.from_frame(runs[keys]).isin(present)
    return runs.assign(status=pd.Series(found, index=runs.index).map({True: "present", False: "missing"}))


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        kinds = ("metrics", "replicates", "curves", "diagrams", "similarity")
        main(
            snakemake.input.runs,
            {kind: list(snakemake.input[kind]) for kind in kinds},
            {kind: snakemake.output[kind] for kind in kinds},
            snakemake.output.completeness,
        )
