"""Metrics and draws: equal to scikit-learn's, and those of a patient-level bootstrap."""

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
)

from medtransfer.metrics.accuracy import accuracy, recalls
from medtransfer.metrics.bootstrap import patient_counts, percentile_interval
from medtransfer.metrics.ranking import BLOCK, auc, average_precision
from tests.conftest import ROOT


def by_scikit_learn(metric: Any, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> list[float]:
    """One call for each weighting, NaN where a class has no weight."""
    results = []
    for drawn in weights:
        kept = ~np.isnan(targets) & (drawn > 0)
        both = len(set(targets[kept])) == 2
        results.append(metric(targets[kept], scores[kept], sample_weight=drawn[kept]) if both else np.nan)
    return results


def close(left: Any, right: Any) -> None:
    np.testing.assert_allclose(np.asarray(left, float), np.asarray(right, float), rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.integers(-3, 3), st.sampled_from([0.0, 1.0, np.nan]), st.lists(st.integers(0, 3), min_size=2, max_size=2)
        ),
        min_size=1,
        max_size=25,
    )
)
def test_areas_equal_scikit_learn_with_ties_missing_targets_and_any_counts(images: list[Any]) -> None:
    scores, targets, weights = (np.array(column, dtype=float) for column in zip(*images, strict=True))
    close(auc(scores, targets, weights.T), by_scikit_learn(roc_auc_score, scores, targets, weights.T))
    expected = by_scikit_learn(average_precision_score, scores, targets, weights.T)
    close(average_precision(scores, targets, weights.T), expected)


@pytest.mark.parametrize("decimals", [0, 1, 2, 16], ids=["five scores", "heavy ties", "some ties", "no ties"])
@pytest.mark.parametrize("prevalence", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("order", ["C", "F"])
def test_areas_equal_scikit_learn_over_many_blocks(decimals: int, prevalence: float, order: Any) -> None:
    rng = np.random.default_rng(1)
    images = 20 * BLOCK + 7
    scores = rng.normal(size=images).round(decimals)
    targets = np.where(rng.random(images) < 0.1, np.nan, rng.random(images) < prevalence)
    weights = np.asarray(rng.poisson(1, size=(3, images)), dtype=np.uint8, order=order)
    close(auc(scores, targets, weights), by_scikit_learn(roc_auc_score, scores, targets, weights))
    expected = by_scikit_learn(average_precision_score, scores, targets, weights)
    close(average_precision(scores, targets, weights), expected)


def test_a_network_that_says_the_same_of_every_image_has_an_auc_of_one_half() -> None:
    targets = np.repeat([0.0, 1.0], 5 * BLOCK)
    weights = np.full((2, len(targets)), 200, dtype=np.uint8)
    assert auc(np.zeros(len(targets)), targets, weights).tolist() == [0.5, 0.5]
    assert average_precision(np.zeros(len(targets)), targets, weights).tolist() == [0.5, 0.5]


def test_scores_may_be_infinite_and_order_alone_matters_to_the_auc() -> None:
    scores = np.array([-np.inf, 0.1, 0.2, np.inf])
    assert auc(scores, np.array([0.0, 1, 0, 1]), np.ones((1, 4), dtype=np.uint8)) == [0.75]


@pytest.mark.parametrize("target", [0.0, 1.0, np.nan])
def test_areas_of_one_class_alone_are_undefined(target: float) -> None:
    arguments = np.arange(4.0), np.full(4, target), np.ones((2, 4), dtype=np.uint8)
    assert np.isnan(auc(*arguments)).all() and np.isnan(average_precision(*arguments)).all()


def test_accuracies_equal_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    truth, guess = rng.integers(4, size=(2, 300))
    weights = rng.poisson(1, size=(5, 300)).astype(np.uint8)
    close(accuracy(truth == guess, weights), [accuracy_score(truth, guess, sample_weight=drawn) for drawn in weights])
    balanced = recalls(truth == guess, truth == np.arange(4)[:, None], weights).mean(axis=0)
    close(balanced, [balanced_accuracy_score(truth, guess, sample_weight=drawn) for drawn in weights])


# --- draws and intervals -------------------------------------------------------------------------------------------


def test_images_of_a_patient_are_drawn_together_and_as_many_patients_as_there_are() -> None:
    patients = np.array([f"p{number % 70}" for number in range(200)])
    counts = patient_counts(patients, 50, [1])
    assert counts.shape == (50, 200) and counts.dtype == np.uint8
    by_patient = pd.DataFrame(counts.T).groupby(patients)
    assert (by_patient.nunique() == 1).all(axis=None)
    assert (by_patient.first().sum() == 70).all()


def test_draws_are_multinomial() -> None:
    counts = patient_counts([f"p{number}" for number in range(40)], 4000, [5])
    assert counts.mean() == 1
    assert counts.var(axis=0).mean() == pytest.approx(1 - 1 / 40, rel=0.02)
    covariance = np.cov(counts.T)
    assert covariance[~np.eye(40, dtype=bool)].mean() == pytest.approx(-1 / 40, rel=0.05)


def test_draws_depend_on_the_seed_words_and_the_set_of_patients_alone() -> None:
    patients = pd.Series(["b", "a", "c", "a"])
    first = pd.DataFrame(patient_counts(patients, 30, [1, 2]).T, index=patients)
    longer = pd.Series(["c", "c", "a", "b", "b"])
    second = pd.DataFrame(patient_counts(longer, 30, [1, 2]).T, index=longer)
    for patient in "abc":
        assert first.loc[[patient]].iloc[0].tolist() == second.loc[[patient]].iloc[-1].tolist()
    assert (patient_counts(patients, 30, [1, 2]) != patient_counts(patients, 30, [2, 2])).any()


def test_an_image_without_a_patient_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="patient_id"):
        patient_counts(pd.Series(["a", None]), 10, [0])


def test_interval_leaves_undefined_replicates_out_unless_they_are_most() -> None:
    values = np.arange(101.0)
    close(percentile_interval(values, 0.9), (5, 95))
    close(percentile_interval(np.append(values, np.full(101, np.nan)), 0.9), (5, 95))
    assert np.isnan(percentile_interval(np.append(values, np.full(103, np.nan)), 0.9)).all()


def test_verdicts_load_without_the_libraries_that_take_seconds() -> None:
    code = "import sys, medtransfer.claims.verdict; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "workflow_scripts", text=True, capture_output=True, check=True
    )
    assert not {"sklearn", "torch", "matplotlib"} & set(loaded.stdout.split())
