"""From results to the numbers of a figure or table: complete, ordered, with means over seeds."""

import numpy as np
import pandas as pd

from medtransfer.errors import UserError
from medtransfer.metrics.seeds import mean_over_seeds
from medtransfer.results import ALL, PRIMARY, Measured, Results
from medtransfer.runs import KEYS

ALL_SEEDS = "all"
COLUMNS = [*KEYS, "fraction", "cohort", "shift", "metric", "subgroup_by", "subgroup"]
COLUMNS += ["value", "ci_low", "ci_high", "seed_sd", "n_seeds", "n"]


def study_numbers(
    results: Results, cells: pd.DataFrame, metric: str = PRIMARY, subgroup_by: str = ALL, subgroup: str = ALL
) -> pd.DataFrame:
    """A metric of some cells on every test cohort: of each seed, and its mean over seeds.

    Args:
        results: A study's results, loaded with that metric.
        cells: Rows of `results.cells(...)`.
        metric: Name of the metric; the primary one of each task, unless given.
        subgroup_by: Column of sub-groups.
        subgroup: One of its groups.

    Returns:
        Columns task backbone upstream initialisation recipe budget seed fraction cohort shift metric subgroup_by
        subgroup value ci_low ci_high seed_sd n_seeds n. A row with a seed holds that run's value; a row whose seed is
        "all" holds the mean over seeds, the interval of `mean_over_seeds`, the standard deviation over seeds (NaN for
        one seed) and the number of seeds. Rows are in the order of `cells`, the in-distribution cohort first, seeds
        before their mean. Cohorts that do not have the sub-group are left out.

    Raises:
        UserError: A value of all images is undefined or was not measured, or seeds were tested on different images.
    """
    rows = []
    for *keys, fraction in cells.itertuples(index=False, name=None):
        cell, cohorts = tuple(keys), results.cohorts(keys[0])
        for cohort in cohorts:
            measured = results.measured(cell, cohort, metric, subgroup_by, subgroup)
            if subgroup_by == ALL and (measured is None or np.isnan(measured.values).any()):
                raise UserError(
                    f"There is no {metric} of {'/'.join(cell)} on {cohort}: it was not measured, or is undefined on "
                    "these images. Compute the metrics again from these runs' predictions, or take the cohort out of "
                    "the task."
                )
            if measured is not None:
                place = (fraction, cohort, "id" if cohort == cohorts[0] else "ood", metric, subgroup_by, subgroup)
                rows += _rows(cell, results.seeds(cell), place, measured, results.study["confidence"])
    named = pd.DataFrame(rows, columns=COLUMNS).astype({"n_seeds": "Int64"})
    if metric == PRIMARY:
        named["metric"] = named["task"].map(
            {name: task["primary_metric"] for name, task in results.study["tasks"].items()}
        )
    return named


def _rows(cell: tuple, seeds: list[int], place: tuple, measured: Measured, confidence: float) -> list[tuple]:
    generator = np.random.default_rng(0)  # anew for each cell: its interval depends on no other cell
    mean, low, high = mean_over_seeds(measured.replicates, measured.values, confidence, generator)
    spread = measured.values.std(ddof=1) if len(seeds) > 1 else np.nan
    single = [
        (*cell, str(seed), *place, value, np.nan, np.nan, np.nan, None, measured.n)
        for seed, value in zip(seeds, measured.values, strict=True)
    ]
    return [*single, (*cell, ALL_SEEDS, *place, mean, low, high, spread, len(seeds), measured.n)]


def means(numbers: pd.DataFrame) -> pd.DataFrame:
    """The rows of `study_numbers` that are means over seeds."""
    return numbers[numbers["seed"] == ALL_SEEDS]
