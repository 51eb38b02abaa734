"""Frozen results taken up again: the tables that figures, tables and claims are made from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from medtransfer.errors import UserError
from medtransfer.files import write_parquet
from medtransfer.metrics.cell import measure_predictions, measure_primary, measure_validation, read_demographics
from medtransfer.review.frozen import Frozen
from medtransfer.runs import CELL, Run

Tables = dict[str, pd.DataFrame]


def thaw_cells(
    folder: str,
    cells: Mapping[str, Sequence[int]],
    tasks: Mapping[str, dict[str, Any]],
    settings: dict[str, Any],
    outputs: Mapping[str, str],
) -> None:
    """Measure the frozen predictions of some cells, as those of fresh runs are measured.

    Args:
        folder: The frozen results.
        cells: Paths of cells, each with the seeds of its runs. Those that are not held have no rows in the tables.
        tasks: What the measurement depends on of each task: `kind`, `labels`, `id_cohort`, `subgroups`,
            `intersections`.
        settings: The configuration's `metrics`.
        outputs: Tables to write: metrics, replicates, diagrams, curves.

    Raises:
        UserError: None of the cells is held.
    """

    def measure(frozen: Frozen, keys: dict[str, str], runs: Sequence[Run]) -> Tables:
        return _measure(frozen, keys, runs, tasks[keys["task"]], settings)

    _thaw(folder, cells, measure, outputs)


def thaw_primary(
    folder: str,
    cells: Mapping[str, Sequence[int]],
    metrics: Mapping[str, str],
    tasks: Mapping[str, dict[str, Any]],
    settings: dict[str, Any],
    outputs: Mapping[str, str],
) -> None:
    """Of what `thaw_cells` measures the primary metric of all test images alone, which is what most figures show.

    Args:
        folder: As for `thaw_cells`, like `cells`, `tasks` and `settings`.
        metrics: The primary metric of each task.
        outputs: Tables to write: metrics, replicates.

    Raises:
        UserError: None of the cells is held, or files are not as they were frozen.
    """
    Frozen.open(folder).check()

    def measure(frozen: Frozen, keys: dict[str, str], runs: Sequence[Run]) -> Tables:
        predictions = {run.seed: frozen.predictions(run) for run in runs}
        records = {run.seed: frozen.record(run) for run in runs}
        return measure_primary(keys, predictions, records, metrics[keys["task"]], tasks[keys["task"]], settings)

    _thaw(folder, cells, measure, outputs)


def _thaw(
    folder: str,
    cells: Mapping[str, Sequence[int]],
    measure: Callable[[Frozen, dict[str, str], Sequence[Run]], Tables],
    outputs: Mapping[str, str],
) -> None:
    frozen = Frozen.open(folder)
    held = set(frozen.runs())
    measured: dict[str, list[pd.DataFrame]] = {kind: [] for kind in outputs}
    for cell, seeds in cells.items():
        keys: dict[str, Any] = dict(zip(CELL, cell.split("/"), strict=True))
        runs = [run for run in (Run(**keys, seed=seed) for seed in seeds) if run in held]
        if runs:
            for kind, table in measure(frozen, keys, runs).items():
                measured[kind].append(table)
    for kind, tables in measured.items():
        if not tables:
            raise UserError(
                f"{folder} holds none of these runs: {', '.join(cells)}. Take them out of the configuration, or use "
                f"that which made the frozen results: {folder}/config.yaml."
            )
        write_parquet(pd.concat(tables, ignore_index=True), outputs[kind])


def _measure(
    frozen: Frozen, keys: dict[str, str], runs: Sequence[Run], task: dict[str, Any], settings: dict[str, Any]
) -> Tables:
    predictions = {run.seed: frozen.predictions(run) for run in runs}
    cohorts = dict.fromkeys(next(iter(predictions.values()))["cohort"])
    groups = [
        read_demographics(name, frozen.path(f"cohorts/{name}.parquet"), list(task["subgroups"])) for name in cohorts
    ]
    records = {run.seed: frozen.record(run) for run in runs}
    demographics = pd.concat(groups, ignore_index=True)
    measured = measure_predictions(keys, predictions, records, demographics, task, settings)
    looks = {run.seed: frozen.validation(run) for run in runs}
    return measured | {"curves": measure_validation(keys, looks, task, settings)}
