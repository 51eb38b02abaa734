"""Say how far training is: what is done, what runs, what stalled or failed, and what is left."""

import csv
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtransfer.compute.forecast import Job
from medtransfer.compute.status import Status, file_clock, status, text
from medtransfer.files import atomic
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(records: list[dict[str, Any]], images: list[int], results: str, path: str) -> None:
    """Print how far training is, and write a table of one row a job.

    Args:
        records: The training jobs of the tier, each a `Job`.
        images: For each the images that it trains on, counted as often as they are seen.
        results: Folder of the tier's results.
        path: Table to write.
    """
    jobs, folder = [Job(**record) for record in records], Path(results)
    now = file_clock(folder)
    found = [status(job, seen, folder, now) for job, seen in zip(jobs, images, strict=True)]
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Status)])
        writer.writeheader()
        writer.writerows(map(vars, found))
    print(text(found, any(job.gpus for job in jobs), now))
    print(f"A row for each job: {path}")


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params = snakemake.params
        main(params.jobs, params.images, params.results, params.table)
