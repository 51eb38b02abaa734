"""Intervals cover what they say, and tests reject as rarely as they say: by simulation, 1,000 repetitions or more.

The truth is known: the scores of both classes are normal, and the area under the ROC curve of a network is Phi of the
distance between their means over sqrt(2). What patients share (all images of a patient have one target, and half of the
variance of a score is the patient's) makes their images count for less than as many independent ones. A coverage of
0.95 is itself known to ± 0.014 from 1,000 repetitions, so that 0.93 to 0.97 is what can be asked of it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from medtransfer.metrics.bootstrap import patient_counts, percentile_interval
from medtransfer.metrics.efficiency import fraction_needed, needed_interval
from medtransfer.metrics.ranking import auc
from medtransfer.metrics.seeds import resampled_means
from medtransfer.metrics.significance import p_value

pytestmark = pytest.mark.slow

REPETITIONS, REPLICATES, PATIENTS = 1000, 300, 400
CONFIDENCE, AUC = 0.95, 0.8
DISTANCE = np.sqrt(2) * norm.ppf(AUC)
COMMON = 0.8  # share of the variance within a class that is the images', the same for all networks


class Cohort(NamedTuple):
    """A test set of 400 patients with one to four images each."""

    patients: np.ndarray  # of each image [n]
    targets: np.ndarray  # [n]
    common: np.ndarray  # part of each image's score [n] that all networks see alike
    weights: np.ndarray  # [1 + B, n], the first of ones

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Cohort":
        patients = np.repeat(np.arange(PATIENTS), rng.integers(1, 5, PATIENTS))
        targets = (rng.random(PATIENTS) < 0.25)[patients].astype(float)
        drawn = patient_counts(patients, REPLICATES, rng.integers(2**32, size=1).tolist())
        weights = np.column_stack([np.ones(len(patients), dtype=np.uint8), drawn.T]).T
        return cls(patients, targets, clustered(patients, rng), weights)

    def auc(self, rng: np.random.Generator, distance: float) -> np.ndarray:
        """Of a new network [1 + B] to which the classes are so far apart."""
        own = clustered(self.patients, rng)
        scores = distance * self.targets + np.sqrt(COMMON) * self.common + np.sqrt(1 - COMMON) * own
        return auc(scores, self.targets, self.weights)

    def by_image(self, rng: np.random.Generator) -> "Cohort":
        """The same with each image drawn by itself, as if it were a patient; weights [B, n], no first row of ones."""
        drawn = patient_counts(np.arange(len(self.patients)), REPLICATES, rng.integers(2**32, size=1).tolist())
        return self._replace(weights=drawn)


def clustered(patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Standard normal values of images [n], correlated by 0.5 within a patient."""
    return np.sqrt(0.5) * (rng.normal(size=PATIENTS)[patients] + rng.normal(size=len(patients)))


def holds(replicates: np.ndarray, truth: float) -> bool:
    low, high = percentile_interval(replicates, CONFIDENCE)
    return low <= truth <= high


def test_interval_of_one_run_covers_with_patients_drawn_and_not_with_images() -> None:
    rng = np.random.default_rng(1)
    of_patients, of_images = [], []
    for _ in range(REPETITIONS):
        cohort = Cohort.drawn(rng)
        of_patients.append(holds(cohort.auc(rng, DISTANCE)[1:], AUC))
        of_images.append(holds(cohort.by_image(rng).auc(rng, DISTANCE), AUC))
    assert 0.93 <= np.mean(of_patients) <= 0.97
    assert 0.80 <= np.mean(of_images) <= 0.88


def test_two_networks_that_are_equally_good_are_told_apart_in_five_percent() -> None:
    rng = np.random.default_rng(3)
    excluded, significant = [], []
    for _ in range(REPETITIONS):
        cohort = Cohort.drawn(rng)
        difference = cohort.auc(rng, DISTANCE) - cohort.auc(rng, DISTANCE)
        excluded.append(not holds(difference[1:], 0))
        significant.append(p_value(difference[0], difference[1:], 0) <= 1 - CONFIDENCE)
    assert 0.03 <= np.mean(excluded) <= 0.07
    assert 0.03 <= np.mean(significant) <= 0.07


def test_interval_of_the_fraction_needed_covers() -> None:
    fractions = np.array([0.05, 0.1, 0.25, 0.5, 1])
    distances = np.sqrt(2) * norm.ppf([0.76, 0.775, 0.79, 0.805, 0.815])
    truth = 0.25 * 2 ** (2 / 3)  # two thirds of the way from 0.79 to 0.805, in the logarithm
    rng = np.random.default_rng(4)
    hits = []
    for _ in range(REPETITIONS):
        cohort = Cohort.drawn(rng)
        curves = np.stack([cohort.auc(rng, distance) for distance in distances])
        interval = needed_interval(fraction_needed(fractions, curves, cohort.auc(rng, DISTANCE)), CONFIDENCE)
        hits.append(interval.low <= truth <= interval.high)
    assert 0.93 <= np.mean(hits) <= 0.97


# --- over seeds ----------------------------------------------------------------------------------------------------

# Standard deviation of the true AUC over seeds: about once and twice 0.022, the standard error of one run's AUC.
ONCE, TWICE = 0.02, 0.04


@pytest.fixture(scope="module")
def coverage() -> pd.DataFrame:
    """Of the mean over seeds, by spread (rows) and number of seeds (columns)."""
    rng = np.random.default_rng(5)
    hits = pd.DataFrame(0.0, index=[ONCE, TWICE], columns=[1, 2, 3, 5])
    deviations = hits.index.to_numpy() * np.sqrt(2) / norm.pdf(norm.ppf(AUC))
    truths = norm.cdf(DISTANCE / np.sqrt(2 + deviations**2))
    for _ in range(REPETITIONS):
        cohort = Cohort.drawn(rng)
        for row, (deviation, truth) in enumerate(zip(deviations, truths, strict=True)):
            runs = np.stack([cohort.auc(rng, distance)[1:] for distance in rng.normal(DISTANCE, deviation, size=5)])
            hits.iloc[row] += [holds(resampled_means(runs[:seeds], rng), truth) for seeds in hits.columns]
    return hits / REPETITIONS


def test_mean_over_seeds_covers_where_seeds_vary_no_more_than_patients(coverage: pd.DataFrame) -> None:
    assert coverage.loc[ONCE, [2, 3, 5]].between(0.93, 0.97).all()


def test_few_seeds_cover_less_where_they_vary_more_than_patients(coverage: pd.DataFrame) -> None:
    assert coverage.loc[TWICE, [2, 3, 5]].between([0.86, 0.90, 0.91], [0.92, 0.94, 0.96]).all()


def test_one_seed_speaks_of_patients_alone(coverage: pd.DataFrame) -> None:
    assert coverage[1].between([0.81, 0.60], [0.89, 0.70]).all()


@pytest.mark.parametrize(("seeds", "expected"), [(2, 2 / np.pi * np.arctan(np.sqrt(2))), (3, 0.80), (5, 0.88)])
def test_mean_over_seeds_where_patients_do_not_matter(seeds: int, expected: float) -> None:
    """The least that it covers. With two seeds it is known: the interval is the mean ± |difference| / sqrt(2)."""
    rng = np.random.default_rng(6)
    runs = rng.normal(size=(4 * REPETITIONS, seeds, 1)) * np.ones(REPLICATES)
    assert np.mean([holds(resampled_means(values, rng), 0) for values in runs]) == pytest.approx(expected, abs=0.03)
