"""From one run's predictions to its metrics with patient-level bootstrap intervals, overall and by sub-group."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from medtransfer.metrics import calibration, scores, selective
from medtransfer.metrics.bootstrap import percentile_interval
from medtransfer.metrics.checks import check_predictions
from medtransfer.metrics.fairness import Rule, equalised_odds, expected_gap, gap, rates, worst
from medtransfer.metrics.groups import Edges, groups
from medtransfer.metrics.probabilities import Kind
from medtransfer.metrics.sample import Reference, Sample, with_demographics, with_known_target
from medtransfer.metrics.scores import two_sided

ALL = "all"
MEAN = "mean"
WORST, GAP, EXPECTED_GAP = "(worst)", "(gap)", "(expected gap)"
SCALED = "_scaled"
RATES = ("sensitivity", "specificity", "underdiagnosis")
LOWER_IS_BETTER = ("underdiagnosis",)
VALUES = ("value", "ci_low", "ci_high")
COLUMNS = ["cohort", "split", "shift", "subgroup_by", "subgroup", "label", "metric", *VALUES, "n", "n_positive"]
Row = dict[str, Any]
Means = dict[str, np.ndarray]  # of each metric, float64 [B]


class Evaluation(NamedTuple):
    """The metrics of a run, and the bootstrap replicates of those that are compared between runs."""

    metrics: pd.DataFrame
    replicates: pd.DataFrame

    @classmethod
    def of(cls, measured: list[Row], replicated: list[Row]) -> "Evaluation":
        metrics = pd.DataFrame(measured, columns=COLUMNS).astype({"n_positive": "Int64"})
        table = pd.DataFrame(replicated, columns=["cohort", "split", "subgroup_by", "subgroup", "metric", "replicates"])
        return cls(metrics, table.assign(replicates=[each[1:].astype(np.float32) for each in table["replicates"]]))


def evaluate(
    predictions: pd.DataFrame,
    demographics: pd.DataFrame,
    *,
    labels: Sequence[str],
    kind: Kind,
    id_cohort: str,
    subgroups: Mapping[str, Edges],
    intersections: Sequence[Sequence[str]],
    replicates: int,
    confidence: float,
    seed: int,
    min_group: int,
    operating_point: Rule,
    bins: int,
) -> Evaluation:
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
        intersections: Sets of those columns to group by together, named "sex*age".
        replicates: Bootstrap replicates.
        confidence: Coverage of the intervals, 0 to 1.
        seed: Seed of the bootstrap. Runs evaluated with the same seed on the same patients share their draws.
        min_group: A sub-group of fewer images is listed by its n alone: one row of each metric's mean, no values.
        operating_point: How decisions for `sensitivity`, `specificity` and `underdiagnosis` are taken, as
            `fairness.operating_points` has it; chosen on the in-distribution validation images.
        bins: Bins of the calibration errors.

    Returns:
        First the metrics: cohort split shift subgroup_by subgroup label metric value ci_low ci_high n n_positive.
        Second the replicates of means over labels in test splits, of all images, of each column's worst group and of
        its gap: cohort split subgroup_by subgroup metric and `replicates`, a float32 array [replicates].

        Metrics of all images are those of `scores`, of `calibration` (also with the suffix "_scaled", after temperature
        scaling on in-distribution validation images), `aurc`, and the rates of `fairness` at the operating point.
        Temperature and thresholds stand with the validation split that they were fitted on, as if they were metrics.

        Images without any known target are left out. n counts the images whose target is known for the label (for
        any label, in the mean), n_positive those that are positive (for any label, in the mean). A label of which the
        group lacks positives or negatives has no value. The mean is the unweighted one over the labels that have both:
        for sub-groups, in each shown group of the same column, so that they can be compared with each other. A
        replicate in which one of these labels is one-sided is NaN, and not part of the interval; see
        `percentile_interval`.

        The sub-groups "(worst)" and "(gap)" are the worst off of the shown groups, under each draw anew, and the
        largest difference between two; "(expected gap)" is the gap that their noise alone would give.

    Raises:
        UserError: Columns are missing, an image stands twice or has a logit that is not finite, no demographics or
            impossible targets; a cohort has no known target, the in-distribution one no validation images; bins are
            asked for of a column that is not numeric.
    """
    check_predictions(predictions, labels, kind, id_cohort)
    joined = with_demographics(predictions, demographics, list(subgroups))
    validation = joined[(joined["cohort"] == id_cohort) & (joined["split"] == "val")]
    reference = Reference.fitted(validation, labels, kind, operating_point)
    measured: list[Row] = []
    replicated: list[Row] = []
    for (cohort, split), images in joined.groupby(["cohort", "split"]):
        place = {"cohort": cohort, "split": split, "shift": "id" if cohort == id_cohort else "ood"}
        images = with_known_target(images, labels, kind)
        sample = Sample.of(images, labels, kind, replicates, [seed, *str(cohort).encode()])
        everyone = {"subgroup_by": ALL, "subgroup": ALL}
        whole = _overall(sample, reference, bins)
        measured += [{**place, **everyone, **row} for row in _rows(sample, whole, confidence)]
        kept = [{**everyone, "metric": metric, "replicates": mean} for metric, mean in whole.means.items()]
        for by in [*subgroups, *("*".join(columns) for columns in intersections)]:
            cut = groups(images, by, subgroups)
            compared = _Groups.of(sample, cut, reference, min_group)
            rows = [*compared.rows(sample.kind, confidence), *compared.summary_rows(confidence)]
            measured += [{**place, "subgroup_by": by, **row} for row in rows]
            kept += [{"subgroup_by": by, **row} for row in compared.replicates()]
        if split == "test":
            replicated += [{"cohort": cohort, "split": split, **row} for row in kept]
        if (cohort, split) == (id_cohort, "val"):
            measured += [{**place, **everyone, **row} for row in _fitted_rows(sample, reference)]
    return Evaluation.of(measured, replicated)


def evaluate_primary(
    predictions: pd.DataFrame,
    *,
    metric: str,
    labels: Sequence[str],
    kind: Kind,
    id_cohort: str,
    replicates: int,
    confidence: float,
    seed: int,
) -> Evaluation:
    """Of what `evaluate` gives the mean of one of the `scores`, on all test images: at a tenth of the cost.

    Raises:
        UserError: As `evaluate` does of predictions.
    """
    check_predictions(predictions, labels, kind, id_cohort)
    measured: list[Row] = []
    replicated: list[Row] = []
    for (cohort, split), images in predictions[predictions["split"] == "test"].groupby(["cohort", "split"]):
        sample = Sample.of(
            with_known_target(images, labels, kind), labels, kind, replicates, [seed, *str(cohort).encode()]
        )
        by_label = scores.scores(sample.logits, sample.targets, sample.weights, kind)
        means = _means({metric: by_label[metric]}, two_sided(sample.targets))
        where = {"cohort": cohort, "split": split, "subgroup_by": ALL, "subgroup": ALL}
        place = {**where, "shift": "id" if cohort == id_cohort else "ood"}
        measured += [{**place, **row} for row in _mean_rows(sample, means, confidence)]
        replicated += [{**where, "metric": metric, "replicates": means[metric]}]
    return Evaluation.of(measured, replicated)


class _Measured(NamedTuple):
    """Metrics under all weightings: of each label, [labels, B], and their means, [B]."""

    by_label: scores.Scores
    means: Means


def _overall(sample: Sample, reference: Reference, bins: int) -> _Measured:
    """All metrics of all images of a cohort."""
    data = sample.targets, sample.weights, sample.kind
    measured = _ranked_and_decided(sample, reference, two_sided(sample.targets))
    raw = calibration.calibration(sample.logits, *data, bins)
    scaled = calibration.calibration(sample.logits / reference.temperature, *data, bins)
    means = measured.means | raw | {f"{metric}{SCALED}": values for metric, values in scaled.items()}
    return _Measured(measured.by_label, means | {"aurc": selective.aurc(sample.logits, *data)})


def _ranked_and_decided(sample: Sample, reference: Reference, labels: np.ndarray) -> _Measured:
    """The scores of each label, and the rates at the operating points; means over some labels [labels]."""
    by_label = scores.scores(sample.logits, sample.targets, sample.weights, sample.kind)
    decided = rates(sample.decision_scores, sample.targets, sample.weights, reference.thresholds)
    by_label |= {rate: decided[rate] for rate in RATES[:2]}
    of_images = {rate: decided[rate] for rate in _rates_of(sample.kind)[2:]}
    return _Measured(by_label, _means(by_label, labels) | of_images)


class _Groups(NamedTuple):
    """The sub-groups of one column: those shown with their metrics, and the sizes of those that are too small."""

    samples: dict[str, Sample]
    measured: dict[str, _Measured]
    labels: np.ndarray  # [labels], which the means are over: two-sided in every shown group
    suppressed: dict[str, int]

    @classmethod
    def of(cls, sample: Sample, cut: dict[str, np.ndarray], reference: Reference, min_group: int) -> "_Groups":
        shown = {name: sample.only(rows) for name, rows in cut.items() if len(rows) >= min_group}
        shared = np.logical_and.reduce([two_sided(group.targets) for group in shown.values()])
        measured = {name: _ranked_and_decided(group, reference, shared) for name, group in shown.items()}
        return cls(shown, measured, shared, {name: len(rows) for name, rows in cut.items() if name not in shown})

    def rows(self, kind: Kind, confidence: float) -> Iterator[Row]:
        """The metrics of each group."""
        for name, group in self.samples.items():
            for row in _rows(group, self.measured[name], confidence):
                yield {"subgroup": name, **row}
        for name, n in self.suppressed.items():
            for metric in (*scores.METRICS, *_rates_of(kind)):
                yield {"subgroup": name, "label": MEAN, "metric": metric, "n": n}

    def summaries(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """The worst group and the gap of each metric, [B]: name of the summary, metric, values."""
        if len(self.samples) < 2:
            return
        for metric in next(iter(self.measured.values())).means:
            values = np.stack([group.means[metric] for group in self.measured.values()])
            yield WORST, metric, worst(values, metric not in LOWER_IS_BETTER)
            yield GAP, metric, gap(values)
        if self.labels.any():
            sensitivity, specificity = (
                np.stack([group.by_label[rate][self.labels] for group in self.measured.values()]) for rate in RATES[:2]
            )
            yield GAP, "equalised_odds", equalised_odds(sensitivity, specificity).mean(axis=0)

    def summary_rows(self, confidence: float) -> Iterator[Row]:
        """Worst group and gap of each metric, and the gap to be expected of their noise."""
        sizes = {"label": MEAN, "n": sum(len(group.targets) for group in self.samples.values())}
        for summary, metric, values in self.summaries():
            yield {"subgroup": summary, "metric": metric, **_summary(values, confidence), **sizes}
        for metric in next(iter(self.measured.values())).means if len(self.samples) > 1 else ():
            expected = expected_gap(np.stack([group.means[metric] for group in self.measured.values()]))
            yield {"subgroup": EXPECTED_GAP, "metric": metric, "value": expected, **sizes}

    def replicates(self) -> Iterator[Row]:
        """The bootstrap replicates of worst groups and gaps."""
        for summary, metric, values in self.summaries():
            yield {"subgroup": summary, "metric": metric, "replicates": values}


def _rates_of(kind: Kind) -> tuple[str, ...]:
    """Which rates a task has: in a multi-class one every image belongs to a class and nobody is healthy."""
    return RATES if kind == "multilabel" else RATES[:2]


def _rows(sample: Sample, measured: _Measured, confidence: float) -> Iterator[Row]:
    known, positive = ~np.isnan(sample.targets), sample.targets == 1
    for number, label in enumerate(sample.labels):
        sizes = {"n": known[:, number].sum(), "n_positive": positive[:, number].sum()}
        for metric in (*scores.BY_LABEL[sample.kind], *RATES[:2]):
            yield {"label": label, "metric": metric, **_summary(measured.by_label[metric][number], confidence), **sizes}
    yield from _mean_rows(sample, measured.means, confidence)


def _mean_rows(sample: Sample, means: Means, confidence: float) -> Iterator[Row]:
    known, positive = ~np.isnan(sample.targets), sample.targets == 1
    sizes = {"n": known.any(axis=1).sum(), "n_positive": positive.any(axis=1).sum()}
    for metric, mean in means.items():
        yield {"label": MEAN, "metric": metric, **_summary(mean, confidence), **sizes}


def _fitted_rows(sample: Sample, reference: Reference) -> Iterator[Row]:
    yield {"label": MEAN, "metric": "temperature", "value": reference.temperature, "n": len(sample.targets)}
    for label, threshold in zip(sample.labels, reference.thresholds, strict=True):
        yield {"label": label, "metric": "threshold", "value": threshold, "n": len(sample.targets)}


def _means(values: scores.Scores, labels: np.ndarray) -> Means:
    """The mean of each metric over some labels [labels]: float64 [B], NaN when there is none."""
    if not labels.any():
        return {metric: np.full(of_labels.shape[1], np.nan) for metric, of_labels in values.items()}
    return {metric: of_labels[labels].mean(axis=0) for metric, of_labels in values.items()}


def _summary(weighted: np.ndarray, confidence: float) -> dict[str, float]:
    low, high = percentile_interval(weighted[1:], confidence)
    return dict(zip(VALUES, (weighted[0], low, high), strict=True))
