"""Losses as sums over a part of a batch, so that micro-batches add up to the batch exactly."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax


def multilabel_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Sum of binary cross-entropies over the labels that have a value.

    Args:
        logits: [batch, labels].
        targets: [batch, labels] in [0, 1], NaN where a label has no value; such labels have no gradient.
    """
    known = ~targets.isnan()
    terms = binary_cross_entropy_with_logits(logits, targets.nan_to_num(), reduction="none")
    return (terms * known).sum()


def multiclass_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Sum of softmax cross-entropies against one-hot (or mixed) targets [batch, classes]."""
    return -(targets * log_softmax(logits, dim=1)).sum()


LOSSES = {"multilabel": multilabel_loss, "multiclass": multiclass_loss}


def count_terms(kind: str, targets: torch.Tensor) -> int:
    """How many terms a batch's loss is averaged over: known labels, or images. At least 1."""
    terms = int((~targets.isnan()).sum()) if kind == "multilabel" else len(targets)
    return max(terms, 1)
