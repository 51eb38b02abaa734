"""Collect the records of all runs and networks, with digests of what they predicted and of their weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtransfer.files import write_parquet
from medtransfer.logs import step_log
from medtransfer.review.records import records
from medtransfer.runs import Run

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(runs: Sequence[dict[str, Any]], networks: Sequence[tuple[str, str]], results: str, path: str) -> None:
    """Write the table of records.

    Args:
        runs: The keys of all runs.
        networks: Upstream and backbone of the networks that were pre-trained here.
        results: Folder of the tier's results.
        path: Table to write.
    """
    write_parquet(records([Run(**keys) for keys in runs], Path(results), networks), path)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(snakemake.params.runs, snakemake.params.networks, snakemake.params.results, snakemake.output[0])
