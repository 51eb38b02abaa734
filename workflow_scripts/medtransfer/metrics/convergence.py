"""When a training curve reaches its target, and how long that takes on average over runs of which some never do.

A curve is a score at each of k evaluations. Curves stand side by side in the columns of [k, C]: runs, bootstrap
replicates of one run, or any other set. A run that never reaches its target is censored: its time is inf, and it
counts with the whole schedule instead of being dropped, which would leave the fast runs alone.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def first_reached(axis: Floats, scores: Floats, targets: Floats) -> Floats:
    """Where along the axis each curve first meets its target: [C], between evaluations on the straight line.

    A noisy curve meets its target early, by luck: evaluate seldom, or on enough images.

    Args:
        axis: Ascending [k], such as steps, images seen, or the logarithm of a fraction.
        scores: Curves [k, C].
        targets: One for each curve [C].

    Returns:
        The first of the axis where a curve starts at its target or above; inf where it never reaches it; NaN where a
        target or any score of a curve is NaN.
    """
    if scores.shape != (len(axis), len(targets)) or (np.diff(axis) <= 0).any():
        raise ValueError(f"axis {axis}, scores {scores.shape} and targets {targets.shape} do not make curves")
    reached = scores >= targets
    after = reached.argmax(axis=0)
    before, curve = np.maximum(after - 1, 0), np.arange(len(targets))
    low, high = scores[before, curve], scores[after, curve]
    # At the first evaluation, and where nothing is reached, before and after are one and the same.
    share = np.divide(targets - low, high - low, out=np.zeros_like(low), where=after > 0)
    position = axis[before] + share * (axis[after] - axis[before])
    undefined = np.isnan(targets) | np.isnan(scores).any(axis=0)
    return np.where(undefined, np.nan, np.where(reached.any(axis=0), position, np.inf))


def share_of_gain(scores: Floats, share: float) -> Floats:
    """The score that lies `share` (0 to 1, such as 0.95) of the way from a curve's first score to its last: [C].

    scores [k, C] start before the first step, where a zero-initialised head knows nothing: the first score is that of
    chance, and the share is one of what training adds. A share of the raw score would mean little: 95 % of an AUC of
    0.52 is below one half, and reached without any training.

    A curve whose last score is not above its first has gained nothing that could be reached: its target is inf, so
    that it counts as censored and not as the fastest of all. All other curves reach their own target by definition,
    also when they were still rising; a target that is shared, such as that of the baseline, can be missed.
    """
    first, last = scores[0], scores[-1]
    return np.where(last <= first, np.inf, first + share * (last - first))


def restricted_mean_steps(reached: Floats, horizon: float) -> Floats:
    """Mean over runs of the steps up to the target or to the horizon, whichever comes first: [C].

    The restricted mean survival time (Irwin 1949, J. Hygiene 47: 188; Royston & Parmar 2013, BMC Med. Res. Methodol.
    13: 152). Where all runs are followed to the same horizon, their common schedule, it is the area under the
    Kaplan-Meier curve up to there. For an interval, `seeds.resampled_means` takes the same minimum.

    Args:
        reached: Of each run [runs, C], as `first_reached` gives it; a NaN makes its column NaN.
        horizon: Steps to which every run was followed.
    """
    return np.minimum(reached, horizon).mean(axis=0)


def kaplan_meier(reached: Floats, horizon: float) -> tuple[Floats, Floats]:
    """The share of runs that are not yet at their target, as the corners of a step function.

    Kaplan & Meier 1958, J. Am. Stat. Assoc. 53: 457. All runs are followed to the same horizon, none is lost before,
    and so the estimate is a plain share of the runs. Draw with `drawstyle="steps-post"`.

    Args:
        reached: Steps of each run [runs], as `first_reached` gives them.
        horizon: Steps to which every run was followed.

    Returns:
        Steps, from 0 to the horizon, and the share, from 1, after each of them.
    """
    if np.isnan(reached).any():
        raise ValueError("a run without a curve is neither at its target nor censored")
    steps, runs = np.unique(reached[reached <= horizon], return_counts=True)
    share = np.append(1, 1 - np.cumsum(runs) / len(reached))
    return np.concatenate([[0], steps, [horizon]]), np.append(share, share[-1])
