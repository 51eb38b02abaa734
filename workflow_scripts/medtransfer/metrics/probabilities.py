"""Probabilities from logits, what they cost in likelihood, and how sure the decisions are that follow from them."""

from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["multilabel", "multiclass"]


class Decisions(NamedTuple):
    """Decisions whose truth is known; a multi-label image takes one for each of its known labels."""

    image: np.ndarray  # [m], the position of the image
    confidence: np.ndarray  # [m], the probability of what was decided
    correct: np.ndarray  # bool [m]


def probabilities(logits: np.ndarray, kind: Kind) -> np.ndarray:
    """Probabilities [n, labels] of logits [n, labels]: a sigmoid per label, or one softmax per image."""
    return np.exp(log_probabilities(logits, kind))


def log_probabilities(logits: np.ndarray, kind: Kind) -> np.ndarray:
    """Logarithms of `probabilities`; they stay finite where these underflow to 0."""
    if kind == "multilabel":
        return -np.logaddexp(0, -logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def negative_log_likelihood(logits: np.ndarray, targets: np.ndarray, kind: Kind) -> np.ndarray:
    """-log p(target), in nats: [n, labels] for multi-label, [n, 1] for multi-class; NaN where the target is unknown."""
    if kind == "multilabel":
        losses = np.logaddexp(0, np.where(targets == 1, -logits, logits))
        return np.where(np.isnan(targets), np.nan, losses)
    return -(targets * log_probabilities(logits, kind)).sum(axis=1, keepdims=True)


def decisions(logits: np.ndarray, targets: np.ndarray, kind: Kind) -> Decisions:
    """What is decided for each image, as `scores` decides.

    Multi-label: a label is present where its logit is above 0, with confidence max(p, 1 - p). Multi-class: the class
    with the largest logit, with its softmax probability as confidence.
    """
    if kind == "multilabel":
        known = ~np.isnan(targets)
        confidence = probabilities(np.abs(logits[known]), kind)
        return Decisions(known.nonzero()[0], confidence, (logits[known] > 0) == (targets[known] == 1))
    image = np.flatnonzero(~np.isnan(targets).any(axis=1))
    correct = logits[image].argmax(axis=1) == targets[image].argmax(axis=1)
    return Decisions(image, probabilities(logits[image], kind).max(axis=1), correct)
