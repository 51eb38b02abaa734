"""Calibration: hand-computed forecasts, scikit-learn's scores, published estimators, temperatures that are known."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.metrics import brier_score_loss, log_loss

from medtransfer.errors import UserError
from medtransfer.metrics.calibration import METRICS, calibration, fit_temperature, reliability
from medtransfer.metrics.probabilities import Kind

# 10 forecasts of 0.1 with 3 events, 10 of 0.5 with 5, 20 of 0.9 with 16.
FORECAST = np.repeat([0.1, 0.5, 0.9], [10, 10, 20])
EVENT = np.repeat([1.0, 0, 1, 0, 1, 0], [3, 7, 5, 5, 16, 4])
BY_HAND = {
    "ece": (10 * 0.2 + 0 + 20 * 0.1) / 40,
    "brier": (3 * 0.81 + 7 * 0.01 + 10 * 0.25 + 16 * 0.01 + 4 * 0.81) / 40,
    "brier_reliability": (10 * 0.2**2 + 20 * 0.1**2) / 40,
    "brier_resolution": (10 * 0.3**2 + 10 * 0.1**2 + 20 * 0.2**2) / 40,  # the base rate is 24 in 40
    "brier_uncertainty": 0.6 * 0.4,
}


def once(images: int) -> np.ndarray:
    return np.ones((1, images), dtype=np.uint8)


def events(probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(probability.shape) < probability).astype(float)


def classes(probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One-hot draws [n, classes] from probabilities [n, classes]."""
    drawn = (rng.random((len(probability), 1)) > probability.cumsum(axis=1)).sum(axis=1)
    return np.eye(probability.shape[1])[drawn]


# --- known answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", BY_HAND)
def test_a_forecast_of_three_values_is_as_computed_by_hand(metric: str) -> None:
    measured = calibration(logit(FORECAST)[:, None], EVENT[:, None], once(40), "multilabel")
    assert measured[metric] == pytest.approx(BY_HAND[metric], abs=1e-12)


def test_two_classes_are_the_binary_forecast_counted_once_for_each_class() -> None:
    logits = np.column_stack([np.zeros(40), logit(FORECAST)])
    measured = calibration(logits, np.column_stack([1 - EVENT, EVENT]), once(40), "multiclass")
    for metric in ("brier", "brier_reliability", "brier_resolution", "brier_uncertainty"):
        assert measured[metric] == pytest.approx(2 * BY_HAND[metric], abs=1e-12)
    # The top label has 0.9 for the first ten as well (7 right, as 16 of the twenty are) and 0.5, 5 right, for the rest.
    assert measured["ece"] == pytest.approx(abs(30 * 0.9 - 23) / 40)


def test_the_mean_is_over_two_sided_labels_each_on_its_known_images() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(60, 3))
    targets = events(expit(logits), rng)
    targets[:20, 0] = np.nan
    targets[:, 2] = 0
    weights = rng.poisson(1, size=(3, 60)).astype(np.uint8)
    measured = calibration(logits, targets, weights, "multilabel")
    alone = [calibration(logits[20:, :1], targets[20:, :1], weights[:, 20:], "multilabel")]
    alone += [calibration(logits[:, 1:2], targets[:, 1:2], weights, "multilabel")]
    for metric in METRICS:
        np.testing.assert_allclose(measured[metric], np.mean([label[metric] for label in alone], axis=0), atol=1e-12)


@pytest.mark.parametrize("overconfidence", [1, 3])
def test_ece_and_its_debiased_estimate_equal_a_loop_over_bins_with_redrawn_frequencies(overconfidence: float) -> None:
    rng = np.random.default_rng(1)
    forecast = rng.beta(1, 3, size=600)
    event = events(expit(logit(forecast) / overconfidence), rng)
    plugin = redrawn = 0.0
    for rows in np.split(np.argsort(forecast), 15):
        mean, frequency = forecast[rows].mean(), event[rows].mean()
        draws = rng.normal(frequency, np.sqrt(frequency * (1 - frequency) / 40), size=200_000)
        plugin += abs(mean - frequency) / 15
        redrawn += np.abs(draws - mean).mean() / 15
    measured = calibration(logit(forecast)[:, None], event[:, None], once(600), "multilabel")
    assert measured["ece"] == pytest.approx(plugin, abs=1e-12)
    assert measured["ece_debiased"] == pytest.approx(max(0, 2 * plugin - redrawn), abs=2e-4)


def test_the_debiased_estimate_is_nearer_to_the_truth_of_calibrated_and_of_overconfident_forecasts() -> None:
    rng = np.random.default_rng(2)
    for overconfidence in (1.0, 1.3):
        logits = 2 * rng.normal(size=(3000, 40))
        truth = expit(logits / overconfidence)
        true_error = np.abs(truth - expit(logits)).mean()
        targets = events(truth, rng)
        each = [calibration(logits[:, [i]], targets[:, [i]], once(3000), "multilabel") for i in range(40)]
        plugin, debiased = (np.mean([one[metric] for one in each]) for metric in ("ece", "ece_debiased"))
        assert abs(debiased - true_error) < 0.7 * abs(plugin - true_error)
        assert debiased < plugin < true_error + 0.02


# --- independent implementations -----------------------------------------------------------------------------------


def test_brier_score_and_likelihood_equal_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    logits = 3 * rng.normal(size=(500, 1))
    targets = events(expit(logits), rng)
    weights = np.vstack([np.ones(500), rng.poisson(1, size=(4, 500))]).astype(np.uint8)
    measured = calibration(logits, targets, weights, "multilabel")
    for column, drawn in enumerate(weights):
        truth, probability = targets[:, 0], expit(logits[:, 0])
        brier = brier_score_loss(truth, probability, sample_weight=drawn)
        assert measured["brier"][column] == pytest.approx(brier, abs=1e-12)
        assert measured["nll"][column] == pytest.approx(log_loss(truth, probability, sample_weight=drawn), abs=1e-9)


def test_multiclass_brier_score_and_likelihood_equal_their_definitions() -> None:
    rng = np.random.default_rng(4)
    logits = 2 * rng.normal(size=(400, 4))
    targets = classes(softmax(logits, axis=1), rng)
    weights = np.vstack([np.ones(400), rng.poisson(1, size=(4, 400))]).astype(np.uint8)
    unknown = np.full((1, 4), np.nan)
    measured = calibration(
        np.vstack([logits, [[9, 0, 0, 0]]]),
        np.vstack([targets, unknown]),
        np.hstack([weights, np.full((5, 1), 7, np.uint8)]),
        "multiclass",
    )
    probability = softmax(logits, axis=1)
    for column, drawn in enumerate(weights):
        squares = ((probability - targets) ** 2).sum(axis=1)
        assert measured["brier"][column] == pytest.approx(np.average(squares, weights=drawn), abs=1e-12)
        assert measured["nll"][column] == pytest.approx(
            log_loss(targets.argmax(axis=1), probability, sample_weight=drawn), abs=1e-9
        )


IMAGES = st.lists(
    st.tuples(
        st.tuples(*[st.integers(-2, 2) | st.floats(-40, 40)] * 3),
        st.sampled_from([0, 1, 2, None]),
        st.lists(st.integers(0, 3), min_size=3, max_size=3),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(IMAGES, st.sampled_from(["multilabel", "multiclass"]), st.integers(1, 50))
def test_the_terms_of_the_brier_score_add_up_under_every_weighting(images: Any, kind: Kind, bins: int) -> None:
    logits, chosen, counts = (list(column) for column in zip(*images, strict=True))
    targets = np.array([np.full(3, np.nan) if label is None else np.eye(3)[label] for label in chosen])
    weights = np.vstack([np.ones(len(images)), np.transpose(counts)]).astype(np.uint8)
    measured = calibration(np.array(logits, dtype=float), targets, weights, kind, bins)
    terms = measured["brier_reliability"] - measured["brier_resolution"] + measured["brier_uncertainty"]
    np.testing.assert_allclose(terms, measured["brier"], rtol=0, atol=1e-9)
    undefined = np.isnan(measured["brier"])
    for metric in METRICS:
        np.testing.assert_array_equal(np.isnan(measured[metric]), undefined)
        if metric != "brier_resolution":
            assert (measured[metric][~undefined] >= -1e-12).all()


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_counts_act_as_repeated_images(kind: Kind) -> None:
    """Forecasts of six values, more bins than values: the bins are the values, whichever images are repeated."""
    rng = np.random.default_rng(5)
    logits = np.array([[2.0, 0, 0], [0, 1, 0], [0, 0, 3], [-1, 0, 1], [1, 1, -2], [0.5, -3, 0]])[
        rng.integers(6, size=90)
    ]
    targets = classes(softmax(logits, axis=1), rng)
    drawn = rng.poisson(1, size=90)
    weighted = calibration(logits, targets, np.vstack([np.ones(90), drawn]).astype(np.uint8), kind, 90)
    rows = np.repeat(np.arange(90), drawn)
    repeated = calibration(logits[rows], targets[rows], once(len(rows)), kind, 90)
    for metric in METRICS:
        assert weighted[metric][1] == pytest.approx(repeated[metric][0], abs=1e-12), metric


# --- reliability diagrams ------------------------------------------------------------------------------------------


def test_a_reliability_diagram_holds_forecast_frequency_and_size_of_each_bin() -> None:
    weights = np.vstack([np.ones(40), FORECAST > 0.4, EVENT]).astype(np.uint8)
    diagram = reliability(logit(FORECAST)[:, None], EVENT[:, None], weights, "multilabel")
    np.testing.assert_allclose(diagram.confidence, [0.1, 0.5, 0.9])
    np.testing.assert_array_equal(diagram.n, [10, 10, 20])
    np.testing.assert_allclose(diagram.observed, [[0.3, np.nan, 1], [0.5, 0.5, 1], [0.8, 0.8, 1]])


def test_a_reliability_diagram_pools_known_pairs_or_takes_the_top_label_whose_ece_it_shows() -> None:
    rng = np.random.default_rng(6)
    logits = rng.normal(size=(301, 3))
    targets = classes(softmax(logits, axis=1), rng)
    top = reliability(logits, targets, once(301), "multiclass", 10)
    ece = (top.n * np.abs(top.confidence - top.observed[:, 0])).sum() / top.n.sum()
    assert ece == pytest.approx(calibration(logits, targets, once(301), "multiclass", 10)["ece"][0])
    targets[:100, 0] = np.nan
    pooled = reliability(logits, targets, once(301), "multilabel", 10)
    assert pooled.n.sum() == 803 and np.ptp(pooled.n) <= 1
    assert (pooled.n * pooled.observed[:, 0]).sum() == pytest.approx(np.nansum(targets))


# --- temperature ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 2])
def test_the_temperature_that_made_the_targets_is_found(temperature: float) -> None:
    rng = np.random.default_rng(7)
    logits = temperature * 2 * rng.normal(size=(20_000, 4))
    binary, one_hot = events(expit(logits / temperature), rng), classes(softmax(logits / temperature, axis=1), rng)
    binary[::3, 1], one_hot[::3] = np.nan, np.nan
    assert fit_temperature(logits, binary, "multilabel") == pytest.approx(temperature, rel=0.03)
    assert fit_temperature(logits, one_hot, "multiclass") == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_has_a_lower_likelihood_loss() -> None:
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(200, 1))
    targets = events(expit(3 * logits), rng)
    best = fit_temperature(logits, targets, "multilabel")
    fitted, *others = (log_loss(targets, expit(logits / (best * factor))) for factor in (1, 0.99, 1.01, 0.3, 3))
    assert fitted < min(others)


def test_a_temperature_stays_within_its_bounds_and_needs_a_target() -> None:
    logits = np.linspace(-1, 1, 20)[:, None]
    right = (logits > 0).astype(float)
    assert fit_temperature(logits, right, "multilabel") == pytest.approx(1 / 20, rel=1e-3)
    assert fit_temperature(logits, 1 - right, "multilabel") == pytest.approx(20, rel=1e-3)
    with pytest.raises(UserError, match="none of the 20 validation images"):
        fit_temperature(logits, np.full((20, 1), np.nan), "multilabel")


# --- hostile inputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
@pytest.mark.parametrize("target", [np.nan, 0.0])
def test_without_a_two_sided_label_or_a_known_class_everything_is_undefined(kind: Kind, target: float) -> None:
    targets = np.full((5, 2), target if kind == "multilabel" else np.nan)
    measured = calibration(np.zeros((5, 2)), targets, np.ones((3, 5), np.uint8), kind)
    assert list(measured) == list(METRICS)
    assert all(values.shape == (3,) and np.isnan(values).all() for values in measured.values())


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_a_diagram_without_known_targets_has_no_bins(kind: Kind) -> None:
    diagram = reliability(np.zeros((5, 2)), np.full((5, 2), np.nan), np.ones((3, 5), np.uint8), kind)
    assert diagram.observed.shape == (0, 3) and diagram.confidence.shape == diagram.n.shape == (0,)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_logits_far_beyond_floating_point_probabilities_have_finite_measures(kind: Kind) -> None:
    logits = np.array([[1e5, -1e5], [-1e5, 1e5], [800.0, -800], [0, 0]])
    targets = np.array([[0.0, 1], [0, 1], [1, 0], [1, 0]])
    measured = calibration(logits, targets, np.ones((2, 4), np.uint8), kind)
    assert all(np.isfinite(values).all() for values in measured.values())
    # One image is wrong by 1e5 in each label, or by the difference of the two logits; the last is undecided.
    wrong = 1e5 if kind == "multilabel" else 2e5
    assert measured["nll"] == pytest.approx((wrong + np.log(2)) / 4)


def test_fewer_images_than_bins_and_a_network_that_always_says_the_same() -> None:
    few = calibration(logit([[0.2], [0.7]]), np.array([[0.0], [1]]), once(2), "multilabel")
    assert few["ece"] == pytest.approx((0.2 + 0.3) / 2)
    constant = calibration(np.zeros((40, 1)), EVENT[:, None], once(40), "multilabel")
    assert constant["ece"] == pytest.approx(0.1) and constant["brier_resolution"] == pytest.approx(0, abs=1e-12)
