"""A contrast between cells of a grid: its size, and an interval for the chance in both patients and seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medtransfer.metrics.bootstrap import percentile_interval
from medtransfer.metrics.seeds import resampled_means


class Cell(NamedTuple):
    """The runs that differ by their seed alone, and the weight of their mean in the contrast."""

    weight: float
    values: np.ndarray  # [seeds], the metric on all images
    replicates: np.ndarray  # [seeds, B], the metric under each draw of patients


class Effect(NamedTuple):
    """A contrast in units of its metric; the bounds are NaN where no interval can be given."""

    size: float
    low: float
    high: float


def contrast(cells: Sequence[Cell], confidence: float, generator: np.random.Generator) -> Effect:
    """The weighted sum of the cells' means over seeds, with a percentile interval.

    Replicate b of every run was computed from one and the same draw of patients, so that replicate b of the contrast
    is a paired difference: what all networks find hard in a draw cancels. The spread over seeds is added by
    `resampled_means`, in every cell independently. A cell of one seed adds no such spread.

    All cells must hold the same number of replicates; replicates in which a run is undefined (NaN) are left out.
    """
    size = sum(cell.weight * cell.values.mean() for cell in cells)
    replicates = np.sum([cell.weight * resampled_means(cell.replicates, generator) for cell in cells], axis=0)
    return Effect(float(size), *percentile_interval(replicates, confidence))
