"""Predictions as arrays: some images, what was predicted of them, what is true, and how often each draw has them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medtransfer.errors import UserError
from medtransfer.metrics.bootstrap import patient_counts
from medtransfer.metrics.calibration import fit_temperature
from medtransfer.metrics.checks import require_columns, require_unique_images
from medtransfer.metrics.fairness import Rule, operating_points
from medtransfer.metrics.probabilities import Kind, probabilities
from medtransfer.metrics.scores import known_targets


@dataclass(frozen=True)
class Sample:
    """Images as arrays: logits and targets [n, labels], and weights [1 + replicates, n], the first of ones."""

    labels: Sequence[str]
    kind: Kind
    logits: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls, images: pd.DataFrame, labels: Sequence[str], kind: Kind, replicates: int, seed_words: Sequence[int]
    ) -> "Sample":
        """Images of a table with patient_id, logit_<label> and target_<label>, with a bootstrap of their patients."""
        drawn = patient_counts(images["patient_id"], replicates, seed_words)
        # Weights of one give the metric itself, so value and replicates come from the same lines.
        weights = np.column_stack([np.ones(len(images), dtype=np.uint8), drawn.T]).T
        targets = known_targets(_columns(images, "target", labels), kind)
        return cls(labels, kind, _columns(images, "logit", labels), targets, weights)

    def only(self, rows: np.ndarray) -> "Sample":
        """Those of the images that stand at some positions."""
        return Sample(self.labels, self.kind, self.logits[rows], self.targets[rows], self.weights.T[rows].T)

    @property
    def decision_scores(self) -> np.ndarray:
        """What thresholds are applied to: logits, or the probabilities of a multi-class task, one class against all."""
        return self.logits if self.kind == "multilabel" else probabilities(self.logits, self.kind)


@dataclass(frozen=True)
class Reference:
    """What is fitted on in-distribution validation images and then kept for all others."""

    temperature: float
    thresholds: np.ndarray  # [labels], on the decision scores; NaN where a label has no operating point

    @classmethod
    def fitted(cls, validation: pd.DataFrame, labels: Sequence[str], kind: Kind, rule: Rule) -> "Reference":
        """The temperature, and the operating points that the rule chooses. Raises UserError without any images."""
        if validation.empty:
            raise UserError(
                "The predictions have no validation images of the in-distribution cohort: no temperature and no "
                "operating points can be chosen. Give its split 'val' images, and predict again."
            )
        sample = Sample.of(validation, labels, kind, 0, [])
        temperature = fit_temperature(sample.logits, sample.targets, kind)
        return cls(temperature, operating_points(sample.decision_scores, sample.targets, rule))


def with_demographics(predictions: pd.DataFrame, demographics: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Predictions with some columns of their cohorts. Raises UserError where an image or a column is missing there."""
    require_columns(demographics, ["cohort", "image_id", *columns], "demographics")
    require_unique_images(demographics, "demographics")
    wanted = demographics[["cohort", "image_id", *columns]]
    joined = predictions.merge(wanted, on=["cohort", "image_id"], how="left", indicator="found")
    if (joined["found"] == "left_only").any():
        absent = joined[joined["found"] == "left_only"]
        first = absent.iloc[0]
        raise UserError(
            f"{len(absent)} predicted images have no demographics, the first is {first['image_id']!r} of cohort "
            f"{first['cohort']!r}. Predictions and cohorts differ: predict again from the present cohorts."
        )
    return joined


def with_known_target(images: pd.DataFrame, labels: Sequence[str], kind: Kind) -> pd.DataFrame:
    """The images whose target is known for any label. Raises UserError, naming cohort and split, if none is."""
    known = ~np.isnan(known_targets(_columns(images, "target", labels), kind)).all(axis=1)
    if not known.any():
        first = images.iloc[0]
        raise UserError(
            f"No image of cohort {first['cohort']!r}, split {first['split']!r}, has a known target for any of "
            f"{', '.join(labels)}. Take the cohort out of the task."
        )
    return images[known]


def _columns(images: pd.DataFrame, prefix: str, labels: Sequence[str]) -> np.ndarray:
    return images[[f"{prefix}_{label}" for label in labels]].to_numpy(dtype=float)
