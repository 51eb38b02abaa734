"""Put a cohort together from those of one or several datasets."""

import sys
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtransfer.cohorts import check_cohort
from medtransfer.config import Cohort
from medtransfer.derived import derive
from medtransfer.files import write_csv, write_parquet
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(name: str, definition: dict[str, Any], cohorts: list[str], cohort: str, rejected: str) -> None:
    """Write a cohort as the configuration defines it, and what it leaves out.

    Args:
        name: Its name.
        definition: Its section of the configuration.
        cohorts: The cohorts of its datasets, in the order of the definition.
        cohort: The cohort to write.
        rejected: `file` and `reason` of the images left out, to write.
    """
    settings = Cohort.model_validate({"title": "", **definition})
    tables = {dataset: pd.read_parquet(path) for dataset, path in zip(settings.of, cohorts, strict=True)}
    table, left_out = derive(name, settings, tables)
    check_cohort(table, name)
    write_csv(left_out, rejected)
    write_parquet(table, cohort)
    for (dataset, split), rows in table.groupby(["dataset", "split"]):
        print(f"{name} {dataset} {split}: {len(rows)} images", file=sys.stderr)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.wildcards.derived,
            snakemake.params.definition,
            list(snakemake.input),
            snakemake.output.cohort,
            snakemake.output.rejected,
        )
