"""Scaling fits of a study: what the primary metric gains per tenfold of what was scaled."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.config import NO_UPSTREAM, RULE
from medtransfer.errors import UserError
from medtransfer.metrics.bootstrap import percentile_interval
from medtransfer.metrics.scaling import INTERCEPT, ScalingFit, scaling_fit
from medtransfer.metrics.seeds import pooled
from medtransfer.results import FULL, Results
from medtransfer.runs import CELL

Floats = npt.NDArray[np.float64]

AXES = {
    "parameters": "network parameters",
    "images": "upstream images",
    "multiply_adds": "pre-training multiply-adds",
}
"""What was scaled: columns of the table of upstreams, and how they are called."""
FITS = [("parameters", "images"), *((axis,) for axis in AXES)]


class Fitted(NamedTuple):
    """A fit to the cells of a task that have an upstream."""

    axes: tuple[str, ...]
    fit: ScalingFit
    sizes: dict[str, Floats]  # [cells]
    n_seeds: int  # of the cell that has fewest
    n: int  # test images


def sized_cells(results: Results, path: str) -> pd.DataFrame:
    """The cells of the arm `scale` with all patients, with the sizes of AXES; those of no upstream are zero.

    Args:
        results: The study's results.
        path: The table of upstreams.

    Raises:
        UserError: The table lacks an upstream of a network.
    """
    cells = results.cells("scale", recipe=RULE, budget=FULL)
    known = pd.read_csv(path, keep_default_na=False)[["upstream", "backbone", *AXES]]
    sized = cells.merge(known, on=["upstream", "backbone"], how="left", validate="many_to_one")
    unknown = sized[sized["images"].isna()]
    if len(unknown):
        first = unknown.iloc[0]
        raise UserError(
            f"{path} does not say how many images of {first['upstream']} the network {first['backbone']} has seen. "
            "State `images`, `epochs` and `crop` of that upstream in the configuration."
        )
    return sized


def fits(results: Results, sized: pd.DataFrame, task: str, cohort: str) -> list[Fitted]:
    """The fits of FITS that the cells of a task allow, on one of its test cohorts.

    The scores are means over seeds, drawn anew in every replicate and in each cell by itself (`resampled_means`);
    patients are drawn alike in all cells. Networks without an upstream have no tenfold and are not fitted.
    """
    cells = sized[(sized["task"] == task) & (sized["upstream"] != NO_UPSTREAM)]
    generator = np.random.default_rng(0)
    measured = [
        measure
        for cell in cells[list(CELL)].itertuples(index=False, name=None)
        if (measure := results.measured(cell, cohort)) is not None
    ]
    if not measured:
        return []
    if len(measured) < len(cells):
        raise UserError(f"Not all networks of {task} were tested on {cohort}. Compute the metrics of its runs again.")
    scores = [pooled(each.replicates, each.values, generator) for each in measured]
    seeds, n = min(len(each.values) for each in measured), measured[0].n
    found = []
    for axes in FITS:
        sizes = {axis: cells[axis].to_numpy(dtype=float) for axis in axes}
        try:
            found.append(Fitted(axes, scaling_fit(sizes, np.stack(scores)), sizes, seeds, n))
        except UserError:  # too few networks or upstreams for this fit
            continue
    return found


def coefficient_rows(fitted: Fitted, confidence: float) -> list[tuple[str, float, float, float]]:
    """Name, value, ci_low, ci_high of the gains per tenfold, and of the interaction where there are two axes."""
    return [
        (name, float(values[0]), *percentile_interval(values[1:], confidence))
        for name, values in fitted.fit.coefficients.items()
        if name != INTERCEPT
    ]


def nothing_to_fit(study: str) -> UserError:
    """What to raise where a study has no task with a fit."""
    return UserError(
        f"No task of the study {study} has networks of two sizes, or upstreams of two sizes, so there is no fit over "
        "scale. Add backbones or upstreams to its arm `scale`."
    )
