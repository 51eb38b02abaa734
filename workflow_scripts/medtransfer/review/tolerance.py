"""How far a repeated number may lie from the first one if nothing but chance is at work.

Training again where bits differ is like training with another seed: the two numbers differ by chance in training, with
variance s² each. On the same test images the chance in who was tested is the same for both and cancels; on others it
adds b² each. The difference is therefore, nearly,

    t(freedom) · sqrt(2 s²)         on the same images,
    t(freedom') · sqrt(2 s² + 2 b²)  on others,

where s is pooled over cells of runs that differ by their seed alone, and b comes from the bootstrap over patients. What
is known of s is known from few seeds; b counts as known (Welch 1947, Biometrika 34: 28, for freedom').
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom, norm, t

FAMILY_ERROR = 0.05
"""How often a table of numbers that differ by chance alone may have a deviation in it."""


class Spread(NamedTuple):
    """A standard deviation over seeds, and its degrees of freedom."""

    sd: float
    freedom: int


class Tolerance(NamedTuple):
    """The largest difference that chance explains, the degrees of freedom of its t, and the derivation in words."""

    width: float
    freedom: float
    basis: str


def pooled_spread(values: pd.DataFrame, cell: Sequence[str], pool: Sequence[str]) -> dict[tuple[str, ...], Spread]:
    """The standard deviation over seeds, pooled over cells: the root of the weighted mean of their variances.

    Args:
        values: A row for each run and measured quantity, with its `value`.
        cell: Columns that rows share which differ by their seed alone.
        pool: Columns, of `cell` too, within which one spread is taken to hold.

    Returns:
        By the values of `pool`. A pool without two seeds in any cell, or in which seeds make no difference at all, says
        nothing of chance and is left out.
    """
    cells = values.dropna(subset="value").groupby(list(cell))["value"].agg(["var", "size"])
    cells = cells[cells["size"] > 1].reset_index()
    freedom = cells["size"] - 1
    sums = (
        cells.assign(freedom=freedom, squares=cells["var"] * freedom).groupby(list(pool))[["squares", "freedom"]].sum()
    )
    known = sums[sums["squares"] > 0].reset_index()
    return {
        key: Spread(math.sqrt(squares / freedom), int(freedom))
        for key, squares, freedom in zip(_keys(known, pool), known["squares"], known["freedom"], strict=True)
    }


def level_of_each(comparisons: int, family: float = FAMILY_ERROR) -> float:
    """The error of one comparison with which that of all together is at most `family` (Šidák 1967, JASA 62: 626).

    His inequality holds for two-sided comparisons that depend on one another in whatever way.
    """
    return -math.expm1(math.log1p(-family) / max(1, comparisons))


def patient_sd(low: float, high: float, confidence: float) -> float:
    """The standard deviation behind a bootstrap interval, taken as normal: half its width over the normal quantile."""
    return (high - low) / 2 / float(norm.ppf((1 + confidence) / 2))


def quantile(level: float, freedom: float) -> float:
    """What a t-distributed number exceeds, in either direction, with probability `level`."""
    return float(t.isf(level / 2, freedom))


def run_tolerance(spread: Spread | None, patients: float, same_images: bool, level: float) -> Tolerance:
    """How far a run's metric may lie from that of the same run trained again.

    Args:
        spread: Over seeds; None where no cell has two seeds that differ.
        patients: Standard deviation over draws of patients; NaN where it is not known, which allows nothing for it.
        same_images: Whether both were tested on the same images with the same targets.
        level: Probability of a larger difference by chance.
    """
    patients = 0.0 if math.isnan(patients) else patients
    if spread is None:
        width = quantile(level, math.inf) * math.sqrt(2) * patients
        return Tolerance(width, math.inf, f"no seed spread; bootstrap over patients alone, b = {patients:.3g}")
    if same_images:
        width = quantile(level, spread.freedom) * math.sqrt(2) * spread.sd
        return Tolerance(width, spread.freedom, f"same images; seeds s = {spread.sd:.3g}, {spread.freedom} df")
    variance = spread.sd**2 + patients**2
    freedom = spread.freedom * variance**2 / spread.sd**4
    basis = f"other images; seeds s = {spread.sd:.3g}, {spread.freedom} df, and patients b = {patients:.3g}"
    return Tolerance(quantile(level, freedom) * math.sqrt(2 * variance), freedom, basis)


def effect_tolerance(low: float, high: float, confidence: float, level: float) -> Tolerance:
    """How far a contrast may lie from that of runs trained again: its own interval holds both seeds and patients."""
    sd = patient_sd(low, high, confidence)
    basis = f"its own interval, of seeds and patients: standard deviation {sd:.3g}"
    return Tolerance(quantile(level, math.inf) * math.sqrt(2) * sd, math.inf, basis)


def share_within(factor: float, level: float, freedom: float) -> float:
    """The share of differences by chance that lie within `factor` times the tolerance of a level."""
    return float(1 - 2 * t.sf(factor * quantile(level, freedom), freedom))


def most_outside(comparisons: int, share: float, level: float) -> int:
    """How many of independent comparisons may lie outside a tolerance that chance leaves with probability `share`."""
    return int(binom.isf(level, comparisons, share))


def between_seeds(values: pd.DataFrame, cell: Sequence[str], pool: Sequence[str], share: float) -> tuple[int, int]:
    """How the tolerance does where the truth is known: pairs of seeds of one cell differ by chance alone.

    Returns:
        Of the first two seeds of each cell and quantity, how many differ by more than chance does with probability
        `share`, and how many there are.
    """
    spreads = pooled_spread(values, cell, pool)
    pairs = values.dropna(subset="value").groupby(list(cell))["value"].agg([("one", "first"), ("other", _second)])
    pairs = pairs.dropna().reset_index()
    keys = _keys(pairs, pool)
    known = np.array([key in spreads for key in keys], dtype=bool)
    widths = [run_tolerance(spreads[key], 0.0, True, share).width for key in keys if key in spreads]
    outside = (pairs["one"] - pairs["other"]).abs()[known] > widths
    return int(outside.sum()), int(known.sum())


def _second(values: pd.Series) -> float:
    return float(values.iloc[1]) if len(values) > 1 else np.nan


def _keys(table: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, ...]]:
    return list(table[list(columns)].itertuples(index=False, name=None))
