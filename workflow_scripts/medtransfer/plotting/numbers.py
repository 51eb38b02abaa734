"""From the results table to the numbers of a figure or table: complete, ordered, with means over seeds."""

from collections.abc import Callable, Iterable
from typing import NotRequired, TypedDict

import numpy as np
import pandas as pd

from medtransfer.errors import UserError
from medtransfer.metrics.seeds import mean_over_seeds
from medtransfer.runs import KEYS, budget_fraction

CELL = [key for key in KEYS if key != "seed"]
ALL_SEEDS = "all"
Choice = Callable[[pd.DataFrame], pd.DataFrame]


class Task(TypedDict):
    """What a figure says of a task."""

    title: str
    primary_metric: str
    id_cohort: str


class Study(TypedDict):
    """A study's axes and names, as the workflow hands them to its figures and tables."""

    name: str
    tasks: dict[str, Task]
    backbones: dict[str, int]  # parameter counts
    upstreams: list[str]
    roles: dict[str, str]
    confidence: float
    note: str  # what the numbers cannot tell, or ""
    titles: NotRequired[dict[str, str]]  # of cohorts and upstreams; a name without one is shown as it is


def study_numbers(
    metrics: str, replicates: str, completeness: str, study: Study, choose: Choice = lambda runs: runs
) -> pd.DataFrame:
    """The primary metric of a study's runs on every test cohort, and its mean over seeds.

    Args:
        metrics: The results table.
        replicates: The bootstrap replicates of its means over labels.
        completeness: The run table with the status of each run.
        study: Axes and names.
        choose: Takes the study's runs, one row each, and returns those that are needed; all, unless given.

    Returns:
        Columns task backbone upstream initialisation budget seed cohort shift metric value ci_low ci_high seed_sd
        n_seeds n. A row with a seed holds that run's value; a row whose seed is "all" holds the mean over seeds, the
        interval of `mean_over_seeds`, the standard deviation over seeds (NaN for one seed) and the number of seeds.
        Rows are in the order of the study: tasks, backbones by size, upstreams, budgets from small to large, the
        in-distribution cohort first, seeds before their mean.

    Raises:
        UserError: When a run is missing, a value is undefined, or runs were tested on different images.
    """
    asked = choose(_runs_of(completeness, study["name"]))
    _require_complete(asked, completeness)
    values = _seed_values(asked, metrics, study)
    means = _means(values, replicates, study)
    return _in_order(pd.concat([values.astype({"seed": str}), means], ignore_index=True), study)


def full_budget(runs: pd.DataFrame) -> pd.DataFrame:
    """Those runs, or rows of `study_numbers`, that saw the largest budget among them."""
    fractions = runs["budget"].map(budget_fraction)
    return runs[fractions == fractions.max()]


def _runs_of(completeness: str, study: str) -> pd.DataFrame:
    runs = pd.read_csv(completeness, keep_default_na=False)
    asked = runs[[study in studies.split() for studies in runs["studies"]]]
    if asked.empty:
        raise UserError(f"{completeness} has no run of the study {study!r}. It has: {_listed(set(runs['studies']))}.")
    return asked


def _require_complete(asked: pd.DataFrame, completeness: str) -> None:
    missing = asked[asked["status"] != "present"]
    if len(missing):
        raise UserError(
            f"{len(missing)} of {len(asked)} runs that this needs are missing: {_listed(_names(missing))}. "
            f"{completeness} lists them all. Run the workflow to make them, or take them out of the configuration."
        )


def _seed_values(asked: pd.DataFrame, path: str, study: Study) -> pd.DataFrame:
    metrics = _primary(path, study, subgroup_by="all")
    values = asked.merge(metrics, on=list(KEYS))[[*KEYS, "cohort", "shift", "metric", "value", "n"]]
    cohorts = values[["task", "cohort"]].drop_duplicates()
    grid = asked.merge(cohorts, on="task", how="left").merge(values, on=[*KEYS, "cohort"], how="left")
    undefined = grid[grid["value"].isna()]
    if len(undefined):
        raise UserError(
            f"{path} has no value of the primary metric for {len(undefined)} of {len(grid)} pairs of run and cohort: "
            f"{_listed(_names(undefined))}. Compute the metrics again from these runs' predictions."
        )
    sizes = values.groupby(["task", "cohort"])["n"].nunique()
    if (sizes > 1).any():
        raise UserError(
            f"{path}: runs were tested on different numbers of images: {_listed(map('/'.join, sizes[sizes > 1].index))}"
            ". They cannot be compared. Remove the predictions that were made with another configuration."
        )
    return values


def _means(values: pd.DataFrame, path: str, study: Study) -> pd.DataFrame:
    where = [*KEYS, "cohort"]
    replicates = _primary(path, study).pivot(index=where, columns="replicate", values="value")
    draws = replicates.reindex(pd.MultiIndex.from_frame(values[where])).to_numpy()
    absent = values[np.isnan(draws).all(axis=1)]
    if len(absent):
        raise UserError(
            f"{path} has no bootstrap replicates for {len(absent)} of {len(values)} pairs of run and cohort: "
            f"{_listed(_names(absent))}. Compute the metrics again from these runs' predictions."
        )
    rows = []
    groups = [*CELL, "cohort", "shift", "metric"]
    for cell, rows_of_cell in values.groupby(groups, sort=False).indices.items():
        point = values["value"].to_numpy()[rows_of_cell]
        generator = np.random.default_rng(0)  # anew for each cell: its interval depends on no other cell
        mean, low, high = mean_over_seeds(draws[rows_of_cell], point, study["confidence"], generator)
        spread = point.std(ddof=1) if len(point) > 1 else np.nan
        n = values["n"].to_numpy()[rows_of_cell[0]]
        rows.append((*cell, ALL_SEEDS, mean, low, high, spread, len(point), n))
    columns = [*groups, "seed", "value", "ci_low", "ci_high", "seed_sd", "n_seeds", "n"]
    return pd.DataFrame(rows, columns=columns)


def _primary(path: str, study: Study, **equal: str) -> pd.DataFrame:
    selection = {"label": "mean", "split": "test", **equal}
    table = pd.read_parquet(path, filters=[(column, "==", value) for column, value in selection.items()])
    metrics = {name: task["primary_metric"] for name, task in study["tasks"].items()}
    return table[table["metric"] == table["task"].map(metrics)]


def _in_order(numbers: pd.DataFrame, study: Study) -> pd.DataFrame:
    ranks = pd.DataFrame(
        {
            "task": numbers["task"].map(list(study["tasks"]).index),
            "backbone": numbers["backbone"].map(study["backbones"]),
            "upstream": numbers["upstream"].map(study["upstreams"].index),
            "budget": numbers["budget"].map(budget_fraction),
            "shift": numbers["shift"] != "id",
            "cohort": numbers["cohort"],
            "mean": numbers["seed"] == ALL_SEEDS,
            "seed": pd.to_numeric(numbers["seed"], errors="coerce"),
        }
    )
    columns = [*KEYS, "cohort", "shift", "metric", "value", "ci_low", "ci_high", "seed_sd", "n_seeds", "n"]
    order = ranks.sort_values(list(ranks.columns), kind="stable").index
    return numbers.loc[order, columns].reset_index(drop=True).astype({"n_seeds": "Int64"})


def _names(runs: pd.DataFrame) -> list[str]:
    cohort = ["cohort"] if "cohort" in runs else []
    return ["/".join(map(str, row)) for row in runs[[*KEYS, *cohort]].itertuples(index=False)]


def _listed(names: Iterable[str], most: int = 5) -> str:
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
