"""The metrics of every label, from logits and targets, under many weightings at once."""

import numpy as np

from medtransfer.metrics.accuracy import accuracy, recalls
from medtransfer.metrics.probabilities import Kind, probabilities
from medtransfer.metrics.ranking import auc, average_precision

Scores = dict[str, np.ndarray]

METRICS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}
"""Each with its title in figures and tables. Any can be a task's primary metric: more is better."""
# One decision is taken among all classes: its accuracies belong to no single class.
BY_LABEL: dict[Kind, tuple[str, ...]] = {"multilabel": tuple(METRICS), "multiclass": ("auc", "average_precision")}


def known_targets(targets: np.ndarray, kind: Kind) -> np.ndarray:
    """Targets [n, labels] with NaN where they are unknown.

    A multi-class image that has no class among the labels is unknown in all of them; one that has a class does not
    belong to the others, also where its dataset does not know these (an OOD cohort of six of eight classes).
    """
    if kind == "multilabel":
        return targets
    classes = np.nansum(targets, axis=1, keepdims=True)
    return np.where(classes > 0, np.nan_to_num(targets), np.nan)


def two_sided(targets: np.ndarray) -> np.ndarray:
    """Which labels [labels] have both a positive and a negative among the known targets [n, labels]."""
    return (targets == 1).any(axis=0) & (targets == 0).any(axis=0)


def scores(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, kind: Kind) -> Scores:
    """Each metric of each label under each weighting: float64 [labels, B], NaN where a label is not two-sided.

    logits and targets are [n, labels], targets as `known_targets` gives them; weights are [B, n], whole numbers.

    Multi-label: a logit above 0 (a probability above one half) is the decision "present". Multi-class: auc and
    average_precision are one-vs-rest on softmax probabilities. The decision is the largest logit among all classes of
    the task: a network is not told which classes a cohort holds, and naming one that it does not hold is an error.
    `balanced_accuracy` then holds the recall of each class, whose mean over classes is the balanced accuracy, and
    `accuracy`, which no single class has, is the same in every row.
    """
    measured = {metric: np.full((targets.shape[1], len(weights)), np.nan) for metric in METRICS}
    likelihood = probabilities(logits, kind) if kind == "multiclass" else logits
    labels = np.flatnonzero(two_sided(targets))
    by_image = weights.T
    for label in labels:
        known = ~np.isnan(targets[:, label])
        score, target, drawn = likelihood[known, label], targets[known, label], by_image[known].T
        measured["auc"][label] = auc(score, target, drawn)
        measured["average_precision"][label] = average_precision(score, target, drawn)
        if kind == "multilabel":
            correct = (score > 0) == (target == 1)
            measured["accuracy"][label] = accuracy(correct, drawn)
            measured["balanced_accuracy"][label] = recalls(correct, target == [[0], [1]], drawn).mean(axis=0)
    if kind == "multiclass":
        known = ~np.isnan(targets).any(axis=1)
        correct = logits[known].argmax(axis=1) == targets[known].argmax(axis=1)
        measured["accuracy"][labels] = accuracy(correct, by_image[known].T)
        measured["balanced_accuracy"][labels] = recalls(correct, targets[known].T[labels] == 1, by_image[known].T)
    return measured
