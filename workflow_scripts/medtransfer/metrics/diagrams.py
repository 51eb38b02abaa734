"""Reliability and risk-coverage diagrams of a cell: the runs that differ by their seed alone."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from medtransfer.metrics.bootstrap import percentile_interval
from medtransfer.metrics.calibration import reliability
from medtransfer.metrics.evaluate import SCALED
from medtransfer.metrics.probabilities import Kind
from medtransfer.metrics.sample import Sample, with_known_target
from medtransfer.metrics.selective import risk_coverage

COVERAGES = [round(0.05 * number, 2) for number in range(1, 21)]
COLUMNS = ["cohort", "shift", "diagram", "x", "value", "ci_low", "ci_high", "n"]


def diagrams(
    runs: Sequence[pd.DataFrame],
    temperatures: Sequence[float],
    *,
    labels: Sequence[str],
    kind: Kind,
    id_cohort: str,
    replicates: int,
    confidence: float,
    seed: int,
    bins: int,
) -> pd.DataFrame:
    """Diagrams of each cohort's test images.

    The forecasts of all seeds go into one diagram: it speaks of the networks that this cell gives, one as good as
    another. Patients are resampled with the forecasts of all seeds together, since these are not independent; the
    chance of a seed is not in the intervals.

    Args:
        runs: The predictions of each seed, as for `evaluate`.
        temperatures: The temperature of each seed, which `evaluate` has fitted.
        labels: Labels of the task.
        kind: "multilabel" or "multiclass".
        id_cohort: The cohort that is in-distribution.
        replicates: Bootstrap replicates.
        confidence: Coverage of the intervals, 0 to 1.
        seed: Seed of the bootstrap.
        bins: Bins of a reliability diagram.

    Returns:
        cohort shift diagram x value ci_low ci_high n. In the diagrams `reliability` and `reliability_scaled` (after
        temperature scaling) x is a bin's mean forecast and value how often it came true; in `risk_coverage` x is the
        share of decisions that are taken, the surest first, and value the share of wrong ones among them.
    """
    rows = []
    for cohort in dict.fromkeys(runs[0]["cohort"]):
        samples = [
            Sample.of(
                with_known_target(run[(run["cohort"] == cohort) & (run["split"] == "test")], labels, kind),
                labels,
                kind,
                replicates,
                [seed, *str(cohort).encode()],
            )
            for run in runs
        ]
        place = cohort, "id" if cohort == id_cohort else "ood"
        raw = np.concatenate([sample.logits for sample in samples])
        scaled = np.concatenate([s.logits / each for s, each in zip(samples, temperatures, strict=True)])
        targets = np.concatenate([sample.targets for sample in samples])
        weights = np.concatenate([sample.weights.T for sample in samples]).T
        for name, logits in (("reliability", raw), (f"reliability{SCALED}", scaled)):
            found = reliability(logits, targets, weights, kind, bins)
            rows += [(*place, name, *row) for row in _rows(found.confidence, found.observed, found.n, confidence)]
        risk = risk_coverage(raw, targets, weights, kind, COVERAGES)
        decisions = np.full(len(COVERAGES), (~np.isnan(targets)).sum() if kind == "multilabel" else len(targets))
        rows += [(*place, "risk_coverage", *row) for row in _rows(np.array(COVERAGES), risk, decisions, confidence)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(x: np.ndarray, values: np.ndarray, n: np.ndarray, confidence: float) -> Iterator[tuple[float, ...]]:
    for position, drawn, count in zip(x, values, n, strict=True):
        yield position, drawn[0], *percentile_interval(drawn[1:], confidence), count
