"""Operating points, error rates at them, and how far these lie apart between sub-groups, under many weightings at once.

A gap is the largest difference between any two groups. Estimated gaps are too large on average: the noise of every
group's rate adds to it, the more so the smaller and the more numerous the groups (Lum, Zhang and Bower 2022, De-biasing
"bias" measurement). The same holds for the replicates of a gap, so that their percentile interval lies too high, and
above zero also where the groups do not differ. A gap should stand beside its `expected_gap`.
"""

from typing import Literal

import numpy as np

from medtransfer.metrics.accuracy import recalls
from medtransfer.metrics.bootstrap import defined

Rule = Literal["youden"] | float


def operating_points(scores: np.ndarray, targets: np.ndarray, rule: Rule) -> np.ndarray:
    """The score from which on each label is called present: float64 [labels], NaN for a label without both classes.

    To be chosen on in-distribution validation images and then kept for all cohorts and groups. The decision is
    score >= threshold. A threshold is the score of a positive image; among equally good ones it is the largest, which
    has the highest specificity.

    Args:
        scores: [n, labels], higher for positive: logits, or one-vs-rest probabilities of a multi-class task.
        targets: [n, labels] of 1, 0 and NaN (left out).
        rule: "youden" maximises sensitivity + specificity - 1 (Youden 1950, Index for rating diagnostic tests). A
            number s, 0 < s <= 1, takes the largest threshold at which the sensitivity is at least s.

    Raises:
        ValueError: The rule is neither "youden" nor such a number.
    """
    if rule != "youden" and not (isinstance(rule, int | float) and 0 < rule <= 1):
        raise ValueError(f"an operating point is chosen by 'youden' or a sensitivity in (0, 1], not {rule!r}")
    return np.array([_operating_point(*label, rule) for label in zip(scores.T, targets.T, strict=True)], dtype=float)


def _operating_point(scores: np.ndarray, targets: np.ndarray, rule: Rule) -> float:
    positives, negatives = np.sort(scores[targets == 1]), np.sort(scores[targets == 0])
    if not len(positives) or not len(negatives):
        return np.nan
    # A threshold lowered past negatives alone loses specificity for nothing: only scores of positives can be best.
    thresholds = np.unique(positives)[::-1]
    true_positives = len(positives) - np.searchsorted(positives, thresholds)
    false_positives = len(negatives) - np.searchsorted(negatives, thresholds)
    if rule == "youden":
        # Youden's index times both class sizes: a whole number, so that equally good thresholds compare as equal.
        return thresholds[np.argmax(true_positives * len(negatives) - false_positives * len(positives))]
    return thresholds[np.argmax(true_positives / len(positives) >= rule)]


def rates(
    scores: np.ndarray, targets: np.ndarray, weights: np.ndarray, thresholds: np.ndarray
) -> dict[str, np.ndarray]:
    """Weighted shares of right and wrong decisions at fixed thresholds: float64, 0 to 1, NaN where nothing has weight.

    scores and targets are [n, labels] as for `operating_points`, which gives the thresholds [labels]; weights [B, n],
    whole numbers such as counts of draws. A label without a threshold (NaN) has no rates and flags nobody.

    Returns:
        sensitivity [labels, B]: the share of a label's positives that are flagged for it.
        specificity [labels, B]: the share of a label's negatives that are not flagged for it.
        underdiagnosis [B]: the share of images with a known positive label that are flagged for no label at all: the
            sick that are called healthy (Seyyed-Kalantari et al. 2021, Underdiagnosis bias of artificial intelligence
            algorithms applied to chest radiographs; there by an output for "no finding", here by the absence of
            flags). An image flagged for the wrong label alone is misdiagnosed, but not under-diagnosed.
        overdiagnosis [B]: the share of images whose known labels are all negative that are flagged for one of these.
            Flags of labels whose truth is unknown may be right and do not count.

        Of one label alone, the latter two are 1 - sensitivity and 1 - specificity. They say nothing of a multi-class
        task, in which every image belongs to a class and none is healthy.
    """
    usable = ~np.isnan(thresholds)[:, None]
    positive, negative, flagged = (targets == 1).T, (targets == 0).T, (scores >= thresholds).T
    sick = (positive & usable).any(axis=0)
    healthy = (negative & usable).any(axis=0) & ~positive.any(axis=0)
    decided = np.vstack([flagged, ~flagged, ~flagged.any(axis=0), (flagged & negative).any(axis=0)])
    shares = recalls(decided, np.vstack([positive & usable, negative & usable, sick, healthy]), weights)
    sensitivity, specificity = np.split(shares[:-2], 2)
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "underdiagnosis": shares[-2],
        "overdiagnosis": shares[-1],
    }


def worst(values_by_group: np.ndarray, higher_is_better: bool) -> np.ndarray:
    """The value of the group that is worst off: [groups, ..., B] to [..., B], NaN where any group is NaN.

    Under each weighting anew: it need not be the same group. ValueError if there is no group.
    """
    return values_by_group.min(axis=0) if higher_is_better else values_by_group.max(axis=0)


def gap(values_by_group: np.ndarray) -> np.ndarray:
    """Largest minus smallest value among the groups: [groups, ..., B] to [..., B], 0 or more.

    NaN where any group is NaN, and with fewer than two groups. Biased upwards: see the head of this module.
    """
    if len(values_by_group) < 2:
        return np.full(values_by_group.shape[1:], np.nan)
    return np.ptp(values_by_group, axis=0)


def equalised_odds(sensitivity: np.ndarray, specificity: np.ndarray) -> np.ndarray:
    """The larger of the gaps in true and in false positive rate: [groups, labels, B] to [labels, B], 0 to 1.

    0 is equalised odds (Hardt, Price and Srebro 2016, Equality of opportunity in supervised learning, definition 2.1).
    Equals `fairlearn.metrics.equalized_odds_difference`. NaN as for `gap`.
    """
    return np.maximum(gap(sensitivity), gap(specificity))


def expected_gap(values_by_group: np.ndarray) -> float:
    """The gap to be expected of groups that do not differ, from the noise of their values alone; 0 or more.

    `values_by_group` is [groups, B], column 0 the estimates and the others their bootstrap replicates. The replicates
    of each group are shifted by its own estimate, so that all groups have the same true value and keep their own
    spread, and that of what they share; returned is the mean gap of these. A reference and no correction: where the
    groups do differ, their gap is too large by no more than this, on average.

    A rate of 0 or 1 has no spread in any bootstrap, and a spread estimated from n images is too small by about the
    factor sqrt(1 - 1 / n): in groups of a few images the expected gap comes out low.

    Replicates in which a group is undefined (NaN) are left out. NaN where most of them are (`bootstrap.defined`), where
    an estimate is NaN, and with fewer than two groups.
    """
    gaps = gap(values_by_group[:, 1:] - values_by_group[:, :1])
    known = defined(gaps)
    return float(known.mean()) if len(known) else np.nan
