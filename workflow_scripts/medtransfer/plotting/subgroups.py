"""From results to the numbers of sub-groups: each group, the worst one, their gap, and the gap of noise alone."""

import re
from statistics import NormalDist

import numpy as np
import pandas as pd

from medtransfer.errors import UserError
from medtransfer.metrics.evaluate import GAP, MEAN, WORST
from medtransfer.plotting.numbers import means, study_numbers
from medtransfer.results import ALL, PRIMARY, Results
from medtransfer.runs import CELL, KEYS

REPLICATED = (WORST, GAP)
PLACE = [*CELL, "cohort", "shift", "metric", "subgroup_by", "subgroup"]
COLUMNS = [*PLACE, "value", "ci_low", "ci_high", "seed_sd", "n_seeds", "n"]


def subgroup_numbers(tables: dict[str, str], results: Results, cells: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric in all sub-groups of some cells, on every test cohort: means over seeds.

    Args:
        tables: Path of `metrics`.
        results: A study's results, loaded with that metric.
        cells: Rows of `results.cells(...)`.
        metric: Name of the metric, or PRIMARY.

    Returns:
        Columns task backbone upstream initialisation recipe budget cohort shift metric subgroup_by subgroup value
        ci_low ci_high seed_sd n_seeds n. Under `subgroup` stand the groups, (expected gap), (worst) and (gap). The
        intervals of the latter two are those of `mean_over_seeds`, those of groups `interval_without_replicates`; an
        expected gap has none. A group without a value has fewer than the study's `min_group` images, or lacks what the
        metric needs. Rows are in the order of `cells`, cohorts, columns and groups; none without sub-groups.

    Raises:
        UserError: Seeds were not tested on the same images.
    """
    rows = _read(tables["metrics"], results, cells, metric)
    single = rows[~rows["subgroup"].isin(REPLICATED)]
    groups = [_over_seeds(place, runs, results) for place, runs in single.groupby(PLACE, sort=False)]
    summaries = [
        means(study_numbers(results, cells, metric, by, summary))[COLUMNS].dropna(subset="value")
        for by in rows["subgroup_by"].unique()
        for summary in REPLICATED
    ]
    found = [part for part in (pd.DataFrame(groups, columns=COLUMNS), *summaries) if len(part)]
    return _ordered(pd.concat(found), results, cells) if found else pd.DataFrame(columns=COLUMNS)


def interval_without_replicates(
    values: np.ndarray, bounds: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Mean over seeds and an interval made from the seeds' own intervals alone: none narrower than `mean_over_seeds`.

    The seeds were tested on the same patients, and how strongly their errors go together is known of replicates only.
    Zou and Donner 2008 (Construction of confidence intervals about effect measures: a general approach, Statistics in
    Medicine 27) join the intervals of several estimates to that of their sum, given these correlations; here all of
    them are 1, the largest there can be. The distance to each bound is then the mean of the seeds' distances. Luck of
    the seeds adds its normal standard error, as variances add.

    Args:
        values: The metric of each seed [seeds].
        bounds: Lower and upper bounds [2, seeds], for the patients' chance alone.
        confidence: Coverage of these bounds, between 0 and 1.

    Returns:
        Mean, lower and upper bound, within 0 and 1 as the metrics of sub-groups are; NaN where those of a seed are.
    """
    luck = (
        NormalDist().inv_cdf((1 + confidence) / 2) * values.std(ddof=1) / np.sqrt(len(values))
        if len(values) > 1
        else 0.0
    )
    below, above = np.maximum(values - bounds[0], 0).mean(), np.maximum(bounds[1] - values, 0).mean()
    mean = values.mean()
    return mean, np.maximum(mean - np.hypot(below, luck), 0), np.minimum(mean + np.hypot(above, luck), 1)


def group_order(name: str) -> tuple[bool, list[str | int]]:
    """Sorts groups by the numbers in their names, and what is made of several groups last."""
    parts = re.split(r"(\d+)", name)
    return name.startswith("("), [int(part) if part.isdigit() else part for part in parts]


def column_order(numbers: pd.DataFrame) -> list[str]:
    """The columns of groups as the task has them, intersections last, though a cohort may lack some of them."""
    in_cohort = [
        list(columns.unique()) for _, columns in numbers.groupby(["task", "cohort"], sort=False)["subgroup_by"]
    ]
    found = dict.fromkeys(by for columns in in_cohort for by in columns)
    return sorted(found, key=lambda by: (by.count("*"), max(each.index(by) for each in in_cohort if by in each)))


def column_title(by: str) -> str:
    """What a column of groups is called: "sex*skin_type" is "sex × skin type"."""
    return by.replace("*", " × ").replace("_", " ")


def _read(path: str, results: Results, cells: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Rows of each run of the cells, with the metric of its task, on the task's cohorts."""
    tasks = results.study["tasks"]
    of_task = {task: tasks[task]["primary_metric"] if metric == PRIMARY else metric for task in cells["task"].unique()}
    chosen: list[tuple] = [("split", "==", "test"), ("label", "==", MEAN), ("subgroup_by", "!=", ALL)]
    chosen += [("metric", "in", sorted(set(of_task.values())))]
    chosen += [(key, "in", sorted(set(cells[key]))) for key in CELL]
    columns = [*KEYS, *PLACE[len(CELL) :], "value", "ci_low", "ci_high", "n"]
    rows = (
        results.runs[list(KEYS)].merge(cells[list(CELL)]).merge(pd.read_parquet(path, columns=columns, filters=chosen))
    )
    tested = [cohort in results.cohorts(task) for task, cohort in zip(rows["task"], rows["cohort"], strict=True)]
    return rows[np.array(tested, dtype=bool) & (rows["metric"] == rows["task"].map(of_task))]


def _over_seeds(place: tuple, runs: pd.DataFrame, results: Results) -> tuple:
    seeds = results.seeds(place[: len(CELL)])
    if len(runs) != len(seeds) or runs["n"].nunique() > 1:
        raise UserError(
            f"The seeds of {'/'.join(place[: len(CELL)])} were not all tested on the same images "
            f"({', '.join(place[len(CELL) :])}). Remove the predictions and metrics that were made with another "
            "configuration, and run the workflow again."
        )
    values, *bounds = runs[["value", "ci_low", "ci_high"]].to_numpy(dtype=float).T
    found = interval_without_replicates(values, np.array(bounds), results.study["confidence"])
    return *place, *found, values.std(ddof=1) if len(seeds) > 1 else np.nan, len(seeds), runs["n"].iloc[0]


def _ordered(numbers: pd.DataFrame, results: Results, cells: pd.DataFrame) -> pd.DataFrame:
    cell = list(cells[list(CELL)].itertuples(index=False, name=None))
    column = column_order(numbers)
    keys = [
        (
            cell.index(row[: len(CELL)]),
            results.cohorts(row.task).index(row.cohort),
            column.index(row.subgroup_by),
            group_order(row.subgroup),
        )
        for row in numbers.itertuples(index=False)
    ]
    return numbers.iloc[sorted(range(len(keys)), key=keys.__getitem__)].reset_index(drop=True)
