"""Metrics of test images: of all of them or of sub-groups, in one cohort or the mean over several.

Cohorts weigh the same, and so do the columns of sub-groups within a cohort; cohorts without sub-groups, and columns too
small for an interval, are left out. A shift is in-distribution minus the mean of the others. The draws of different
cohorts are independent, and so they are in a mean. In a draw in which some parts of a mean are undefined it is that of
the others, in all networks alike: whether a part is defined depends on which patients were drawn.
"""

from typing import NamedTuple

import numpy as np

from medtransfer.claims.data import Data, NotJudged
from medtransfer.claims.schema import Measure
from medtransfer.metrics.evaluate import ALL, GAP, WORST
from medtransfer.results import PRIMARY, Key, Measured


class Part(NamedTuple):
    """A sub-group of a column in a cohort, and its share in a mean."""

    cohort: str
    column: str
    group: str
    share: float


Side = tuple[float, list[Part]]
"""A sign, and the parts whose mean is taken."""


def sides(measure: Measure, task: str, data: Data) -> list[Side]:
    """What a measure adds and subtracts."""
    of_task = data.results.study["tasks"][task]
    metric = of_task["primary_metric"] if measure.metric == PRIMARY else measure.metric
    group = {"all": ALL, "worst": WORST, "gap": GAP}[measure.subgroup]
    inside, outside = [of_task["id_cohort"]], of_task["ood_cohorts"]
    signed: dict[str, list[tuple[float, list[str]]]] = {
        "id": [(1.0, inside)],
        "ood": [(1.0, outside)],
        "shift": [(1.0, inside), (-1.0, outside)],
        "everywhere": [(1.0, inside + outside)],
    }
    found: list[Side] = []
    for sign, cohorts in signed[measure.where]:
        columns = {name: [ALL] if group == ALL else data.grouped.get((task, name, metric), []) for name in cohorts}
        parts = [Part(name, by, group, 1 / len(each)) for name, each in columns.items() for by in each]
        if not parts:
            lacking = f"sub-groups with {metric} in {' '.join(cohorts)}" if cohorts else "out-of-distribution cohort"
            raise NotJudged("not asked", f"{task} has no {lacking}.")
        found.append((sign, parts))
    return found


def cohorts(of: list[Side]) -> str:
    """The names of the cohorts."""
    return " ".join(dict.fromkeys(part.cohort for _, parts in of for part in parts))


def tested(key: Key, metric: str, of: list[Side], data: Data) -> Measured:
    """A metric of a cell: the sum over sides of the mean of their parts."""
    summed, sizes = [], {}
    for sign, parts in of:
        measured = [data.results.measured(key, part.cohort, metric, part.column, part.group) for part in parts]
        known = [one.drawn for one in measured if one is not None]
        if len(known) < len(parts):
            raise NotJudged("not asked", f"{metric} is not measured in all test cohorts of {key[0]}.")
        summed.append(sign * _mean(np.stack(known), [part.share for part in parts]))
        sizes.update({part.cohort: one.n for part, one in zip(parts, measured, strict=True) if one is not None})
    drawn = np.sum(summed, axis=0)
    return Measured(drawn[:, 0], drawn[:, 1:], sum(sizes.values()))


def _mean(parts: np.ndarray, shares: list[float]) -> np.ndarray:
    known = np.ma.masked_array(parts, np.isnan(parts))
    return np.ma.filled(np.ma.average(known, axis=0, weights=shares), np.nan)
