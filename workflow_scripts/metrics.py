"""Metrics with patient-level intervals of one cell: the runs that differ by their seed alone."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from medtransfer.files import write_parquet
from medtransfer.logs import step_log
from medtransfer.metrics.evaluate import evaluate

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    cell: dict[str, Any],
    predictions: dict[int, str],
    cohorts: dict[str, str],
    task: dict[str, Any],
    settings: dict[str, Any],
    metrics: str,
    replicates: str,
) -> None:
    """Measure the runs of a cell.

    Args:
        cell: Keys of its runs without the seed.
        predictions: For each seed its predictions.
        cohorts: Tables of the task's cohorts, by name.
        task: `kind`, `labels`, `id_cohort` and `subgroups` of the task.
        settings: `replicates`, `confidence`, `min_group` and `seed` of the bootstrap.
        metrics: Table to write, one row for each seed, cohort, sub-group, label and metric.
        replicates: Table to write: the bootstrap replicates of the whole cohorts' means.
    """
    demographics = pd.concat(
        [_demographics(name, path, list(task["subgroups"])) for name, path in cohorts.items()], ignore_index=True
    )
    measured: list[pd.DataFrame] = []
    replicated: list[pd.DataFrame] = []
    for seed, path in predictions.items():
        tables = evaluate(pd.read_parquet(path), demographics, **task, **settings)
        for table, collected in zip(tables, (measured, replicated), strict=True):
            collected.append(pd.DataFrame({**cell, "seed": seed}, index=table.index).join(table))
    write_parquet(pd.concat(measured, ignore_index=True), metrics)
    write_parquet(pd.concat(replicated, ignore_index=True), replicates)


def _demographics(cohort: str, path: str, columns: list[str]) -> pd.DataFrame:
    """Image ids and the columns to group by, missing where the cohort does not have them."""
    return pd.read_parquet(path).reindex(columns=["image_id", *columns]).assign(cohort=cohort)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        task = snakemake.params.task
        main(
            cell=dict(snakemake.wildcards.items()),
            predictions=dict(zip(snakemake.params.seeds, snakemake.input.predictions, strict=True)),
            cohorts=dict(zip(snakemake.params.cohort_names, snakemake.input.cohorts, strict=True)),
            task=task,
            settings=snakemake.params.metrics,
            metrics=snakemake.output.metrics,
            replicates=snakemake.output.replicates,
        )
