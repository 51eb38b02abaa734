"""How validation metrics rise while a network is fine-tuned."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from medtransfer.metrics.probabilities import Kind
from medtransfer.metrics.sample import Sample
from medtransfer.metrics.scores import scores, two_sided


def validation_curves(
    looks: pd.DataFrame, *, labels: Sequence[str], kind: Kind, replicates: int, seed: int
) -> pd.DataFrame:
    """The metrics of a run at each look at it, means over the labels that have positives and negatives.

    Args:
        looks: step images_seen image_id patient_id, logit_<label> and target_<label>: the same images at each step.
        labels: Labels of the task.
        kind: "multilabel" or "multiclass".
        replicates: Bootstrap replicates. All steps share their draws of patients, as do runs on the same patients.
        seed: Seed of the bootstrap.

    Returns:
        step images_seen metric value n and `replicates`, a float32 array [replicates]; NaN where no label has both.
    """
    rows = []
    for (step, images_seen), images in looks.groupby(["step", "images_seen"]):
        sample = Sample.of(images, labels, kind, replicates, [seed])
        known = two_sided(sample.targets)
        for metric, values in scores(sample.logits, sample.targets, sample.weights, kind).items():
            mean = values[known].mean(axis=0) if known.any() else np.full(replicates + 1, np.nan)
            drawn = mean[1:].astype(np.float32)
            rows.append((step, images_seen, metric, mean[0], len(images), drawn))
    return pd.DataFrame(rows, columns=["step", "images_seen", "metric", "value", "n", "replicates"])
