"""Do predicted probabilities come true: calibration errors, proper scores, reliability diagrams, temperature scaling.

A bin holds about equally many of all forecasts, and the same ones under every weighting: what a bootstrap varies is the
images, not the bins. Tied forecasts are never parted, so there can be fewer bins than asked for.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when first used: scripts that want names from here alone start faster so

from medtransfer.errors import UserError
from medtransfer.metrics.probabilities import Kind, decisions, negative_log_likelihood, probabilities
from medtransfer.metrics.scores import two_sided

METRICS = (
    "ece",
    "ece_debiased",
    "brier",
    "brier_reliability",
    "brier_resolution",
    "brier_uncertainty",
    "nll",
)
TEMPERATURES = (1 / 20, 20.0)
# Forecasts per matrix product: small enough for the converted weights to stay in the cache.
BLOCK = 256


class Reliability(NamedTuple):
    """A reliability diagram; bins stand in order of rising confidence."""

    confidence: np.ndarray  # [bins], mean forecast over all images
    observed: np.ndarray  # [bins, B], frequency of the event under each weighting, NaN where the bin has no weight
    n: np.ndarray  # [bins], forecasts, unweighted


class BinSums(NamedTuple):
    """Weighted sums over the forecasts p and outcomes y of each bin: float64 [bins, B]."""

    n: np.ndarray
    p: np.ndarray
    y: np.ndarray
    pp: np.ndarray
    py: np.ndarray


def fit_temperature(logits: np.ndarray, targets: np.ndarray, kind: Kind) -> float:
    """The temperature T > 0 for which logits / T have the smallest negative log-likelihood (Guo et al. 2017, 4.2).

    To be fitted on in-distribution validation data; one T for all labels, which never changes a decision. logits and
    targets are [n, labels]; unknown targets are left out, and every known one counts the same. T is sought within
    TEMPERATURES, and lies next to an end of it where the likelihood has no optimum inside, as for logits that part the
    classes without an error.

    Raises:
        UserError: No target is known.
    """
    known = ~np.isnan(targets).all(axis=1)
    if not known.any():
        raise UserError(
            f"A temperature cannot be fitted: none of the {len(targets)} validation images has a known target. "
            "Fit it on images of the in-distribution cohort's split 'val' that are labelled."
        )
    logits, targets = logits[known], targets[known]

    def loss(log_temperature: float) -> float:
        return float(np.nanmean(negative_log_likelihood(logits / np.exp(log_temperature), targets, kind)))

    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def calibration(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, kind: Kind, bins: int = 15
) -> dict[str, np.ndarray]:
    """Each of METRICS under each weighting: float64 [B], NaN where nothing that is known has weight.

    Multi-label: the unweighted mean over the labels that are two-sided in the sample, each on the images whose target
    is known; NaN without such a label. Multi-class: the two ECEs are of the top label (its probability against whether
    it is right); `brier` and its terms are sums over one-vs-rest forecasts of all classes, each with its own bins.

    - `ece`, 0 to 1: expected calibration error, the mean over bins of |mean forecast - frequency| by their weight
      (Naeini et al. 2015, with equal-mass bins). Chance alone lifts it above 0, the more the fewer images there are.
    - `ece_debiased`, 0 to 1: less what chance adds, estimated by drawing the frequency of each bin anew from its normal
      approximation (Kumar, Liang and Ma 2019); the mean of these draws is that of a folded normal, in closed form. 0
      where the estimate is negative. Images are taken as independent. Of a perfectly calibrated forecast, whose ECE is
      all chance, two fifths are taken off.
    - `brier`: mean squared error of the probabilities (Brier 1950); 0 to 1, in multi-class 0 to 2.
    - `brier_reliability` - `brier_resolution` + `brier_uncertainty` = `brier`, exactly (Murphy 1973). The resolution is
      the generalised one of Stephenson, Coelho and Jolliffe 2008: what forecasts tell beyond their bin is part of it.
    - `nll`: negative log-likelihood in nats, 0 and above.

    Intervals: a bootstrap replicate has the chance of the sample in it and that of its own draw, and so the replicates
    of the two ECEs lie above the value itself. Percentile intervals of `ece_debiased` cover as they should where the
    miscalibration clearly exceeds what chance adds; those of `ece` do not, and near perfect calibration neither does.

    Args:
        logits: [n, labels].
        targets: [n, labels] of 1, 0 and NaN, as `known_targets` gives them.
        weights: [B, n], whole numbers, fastest in Fortran order; they act as repeated images in all but the bins.
        kind: "multilabel" (sigmoids) or "multiclass" (softmax).
        bins: Number of equal-mass bins.
    """
    by_image = np.ascontiguousarray(weights.T)
    known = ~np.isnan(targets)
    labels = np.flatnonzero(two_sided(targets) if kind == "multilabel" else known.any(axis=0))
    if not len(labels):
        return {metric: np.full(len(weights), np.nan) for metric in METRICS}
    forecasts, losses = probabilities(logits, kind), negative_log_likelihood(logits, targets, kind)
    binned = []
    for label in labels:
        image = np.flatnonzero(known[:, label])
        binned.append(_bin_sums(forecasts[image, label], targets[image, label], image, by_image, bins))
    if kind == "multilabel":
        measured = _over_labels(np.mean, [{**_ece(sums), **_brier(sums)} for sums in binned])
        return {**measured, "nll": _weighted_means(losses[:, labels], by_image).mean(axis=0)}
    image, confidence, correct = decisions(logits, targets, kind)
    measured = _ece(_bin_sums(confidence, correct, image, by_image, bins))
    measured |= _over_labels(np.sum, [_brier(sums) for sums in binned])
    return {**measured, "nll": _weighted_means(losses, by_image)[0]}


def reliability(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, kind: Kind, bins: int = 15
) -> Reliability:
    """The reliability diagram behind `calibration`, whose arguments it takes; it has no bin where no target is known.

    Multi-label: the forecasts of all known (image, label) pairs in one diagram. Multi-class: the top label.
    """
    if kind == "multilabel":
        image, label = np.nonzero(~np.isnan(targets))
        forecast, outcome = probabilities(logits, kind)[image, label], targets[image, label]
    else:
        image, forecast, outcome = decisions(logits, targets, kind)
    order, starts = _equal_mass(forecast, bins)
    n = np.diff(starts, append=len(order))
    confidence = np.add.reduceat(forecast[order], starts) / n
    columns = np.stack([outcome[order], np.ones(len(order))])
    happened, total = _segment_sums(columns, starts, image[order], np.ascontiguousarray(weights.T)).swapaxes(0, 1)
    return Reliability(confidence, _ratio(happened, total), n)


def _equal_mass(forecast: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The order of rising forecasts [m], and where in it each bin starts, which is never between tied forecasts."""
    order = np.argsort(forecast, kind="stable")
    bins = min(bins, len(order))
    rising = forecast[order]
    return order, np.unique(np.searchsorted(rising, rising[np.arange(bins) * len(order) // bins]))


def _bin_sums(forecast: np.ndarray, outcome: np.ndarray, image: np.ndarray, by_image: np.ndarray, bins: int) -> BinSums:
    """Sums over forecasts [m] of outcomes [m], each for the image [m] whose weights are that row of by_image [n, B]."""
    order, starts = _equal_mass(forecast, bins)
    p, y = forecast[order], outcome[order]
    columns = np.stack([np.ones(len(order)), p, y, p * p, p * y])
    return BinSums(*_segment_sums(columns, starts, image[order], by_image).swapaxes(0, 1))


def _weighted_means(values: np.ndarray, by_image: np.ndarray) -> np.ndarray:
    """Means of the values [n, k] that are not NaN, under each weighting: float64 [k, B]."""
    columns = np.concatenate([np.nan_to_num(values), ~np.isnan(values)], axis=1).T
    total, weight = np.split(_segment_sums(columns, np.zeros(1, dtype=int), np.arange(len(values)), by_image)[0], 2)
    return _ratio(total, weight)


def _segment_sums(columns: np.ndarray, starts: np.ndarray, image: np.ndarray, by_image: np.ndarray) -> np.ndarray:
    """Weighted sums of the columns [k, m] over the segments that begin at the starts: float64 [segments, k, B]."""
    blocks = np.union1d(starts, np.arange(0, len(image), BLOCK))
    sums = np.empty((len(blocks), len(columns), by_image.shape[1]))
    for block, (start, stop) in enumerate(pairwise([*blocks, len(image)])):
        sums[block] = columns[:, start:stop] @ by_image[image[start:stop]].astype(np.float64)
    return np.add.reduceat(sums, np.searchsorted(blocks, starts), axis=0)


def _ece(bins: BinSums) -> dict[str, np.ndarray]:
    gap = np.abs(bins.p - bins.y)
    # A bin without weight has sums of 0, whatever they are divided by.
    deviation = np.sqrt(bins.y * (bins.n - bins.y) / np.maximum(bins.n, 1))
    standardised = np.divide(gap, deviation, out=np.full_like(gap, np.inf), where=deviation > 0)
    redrawn_gap = deviation * np.sqrt(2 / np.pi) * np.exp(-(standardised**2) / 2) + gap * scipy.special.erf(
        standardised / np.sqrt(2)
    )
    total = bins.n.sum(axis=0)
    ece, redrawn = _ratio(gap.sum(axis=0), total), _ratio(redrawn_gap.sum(axis=0), total)
    return {"ece": ece, "ece_debiased": np.maximum(2 * ece - redrawn, 0)}


def _brier(bins: BinSums) -> dict[str, np.ndarray]:
    total, n = bins.n.sum(axis=0), np.maximum(bins.n, 1)
    base_rate = _ratio(bins.y.sum(axis=0), total)
    between_bins = bins.n * (bins.y / n - base_rate) ** 2
    within_bins = 2 * (bins.py - bins.p * bins.y / n) - (bins.pp - bins.p**2 / n)
    return {
        "brier": _ratio((bins.pp - 2 * bins.py + bins.y).sum(axis=0), total),
        "brier_reliability": _ratio(((bins.p - bins.y) ** 2 / n).sum(axis=0), total),
        "brier_resolution": _ratio((between_bins + within_bins).sum(axis=0), total),
        "brier_uncertainty": base_rate * (1 - base_rate),
    }


def _over_labels(combine: Callable[..., np.ndarray], measured: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {metric: combine([of_label[metric] for of_label in measured], axis=0) for metric in measured[0]}


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
