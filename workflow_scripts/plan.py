"""Say what is still to be computed, what it is expected to take, and what of it the cluster could never start."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtransfer.compute import forecast
from medtransfer.compute.forecast import Job
from medtransfer.compute.partitions import cluster
from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(records: list[dict[str, Any]], tier: str, basis: str, too_large: list[str], path: str) -> None:
    """Print the forecast and what the cluster of this machine makes of it, and write a table of one row a job.

    Args:
        records: The jobs of the tier, each a `Job`.
        tier: Its name.
        basis: Where the expected seconds come from.
        too_large: Networks of which one GPU cannot hold the weights and a single image.
        path: Table to write.
    """
    jobs = [Job(**record) for record in records]
    write_csv(table(jobs), path)
    print(forecast.text(jobs, tier, basis))
    if too_large:
        print(
            f"One GPU of the cost table cannot hold {', '.join(too_large)}: give them several (training.devices_of) "
            "and split them (training.shard).\n"
        )
    try:
        print(forecast.verdict(jobs, cluster()), end="")
    except UserError as error:
        print(f"Not held against the limits of a cluster: {error}.")
    print(f"A row for each job: {path}")


def table(jobs: list[Job]) -> pd.DataFrame:
    """A row for each job, done or not; its studies separated by spaces."""
    return pd.DataFrame([{**asdict(job), "studies": " ".join(job.studies)} for job in jobs])


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params = snakemake.params
        main(params.jobs, params.tier, params.basis, params.too_large, params.table)
