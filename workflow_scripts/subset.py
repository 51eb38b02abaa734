"""Choose the patients that a budget allows."""

import sys
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtransfer.cohorts import select, targets
from medtransfer.config import Task
from medtransfer.errors import UserError
from medtransfer.files import write_parquet
from medtransfer.logs import step_log
from medtransfer.quality.leaks import refuse_leaks
from medtransfer.runs import budget_fraction
from medtransfer.subsets import patient_fraction

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    cohort: str, leaks: str, task_name: str, task_settings: dict[str, Any], budget: str, seed: int, subset: str
) -> None:
    """Write the training images of a task, budget and seed.

    Args:
        cohort: The in-distribution cohort.
        leaks: Its training images that a test split of the task holds too; there must be none.
        task_name: The task's name.
        task_settings: The task's configuration.
        budget: Such as `pct10`.
        seed: Seed of the choice.
        subset: Table to write: `image_id` and `patient_id`.
    """
    refuse_leaks(pd.read_csv(leaks), task_name, leaks)
    task = Task.model_validate({"title": "", **task_settings})
    rows = select(pd.read_parquet(cohort), task, "train")
    if rows.empty:
        raise UserError(f"{cohort}: no training image has a value for any of {task.labels}.")
    mask = patient_fraction(
        rows["patient_id"], targets(rows, task, training=True), task.labels, budget_fraction(budget), seed
    )
    chosen = rows.loc[mask, ["image_id", "patient_id"]]
    write_parquet(chosen, subset)
    print(f"{len(chosen)} of {len(rows)} images, {chosen['patient_id'].nunique()} patients", file=sys.stderr)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.input.cohort,
            snakemake.input.leaks,
            snakemake.wildcards.task,
            snakemake.params.task,
            snakemake.wildcards.budget,
            int(snakemake.wildcards.seed),
            snakemake.output[0],
        )
