"""A contrast between cells of a grid: its size, and an interval for the chance in both patients and seeds."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from medtransfer.metrics.bootstrap import percentile_interval
from medtransfer.metrics.efficiency import fraction_needed, monotone, needed_interval
from medtransfer.metrics.seeds import resampled_means
from medtransfer.metrics.significance import standard_error

Floats = npt.NDArray[np.float64]
Surplus = Callable[[float], Floats]
"""By how much a target is met at a threshold of the effect, where that says more: [1 + B]. Positive below it."""


class Cell(NamedTuple):
    """The runs that differ by their seed alone, and the weight of their mean in the contrast."""

    weight: float
    values: Floats  # [seeds], the metric on all images
    replicates: Floats  # [seeds, B], the metric under each draw of patients


class Effect(NamedTuple):
    """A contrast in units of its measure; the bounds are NaN where no interval can be given."""

    size: float
    low: float
    high: float
    replicates: Floats  # [B]
    freedom: float = np.inf  # degrees of freedom of its standard error; inf where the seeds add nothing
    surplus: Surplus | None = None


def contrast(cells: Sequence[Cell], confidence: float, generator: np.random.Generator) -> Effect:
    """The weighted sum of the cells' means over seeds, with an interval.

    Replicate b of every run was computed from one and the same draw of patients, so that replicate b of the contrast
    is a paired difference: what all networks find hard in a draw cancels. The spread over seeds is added by
    `resampled_means`, in every cell independently. A cell of one seed adds no such spread.

    The bounds are percentiles, moved away from the median of the replicates by t / z at the `degrees_of_freedom`: with
    two or three seeds their spread is hardly known, and where it matters beside that of patients the percentiles alone
    would be too near.

    All cells must hold the same number of replicates; those in which a run is undefined (NaN) are left out.
    """
    size = float(sum(cell.weight * cell.values.mean() for cell in cells))
    replicates = np.sum([cell.weight * resampled_means(cell.replicates, generator) for cell in cells], axis=0)
    if np.isnan(size):
        return Effect(size, np.nan, np.nan, replicates)
    freedom = degrees_of_freedom(cells, standard_error(replicates))
    low, high = percentile_interval(replicates, confidence)
    middle, upper = np.nanmedian(replicates) if low <= high else np.nan, (1 + confidence) / 2
    stretch = stats.t.ppf(upper, freedom) / stats.norm.ppf(upper)
    return Effect(size, middle + stretch * (low - middle), middle + stretch * (high - middle), replicates, freedom)


class Curve(NamedTuple):
    """A score over fractions of the training data, and a target for it."""

    fractions: Floats  # ascending [k]
    scores: Floats  # [k, 1 + B], column 0 of all patients
    target: Floats  # [1 + B]


def share_needed(curve: Curve, confidence: float) -> Effect:
    """The fraction at which the monotone fit of a curve meets its target; inf where all data do not suffice.

    Fractions are censored at both ends of what was tried, so that the bounds are replicates themselves
    (`needed_interval`), and whether less than some fraction suffices is tested where nothing is censored: by how much
    the fit there is above the target. The one is so where the other is above zero.
    """
    needed = fraction_needed(*curve)
    bounds = needed_interval(needed, confidence)
    fit = monotone(curve.scores)

    def surplus(fraction: float) -> Floats:
        position = np.interp(np.log(fraction), np.log(curve.fractions), np.arange(len(fit)))
        below = int(position)
        above = min(below + 1, len(fit) - 1)
        return fit[below] + (position - below) * (fit[above] - fit[below]) - curve.target

    return Effect(bounds.value, bounds.low, bounds.high, needed[1:], surplus=surplus)


def degrees_of_freedom(cells: Sequence[Cell], error: float) -> float:
    """Satterthwaite's approximation (1946, Biometrics Bulletin 2: 110) for a contrast with this standard error.

    The spread over the k seeds of a cell is known with k - 1 degrees of freedom; that over patients, from many, counts
    as known. inf where the seeds add nothing or a cell's is the only one; never fewer than those of the smallest cell.
    """
    several = [cell for cell in cells if len(cell.values) > 1]
    parts = [(cell.weight**2 * cell.values.var(ddof=1) / len(cell.values), len(cell.values) - 1) for cell in several]
    uncertainty = sum(variance**2 / freedom for variance, freedom in parts)
    if not uncertainty > 0:
        return np.inf
    return float(max(error**4 / uncertainty, min(freedom for _, freedom in parts)))
