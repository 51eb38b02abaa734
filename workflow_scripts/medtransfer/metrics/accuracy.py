"""Accuracies of one set of decisions under many weightings at once."""

import numpy as np


def accuracy(correct: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of right decisions under each weighting: float64 [B], 0 to 1, NaN where nothing has weight.

    correct [n] of bool; weights [B, n], whole numbers such as counts of draws. Equals
    `sklearn.metrics.accuracy_score(..., sample_weight=...)`.
    """
    return recalls(correct, np.ones((1, len(correct)), dtype=bool), weights)[0]


def recalls(correct: np.ndarray, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of right decisions in each class: float64 [k, B], 0 to 1, NaN where a class has no weight.

    members [k, n] of bool says which images belong to which class; correct is [n] or, where each class has decisions of
    its own, [k, n]; the rest is as for `accuracy`. The mean over classes
    is the balanced accuracy, `sklearn.metrics.balanced_accuracy_score(..., sample_weight=...)`.
    """
    # float32 takes the fast matrix product and is exact for counts that sum to less than 2^24.
    rows = np.concatenate([members & correct, members]).astype(np.float32)
    right, total = np.split((rows @ weights.T.astype(np.float32)).astype(np.float64), 2)
    return np.divide(right, total, out=np.full_like(total, np.nan), where=total > 0)
