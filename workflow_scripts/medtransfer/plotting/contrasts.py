"""Differences between cells, and where curves over fractions meet the baseline, with intervals."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.metrics.bootstrap import percentile_interval
from medtransfer.metrics.efficiency import fraction_needed, needed_interval
from medtransfer.metrics.seeds import pooled
from medtransfer.plotting.numbers import ALL_SEEDS
from medtransfer.results import FULL, Key, Measured, Results, Study
from medtransfer.runs import CELL, budget_fraction

Floats = npt.NDArray[np.float64]
Place = tuple[Key, str]
"""A cell and the cohort that it is tested on."""
SERIES = ["task", "backbone", "upstream", "initialisation", "recipe"]
"""The keys of a curve over budgets."""


def paired_by_seed(measured: Measured) -> Floats:
    """Means over seeds, [1 + B]: on all images, then under each draw of patients and seeds.

    Every cell draws its seeds alike, so that the difference between two of them is that of pairs of one seed: such runs
    saw the same patients, or are one network on two cohorts, and what they share cancels. Where they share nothing the
    pairing does no harm.
    """
    return pooled(measured.replicates, measured.values, np.random.default_rng(0))


def differences(results: Results, pairs: Iterable[tuple[Place, Place]]) -> pd.DataFrame:
    """The first of each pair minus the second, in their tasks' primary metric.

    Replicates are subtracted one by one: on one cohort they are of the same patients; draws of two cohorts are
    independent, and so is every pair of them.

    Returns:
        As `study_numbers`, with the keys and the cohort of the first: a row for each seed that both have, then the
        mean over seeds (seed "all") with its interval. `n` and `n_other` are the images of the first and the second.

    Raises:
        UserError: One of a pair was not measured, or is undefined.
    """
    rows = []
    for one, other in pairs:
        first, second = _measured(results, *one), _measured(results, *other)
        cell, cohort = one
        place: dict[str, Any] = dict(zip(CELL, cell, strict=True))
        place |= {"fraction": budget_fraction(cell[-1]), "cohort": cohort, "n": first.n, "n_other": second.n}
        single = pd.Series(first.values, results.seeds(cell)) - pd.Series(second.values, results.seeds(other[0]))
        rows += [{**place, "seed": str(seed), "value": value} for seed, value in single.dropna().items()]
        change = paired_by_seed(first) - paired_by_seed(second)
        low, high = percentile_interval(change[1:], results.study["confidence"])
        rows.append({**place, "seed": ALL_SEEDS, "value": change[0], "ci_low": low, "ci_high": high})
        rows[-1]["n_seeds"] = min(len(first.values), len(second.values))
    columns = [*CELL, "seed", "fraction", "cohort", "value", "ci_low", "ci_high", "n_seeds", "n", "n_other"]
    return pd.DataFrame(rows, columns=columns).astype({"n_seeds": "Int64"})


def curves(results: Results) -> pd.DataFrame:
    """The cells of networks that were trained by the rule with several fractions of a task's patients.

    Raises:
        UserError: There are none.
    """
    cells = results.cells("scale", "efficiency", recipe=RULE)
    several = cells[cells.groupby(SERIES)["budget"].transform("nunique") > 1]
    if several.empty:
        raise UserError(
            f"No network of the study {results.study['name']!r} was trained with several fractions of its patients, so "
            "that there is nothing to show. Add an arm `efficiency` with `fractions` to the study."
        )
    return several.reset_index(drop=True)


def baseline(task: str, study: Study) -> Key:
    """The cell that others are held against: `small` backbone, `narrow` upstream, all patients.

    Raises:
        UserError: The study has no such roles.
    """
    if missing := {"small", "narrow"} - set(study["roles"]):
        raise UserError(
            f"The baseline of the study {study['name']!r} is its `small` backbone with its `narrow` upstream, and its "
            f"`roles` do not name: {', '.join(sorted(missing))}. Add it there."
        )
    return (task, study["roles"]["small"], study["roles"]["narrow"], "pretrained", RULE, FULL)


def fractions_needed(results: Results) -> pd.DataFrame:
    """The share of the patients at which each of `curves` meets the baseline's result with all of them.

    Replicate by replicate, on the monotone fit of `metrics.efficiency`: curve and target are of one draw of patients
    and seeds.

    Returns:
        Columns task backbone upstream initialisation recipe cohort shift metric target needed needed_low needed_high
        reached smallest largest n_seeds n. `needed` is inf where the baseline is not reached and `smallest` where no
        fewer patients were tried; `reached` is the share of the replicates that meet it.
    """
    rows = []
    for names, series in curves(results).groupby(SERIES, sort=False):
        keys = dict(zip(SERIES, names, strict=True))
        task, fractions = keys["task"], series["fraction"].to_numpy()
        cells = list(series[list(CELL)].itertuples(index=False, name=None))
        for cohort in results.cohorts(task):
            points = [_measured(results, cell, cohort) for cell in cells]
            target = paired_by_seed(_measured(results, baseline(task, results.study), cohort))
            needed = fraction_needed(fractions, np.stack([paired_by_seed(point) for point in points]), target)
            value, low, high, reached = needed_interval(needed, results.study["confidence"])
            row = {**keys, "cohort": cohort, "shift": "id" if cohort == results.cohorts(task)[0] else "ood"}
            row |= {"metric": results.study["tasks"][task]["primary_metric"], "target": target[0], "needed": value}
            row |= {"needed_low": low, "needed_high": high, "reached": reached, "smallest": fractions[0]}
            row |= {"largest": fractions[-1], "n_seeds": min(len(point.values) for point in points), "n": points[0].n}
            rows.append(row)
    return pd.DataFrame(rows)


def _measured(results: Results, cell: Key, cohort: str) -> Measured:
    measured = results.measured(cell, cohort)
    if measured is None or np.isnan(measured.values).any():
        raise UserError(
            f"{'/'.join(cell)} is compared with others on {cohort} and has no defined result there. Add the cell to "
            "the study's arms, compute its metrics again, or take the cohort out of the task."
        )
    return measured
