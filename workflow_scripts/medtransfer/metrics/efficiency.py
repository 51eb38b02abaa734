"""How much of the training data a network needs to meet a target, read off its curve over fractions."""

from typing import NamedTuple

import numpy as np

from medtransfer.metrics.bootstrap import defined
from medtransfer.metrics.convergence import Floats, first_reached


class Needed(NamedTuple):
    """A fraction of the training data with its interval; inf says "not reached with all data", NaN "undefined"."""

    value: float
    low: float
    high: float
    reached: float  # share of the replicates in which the target is met with all data or less, 0 to 1


def monotone(scores: Floats) -> Floats:
    """The non-decreasing curves that are closest to the measured ones, in least squares: [k, C].

    More data does not hurt in expectation, and what bends a measured curve down is chance. All points weigh the same:
    they were measured on the same patients. Isotonic regression by its max-min formula (Robertson, Wright & Dykstra
    1988, Order Restricted Statistical Inference, section 1.4; Barlow et al. 1972): the largest, over all starts, of
    the smallest, over all ends, of the means of the stretches that hold the point. That takes k² means, of which a
    curve over fractions has few, for all columns at once.

    scores [k, C] by ascending fraction; a column that holds a NaN becomes NaN.
    """
    fit = np.full_like(scores, -np.inf)
    for start in range(len(scores)):
        lengths = np.arange(1, len(scores) - start + 1)[:, None]
        means = scores[start:].cumsum(axis=0) / lengths
        smallest = np.minimum.accumulate(means[::-1])[::-1]
        fit[start:] = np.maximum(fit[start:], smallest)
    return np.where(np.isnan(scores).any(axis=0), np.nan, fit)


def fraction_needed(fractions: Floats, scores: Floats, targets: Floats) -> Floats:
    """The smallest fraction of the training data at which the monotone fit of each curve meets its target: [C].

    Between measured fractions the fit is a straight line in the logarithm of the fraction.

    Args:
        fractions: Ascending [k], above 0 and up to 1.
        scores: Curves [k, C]; column 0 of all patients, the others of the bootstrap's draws.
        targets: [C] from the same draws, such as the baseline's score with all data, so that the columns are paired.

    Returns:
        inf where the largest fraction does not suffice. Exactly `fractions[0]` where the smallest does, which then says
        "at most that": nothing was measured below. NaN where a score or a target is.
    """
    # Fractions in units of the smallest: its logarithm is exactly 0, and it comes back as it was.
    return fractions[0] * np.exp(first_reached(np.log(fractions / fractions[0]), monotone(scores), targets))


def needed_interval(needed: Floats, confidence: float) -> Needed:
    """`fraction_needed` [1 + B], its first column the estimate, with a percentile interval over the others.

    "Not reached" (inf) is an ordinary value, the largest: it can be the estimate and either bound, and dropping it
    would keep the good replicates alone. The bounds are therefore replicates themselves, never means of two. As in
    `percentile_interval`, undefined replicates (NaN) are left out, and there are no bounds where most are undefined.
    """
    value, replicates = needed[0], needed[1:]
    known = defined(replicates)
    if not len(known):
        return Needed(float(value), np.nan, np.nan, np.nan)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2], method="inverted_cdf")
    return Needed(float(value), float(low), float(high), float(np.isfinite(known).mean()))
