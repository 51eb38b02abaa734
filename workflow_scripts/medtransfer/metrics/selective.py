"""Selective prediction: how often decisions are wrong when the least certain ones are left to somebody else.

Confidence and decisions are those of `probabilities.decisions`, pooled: in a multi-label task every (image, label) pair
with a known target, in a multi-class one every such image. Decisions that tie in confidence cannot be told apart: they
are accepted together, in one step. All sums are of whole numbers, exact in float32 up to 2^24.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from medtransfer.metrics.probabilities import Decisions, Kind, decisions

# Decisions per block, and more only where they tie. The matrix products grow with it, the Python steps shrink.
BLOCK = 64


class Steps(NamedTuple):
    """Successive steps down in confidence, and what each accepts: float32 [steps, B]."""

    added: np.ndarray  # weight of the step's own decisions
    accepted: np.ndarray  # weight of these and all more confident ones
    wrong: np.ndarray  # weight of the errors among those


def risk_coverage(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, kind: Kind, coverages: Sequence[float]
) -> np.ndarray:
    """Error rate among the most confident share of the decisions: float64 [coverages, B], NaN where nothing has weight.

    The fewest steps are accepted that hold a share of at least the coverage, in (0, 1]; at 1 the risk is the error rate
    of all decisions (El-Yaniv and Wiener 2010). logits and targets are [n, labels], targets as `known_targets` gives
    them; weights are [B, n], whole numbers that act as repeated images, fastest in Fortran order.
    """
    if not all(0 < coverage <= 1 for coverage in coverages):
        raise ValueError(f"coverages must lie in (0, 1], not {coverages}")
    decided = decisions(logits, targets, kind)
    by_image = np.bincount(decided.image, minlength=len(targets))
    total = by_image.astype(np.float32) @ weights.T.astype(np.float32)
    # 7 decisions are 0.07 of 100, though 0.07 * 100 > 7 in floating point. Fewer than one have no risk.
    needed = np.maximum(np.ceil(np.outer(coverages, total).round(6)), 1)
    risk = np.full(needed.shape, np.nan)
    for steps in _steps(decided, weights):
        row, column = np.nonzero(np.isnan(risk) & (steps.accepted[-1] >= needed))
        step = (steps.accepted[:, column] < needed[row, column]).sum(axis=0)
        risk[row, column] = steps.wrong[step, column].astype(np.float64) / steps.accepted[step, column]
    return risk


def aurc(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, kind: Kind) -> np.ndarray:
    """Area under the risk-coverage curve: float64 [B], 0 to 1, lower is better, NaN where nothing has weight.

    The mean over all decisions of the risk when theirs is the lowest confidence that is accepted (Geifman, Uziel and
    El-Yaniv 2019, section 2). Arguments as for `risk_coverage`.
    """
    area, total = np.zeros((2, len(weights)))
    for steps in _steps(decisions(logits, targets, kind), weights):
        # Nothing accepted means nothing added: any divisor but zero will do.
        risk = steps.wrong / np.maximum(steps.accepted, 1)
        area += np.einsum("sb,sb->b", steps.added, risk, dtype=np.float64)
        total = steps.accepted[-1]
    return np.divide(area, total, out=np.full(len(weights), np.nan), where=total > 0)


def _steps(decided: Decisions, weights: np.ndarray) -> Iterator[Steps]:
    """All steps, about BLOCK of them at a time."""
    by_image = np.ascontiguousarray(weights.T)
    confidences, step = np.unique(-decided.confidence, return_inverse=True)
    order = np.argsort(step, kind="stable")
    image, step, wrong = decided.image[order], step[order], ~decided.correct[order]
    edges = np.searchsorted(step, [*np.unique(step[::BLOCK]), len(confidences)])
    accepted_before, wrong_before = np.zeros((2, len(weights)), dtype=np.float32)
    for start, stop in pairwise(edges):
        images, own, errors = image[start:stop], step[start:stop], wrong[start:stop]
        here, added = _by_step(own, images, by_image)
        error_here, error_added = _by_step(own[errors], images[errors], by_image)
        accepted = (here[:, None] >= here).astype(np.float32) @ added + accepted_before
        all_wrong = (here[:, None] >= error_here).astype(np.float32) @ error_added + wrong_before
        yield Steps(added, accepted, all_wrong)
        accepted_before, wrong_before = accepted[-1], all_wrong[-1]


def _by_step(step: np.ndarray, image: np.ndarray, by_image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct steps [s] among ascending ones, and the weight of the images in each: float32 [s, B]."""
    first = np.flatnonzero(np.diff(step, prepend=-1))
    if len(first) == len(step):
        return step, by_image[image].astype(np.float32)
    return step[first], np.add.reduceat(by_image[image], first, axis=0, dtype=np.float32)
