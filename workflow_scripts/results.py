"""Collect the metrics of all cells into one table, and say which runs it holds."""

import sys
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.files import write_csv, write_parquet
from medtransfer.logs import step_log
from medtransfer.runs import KEYS

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    runs: str,
    cell_metrics: list[str],
    cell_replicates: list[str],
    metrics: str,
    replicates: str,
    completeness: str,
) -> None:
    """Write the results table, the bootstrap replicates and the completeness table.

    Args:
        runs: The run table.
        cell_metrics: Metrics of each cell.
        cell_replicates: Bootstrap replicates of each cell.
        metrics: All metrics, to write.
        replicates: All replicates, to write.
        completeness: To write: the run table with a `status`, `present` or `missing`.
    """
    table = pd.concat([pd.read_parquet(path) for path in cell_metrics], ignore_index=True)
    write_parquet(table, metrics)
    write_parquet(pd.concat([pd.read_parquet(path) for path in cell_replicates], ignore_index=True), replicates)
    complete = completeness_of(pd.read_csv(runs, keep_default_na=False), table)
    write_csv(complete, completeness)
    print(f"{(complete['status'] == 'present').sum()} of {len(complete)} runs present", file=sys.stderr)


def completeness_of(runs: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """The run table with the column `status`: `present` where `metrics` has rows of the run, else `missing`."""
    keys = list(KEYS)
    present = pd.MultiIndex.from_frame(metrics[keys].drop_duplicates())
    found = pd.MultiIndex.from_frame(runs[keys]).isin(present)
    return runs.assign(status=pd.Series(found, index=runs.index).map({True: "present", False: "missing"}))


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.input.runs,
            list(snakemake.input.metrics),
            list(snakemake.input.replicates),
            snakemake.output.metrics,
            snakemake.output.replicates,
            snakemake.output.completeness,
        )
