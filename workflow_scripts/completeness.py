"""Say which of the runs that the configuration asks for are there."""

import sys
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.files import write_csv
from medtransfer.logs import step_log
from medtransfer.runs import KEYS

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(runs: str, metrics: str, path: str) -> None:
    """Write the completeness table.

    Args:
        runs: The run table.
        metrics: What was measured.
        path: To write: the run table with a `status`, `present` or `missing`.
    """
    measured = pd.read_parquet(metrics, columns=list(KEYS)).drop_duplicates()
    complete = completeness_of(pd.read_csv(runs, keep_default_na=False), measured)
    write_csv(complete, path)
    print(f"{(complete['status'] == 'present').sum()} of {len(complete)} runs present", file=sys.stderr)


def completeness_of(runs: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """The run table with the column `status`: `present` where `metrics` has rows of the run, else `missing`."""
    keys = list(KEYS)
    present = pd.MultiIndex.from_frame(metrics[keys].drop_duplicates())
    found = pd.MultiIndex.from_frame(runs[keys]).isin(present)
    return runs.assign(status=pd.Series(found, index=runs.index).map({True: "present", False: "missing"}))


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(snakemake.input.runs, snakemake.input.metrics, snakemake.output[0])
