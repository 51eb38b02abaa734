"""Areas under the ROC and the precision-recall curve of one set of scores under many weightings at once.

A bootstrap asks for the same metric under a thousand weightings of the same images. The images are sorted once; the
sorted list is then walked in short blocks. Inside a block, how much negative weight lies below each positive is a small
matrix product over all weightings; what lies before the block is a running sum. All sums are of integers and exact, so
the results are scikit-learn's to the last few bits, a hundred times sooner (`tests/bench/bootstrap.py`).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Images per block, and more only where scores are tied. The matrix products grow with it, the number of Python steps
# shrinks; the time is flat from 32 to 128.
BLOCK = 64


class Block(NamedTuple):
    """Images that neighbour in score, as ranks (0 is the lowest score; tied images share one) and B weights."""

    positive_rank: np.ndarray  # [p], distinct: tied positives are one row
    negative_rank: np.ndarray  # [q]
    positives: np.ndarray  # float32 [p, B]
    negatives: np.ndarray  # float32 [q, B]


def auc(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve under each weighting: float64 [B], 0 to 1, NaN where one class has no weight.

    The weighted share of (positive, negative) pairs in the right order, ties counting half (Hanley and McNeil 1982).

    scores [n], higher for positive; targets [n] of 1, 0 and NaN (left out); weights [B, n], whole numbers such as
    counts of draws, fastest in Fortran order. Equals `sklearn.metrics.roc_auc_score(..., sample_weight=...)`.
    """
    right, positives, negatives = np.zeros((3, len(weights)))
    for block in _blocks(scores, targets, weights):
        above = block.positive_rank[:, None] > block.negative_rank
        tied = block.positive_rank[:, None] == block.negative_rank
        below = (above + np.float32(0.5) * tied) @ block.negatives
        block_positives = block.positives.sum(axis=0)
        right += np.einsum("pb,pb->b", block.positives, below, dtype=np.float64) + block_positives * negatives
        positives += block_positives
        negatives += block.negatives.sum(axis=0)
    return _ratio(right, positives * negatives)


def average_precision(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision under each weighting: float64 [B], 0 to 1, NaN where one class has no weight.

    The precision at the score of each positive, averaged over the positives' weight; no interpolation. Arguments as for
    `auc`. Equals `sklearn.metrics.average_precision_score(..., sample_weight=...)` where both classes have weight.
    """
    total, positives, negatives = np.zeros((3, len(weights)))
    for block in _blocks(-scores, targets, weights):
        rank = block.positive_rank[:, None]
        true_positives = (rank >= block.positive_rank).astype(np.float32) @ block.positives + positives
        false_positives = (rank >= block.negative_rank).astype(np.float32) @ block.negatives + negatives
        # Nothing at or above a score means no positive there either: any divisor but zero leaves its share at 0.
        precision = true_positives / np.maximum(true_positives + false_positives, 1)
        total += np.einsum("pb,pb->b", block.positives, precision)
        positives += block.positives.sum(axis=0)
        negatives += block.negatives.sum(axis=0)
    return _ratio(total, np.where(negatives > 0, positives, 0))


def _blocks(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Iterator[Block]:
    """The images in order of rising score, about BLOCK at a time; tied images are never parted."""
    by_image = np.ascontiguousarray(weights.T)
    known = np.flatnonzero(~np.isnan(targets))
    distinct, rank = np.unique(scores[known], return_inverse=True)
    order = np.argsort(rank, kind="stable")
    images, rank = known[order], rank[order]
    positive = targets[images] == 1
    edges = np.append(np.unique(rank[::BLOCK]), len(distinct))
    sides = [(images[side], rank[side], np.searchsorted(rank[side], edges)) for side in (positive, ~positive)]
    for block in range(len(edges) - 1):
        (positive_rank, positives), (negative_rank, negatives) = (
            (side_rank[at[block] : at[block + 1]], by_image[side_images[at[block] : at[block + 1]]].astype(np.float32))
            for side_images, side_rank, at in sides
        )
        first = np.flatnonzero(np.diff(positive_rank, prepend=-1))
        if len(first) < len(positive_rank):
            positives = np.add.reduceat(positives, first, axis=0)
        yield Block(positive_rank[first], negative_rank, positives, negatives)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)
