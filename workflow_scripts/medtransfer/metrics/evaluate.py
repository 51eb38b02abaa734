"""From one run's predictions to its metrics with patient-level bootstrap intervals, overall and by sub-group."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from medtransfer.errors import UserError
from medtransfer.metrics.bootstrap import patient_counts, percentile_interval
from medtransfer.metrics.checks import check_predictions, require_columns, require_unique_images
from medtransfer.metrics.scores import BY_LABEL, METRICS, Kind, Scores, known_targets, scores, two_sided

ALL = "all"
MEAN = "mean"
VALUES = ("value", "ci_low", "ci_high")
SIZES = ("n", "n_positive")
Edges = Sequence[float] | None
Row = dict[str, Any]


def evaluate(
    predictions: pd.DataFrame,
    demographics: pd.DataFrame,
    *,
    labels: Sequence[str],
    kind: Kind,
    id_cohort: str,
    subgroups: Mapping[str, Edges],
    replicates: int,
    confidence: float,
    seed: int,
    min_group: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of every cohort and split, and the bootstrap replicates behind them.

    Args:
        predictions: cohort split image_id patient_id, logit_<label> and target_<label> (1, 0 or NaN) of each label.
        demographics: cohort image_id and the columns of `subgroups`, for every predicted image.
        labels: Labels of the task, in the order of the network's outputs.
        kind: "multilabel" or "multiclass"; `metrics/scores.py` says how decisions are taken in each.
        id_cohort: The cohort that is in-distribution; all others are "ood".
        subgroups: For each column None, for its own values as groups, or ascending edges of half-open bins such as
            [0, 40, 60], for "[0, 40)" and "[40, 60)". Images without a value, or outside all bins, form no group; a
            cohort in which the whole column is missing has no rows of it.
        replicates: Bootstrap replicates.
        confidence: Coverage of the intervals, 0 to 1.
        seed: Seed of the bootstrap. Runs evaluated with the same seed on the same patients share their draws.
        min_group: A sub-group of fewer images is listed by its n alone: one row of each metric's mean, no values.

    Returns:
        First the metrics: cohort split shift subgroup_by subgroup label metric value ci_low ci_high n n_positive.
        Second the replicates of the mean over all images of a cohort: cohort split label metric replicate value.

        Images without any known target are left out. n counts the images whose target is known for the label (for
        any label, in the mean), n_positive those that are positive (for any label, in the mean). A label of which the
        group lacks positives or negatives has no value. The mean is the unweighted one over the labels that have both:
        for sub-groups, in each shown group of the same column, so that they can be compared with each other. A
        replicate in which one of these labels is one-sided is NaN, and not part of the interval; see
        `percentile_interval`.

    Raises:
        UserError: Columns are missing, an image stands twice or has a logit that is not finite, no demographics or
            impossible targets; a cohort has no known target; bins are asked for of a column that is not numeric.
    """
    check_predictions(predictions, labels, kind, id_cohort)
    measured: list[dict[str, Any]] = []
    replicated: list[pd.DataFrame] = []
    for (cohort, split), images in _joined(predictions, demographics, subgroups).groupby(["cohort", "split"]):
        place = {"cohort": cohort, "split": split, "shift": "id" if cohort == id_cohort else "ood"}
        images = images[_with_known_target(images, labels, kind)]
        sample = _sample(images, labels, kind, replicates, [seed, *str(cohort).encode()])
        whole = scores(sample.logits, sample.targets, sample.weights, kind)
        means = _means(whole, two_sided(sample.targets))
        rows = _rows(sample, whole, means, confidence)
        measured += [{**place, "subgroup_by": ALL, "subgroup": ALL, **row} for row in rows]
        replicated += [_replicates(str(cohort), str(split), metric, mean) for metric, mean in means.items()]
        for column, edges in subgroups.items():
            groups = _groups(images[column], edges)
            for name, row in _group_rows(sample, groups, confidence, min_group):
                measured.append({**place, "subgroup_by": column, "subgroup": name, **row})
    columns = ["cohort", "split", "shift", "subgroup_by", "subgroup", "label", "metric", *VALUES, *SIZES]
    metrics = pd.DataFrame(measured, columns=columns).astype({"n_positive": "Int64"})
    return metrics, pd.concat(replicated, ignore_index=True)


@dataclass(frozen=True)
class Sample:
    """Images as arrays: logits and targets [n, labels], and weights [1 + replicates, n], the first of ones."""

    labels: Sequence[str]
    kind: Kind
    logits: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    def only(self, rows: np.ndarray) -> "Sample":
        return Sample(self.labels, self.kind, self.logits[rows], self.targets[rows], self.weights.T[rows].T)


def _joined(predictions: pd.DataFrame, demographics: pd.DataFrame, subgroups: Mapping[str, Edges]) -> pd.DataFrame:
    require_columns(demographics, ["cohort", "image_id", *subgroups], "demographics")
    require_unique_images(demographics, "demographics")
    columns = demographics[["cohort", "image_id", *subgroups]]
    joined = predictions.merge(columns, on=["cohort", "image_id"], how="left", indicator="found")
    if (joined["found"] == "left_only").any():
        absent = joined[joined["found"] == "left_only"]
        first = absent.iloc[0]
        raise UserError(
            f"{len(absent)} predicted images have no demographics, the first is {first['image_id']!r} of cohort "
            f"{first['cohort']!r}. Predictions and cohorts differ: predict again from the present cohorts."
        )
    return joined


def _with_known_target(images: pd.DataFrame, labels: Sequence[str], kind: Kind) -> np.ndarray:
    known = ~np.isnan(known_targets(_columns(images, "target", labels), kind)).all(axis=1)
    if not known.any():
        first = images.iloc[0]
        raise UserError(
            f"No image of cohort {first['cohort']!r}, split {first['split']!r}, has a known target for any of "
            f"{', '.join(labels)}. Take the cohort out of the task."
        )
    return known


def _columns(images: pd.DataFrame, prefix: str, labels: Sequence[str]) -> np.ndarray:
    return images[[f"{prefix}_{label}" for label in labels]].to_numpy(dtype=float)


def _sample(
    images: pd.DataFrame, labels: Sequence[str], kind: Kind, replicates: int, seed_words: Sequence[int]
) -> Sample:
    drawn = patient_counts(images["patient_id"], replicates, seed_words)
    # Weights of one give the metric itself, so value and replicates come from the same lines.
    weights = np.column_stack([np.ones(len(images), dtype=np.uint8), drawn.T]).T
    targets = known_targets(_columns(images, "target", labels), kind)
    return Sample(labels, kind, _columns(images, "logit", labels), targets, weights)


def _groups(values: pd.Series, edges: Edges) -> dict[str, np.ndarray]:
    """The positions of each group's images; an empty dictionary when no image has a value."""
    if values.isna().all():
        return {}
    if edges is not None:
        if not pd.api.types.is_numeric_dtype(values):
            raise UserError(
                f"Sub-groups of {values.name!r} are bins, but its values are not numbers: {values.iloc[0]!r}."
            )
        names = [f"[{low:g}, {high:g})" for low, high in pairwise(edges)]
        values = pd.cut(values, list(edges), right=False, labels=names)
    return {str(name): rows for name, rows in values.groupby(values, observed=True).indices.items()}


def _group_rows(
    sample: Sample, groups: dict[str, np.ndarray], confidence: float, min_group: int
) -> Iterator[tuple[str, Row]]:
    shown = {name: sample.only(rows) for name, rows in groups.items() if len(rows) >= min_group}
    shared = np.logical_and.reduce([two_sided(group.targets) for group in shown.values()])
    for name, rows in groups.items():
        if name in shown:
            values = scores(shown[name].logits, shown[name].targets, shown[name].weights, sample.kind)
            for row in _rows(shown[name], values, _means(values, shared), confidence):
                yield name, row
        else:
            for metric in METRICS:
                yield name, {"label": MEAN, "metric": metric, "n": len(rows)}


def _rows(sample: Sample, values: Scores, means: Scores, confidence: float) -> Iterator[Row]:
    known, positive = ~np.isnan(sample.targets), sample.targets == 1
    for number, label in enumerate(sample.labels):
        sizes = {"n": known[:, number].sum(), "n_positive": positive[:, number].sum()}
        for metric in BY_LABEL[sample.kind]:
            yield {"label": label, "metric": metric, **_summary(values[metric][number], confidence), **sizes}
    sizes = {"n": known.any(axis=1).sum(), "n_positive": positive.any(axis=1).sum()}
    for metric, mean in means.items():
        yield {"label": MEAN, "metric": metric, **_summary(mean, confidence), **sizes}


def _means(values: Scores, labels: np.ndarray) -> Scores:
    """The mean of each metric over some labels [labels]: float64 [B], NaN when there is none."""
    if not labels.any():
        return {metric: np.full(of_labels.shape[1], np.nan) for metric, of_labels in values.items()}
    return {metric: of_labels[labels].mean(axis=0) for metric, of_labels in values.items()}


def _summary(weighted: np.ndarray, confidence: float) -> dict[str, float]:
    low, high = percentile_interval(weighted[1:], confidence)
    return dict(zip(VALUES, (weighted[0], low, high), strict=True))


def _replicates(cohort: str, split: str, metric: str, weighted: np.ndarray) -> pd.DataFrame:
    place = {"cohort": cohort, "split": split, "label": MEAN, "metric": metric}
    return pd.DataFrame({**place, "replicate": np.arange(len(weighted) - 1), "value": weighted[1:]})
