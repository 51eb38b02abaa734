"""p-values of contrasts from their bootstrap replicates, and their adjustment for being many."""

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from medtransfer.metrics.bootstrap import defined

Floats = npt.NDArray[np.float64]


def standard_error(replicates: Floats) -> float:
    """Standard deviation of the replicates [B] of an estimate, undefined ones (NaN) left out; in its units.

    NaN where most of them are undefined (`bootstrap.defined`), or fewer than two are not. Efron & Tibshirani 1993, An
    Introduction to the Bootstrap, chapter 6.
    """
    known = defined(replicates)
    return float(known.std(ddof=1)) if len(known) >= 2 else math.nan


def p_value(effect: float, replicates: Floats, threshold: float, freedom: float = math.inf) -> float:
    """Two-sided p-value, 0 to 1, of the hypothesis that an effect equals the threshold.

    By Student's t with the bootstrap's standard error (Efron & Tibshirani 1993, section 12.5), the normal approximation
    where nothing limits the degrees of freedom. The share of replicates beyond the threshold would need
    no normality, but with B of them the smallest two-sided p-value is 2 / B, 0.002 for a thousand: times some tens of
    contrasts that is more than 0.05, and Holm's method could never reject.

    Args:
        effect: The estimate on all patients.
        replicates: Of the same estimate [B].
        threshold: What the effect is compared with, in its units.
        freedom: Degrees of freedom of the standard error.

    Returns:
        NaN where the effect or its standard error is undefined, or where the replicates do not vary.
    """
    error = standard_error(replicates)
    return float(2 * stats.t.sf(abs(effect - threshold) / error, freedom)) if error > 0 else math.nan


def holm(p_values: Floats) -> Floats:
    """p-values [m] adjusted so that the chance of any false rejection among them is kept: [m], 0 to 1.

    The j-th smallest of m counts (m - j + 1)-fold, and no less than those before it (Holm 1979, Scand. J. Stat. 6: 65).
    However the tests depend on each other: where all adjusted values up to alpha are called significant, any of these
    calls is false with a probability of at most alpha. An undefined p-value (NaN) is no test: it stays NaN and does not
    count among the m.
    """
    adjusted = np.full(len(p_values), np.nan)
    tests = np.flatnonzero(~np.isnan(p_values))
    ordered = tests[p_values[tests].argsort(kind="stable")]
    folds = np.arange(len(ordered), 0, -1)
    adjusted[ordered] = np.maximum.accumulate(np.minimum(folds * p_values[ordered], 1))
    return adjusted
