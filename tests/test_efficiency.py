"""The fraction of the data that is needed: on a monotone curve, with "not reached" as a possible answer."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from medtransfer.metrics.efficiency import fraction_needed, monotone, needed_interval

FRACTIONS = np.array([0.01, 0.1, 1.0])


def needed(scores: list[float], target: float) -> float:
    return float(fraction_needed(FRACTIONS, np.array(scores)[:, None], np.array([target]))[0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_monotone_equals_scikit_learn(scores: list[float]) -> None:
    expected = IsotonicRegression().fit_transform(np.arange(len(scores)), scores)
    np.testing.assert_allclose(monotone(np.array(scores)[:, None])[:, 0], expected, atol=1e-12)


def test_columns_of_replicates_are_fitted_by_themselves() -> None:
    scores = np.random.default_rng(1).normal(size=(7, 1001)).cumsum(axis=0)
    scores[3, 5] = np.nan
    fit = monotone(scores)
    assert np.isnan(fit[:, 5]).all() and not np.isnan(np.delete(fit, 5, axis=1)).any()
    for column in (0, 4, 6, 1000):
        np.testing.assert_allclose(fit[:, column], IsotonicRegression().fit_transform(range(7), scores[:, column]))


@pytest.mark.parametrize(
    ("scores", "target", "fraction"),
    [
        ([0.6, 0.7, 0.8], 0.75, 0.1 * np.sqrt(10)),  # half-way between 0.1 and 1 in the logarithm
        ([0.6, 0.7, 0.8], 0.7, 0.1),
        ([0.6, 0.7, 0.8], 0.8, 1),
        ([0.6, 0.7, 0.8], 0.81, np.inf),
        ([0.6, 0.8, 0.7], 0.75, 0.1),  # pooled: 0.6, 0.75, 0.75
        ([0.8, 0.7, 0.6], 0.71, np.inf),  # pooled: 0.7 throughout
        ([0.6, np.nan, 0.8], 0.7, np.nan),
        ([0.6, 0.7, 0.8], np.nan, np.nan),
    ],
)
def test_fraction_needed(scores: list[float], target: float, fraction: float) -> None:
    np.testing.assert_allclose(needed(scores, target), fraction)


@pytest.mark.parametrize("smallest", [0.01, 0.02, 0.05, 0.07, 1 / 3])
def test_a_target_met_by_the_smallest_fraction_gives_exactly_that(smallest: float) -> None:
    fractions = np.array([smallest, 0.5, 1])
    assert fraction_needed(fractions, np.array([[0.7], [0.8], [0.9]]), np.array([0.65])) == smallest


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_a_network_meets_its_own_result_with_all_data(scores: list[float]) -> None:
    assert needed(scores, scores[-1]) <= 1 + 1e-12


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_target_needs_no_less(scores: list[float], one: float, other: float) -> None:
    low, high = sorted([one, other])
    assert needed(scores, low) <= needed(scores, high) * (1 + 1e-12)


@pytest.mark.parametrize("fractions", [[0.1, 0.01, 1], [0.1, 0.1, 1]])
def test_fractions_must_ascend(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="do not make curves"):
        fraction_needed(np.array(fractions), np.zeros((3, 1)), np.zeros(1))


# --- intervals -----------------------------------------------------------------------------------------------------


def test_not_reached_is_a_value_like_any_other() -> None:
    replicates = np.concatenate([np.linspace(0.2, 0.8, 900), np.full(100, np.inf)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interval = needed_interval(np.append(0.5, replicates), 0.95)
    assert interval.value == 0.5 and interval.high == np.inf
    assert interval.low == pytest.approx(np.quantile(replicates[:900], 0.025 * 1000 / 900), abs=1e-3)
    assert interval.reached == 0.9


def test_interval_is_finite_where_few_replicates_miss() -> None:
    replicates = np.concatenate([np.linspace(0.2, 0.8, 990), np.full(10, np.inf)])
    interval = needed_interval(np.append(np.inf, replicates), 0.95)
    assert interval.value == np.inf and interval.high == pytest.approx(0.8, abs=0.02)


def test_a_target_never_reached_has_an_interval_of_never() -> None:
    assert needed_interval(np.full(101, np.inf), 0.95) == (np.inf, np.inf, np.inf, 0)


def test_undefined_replicates_are_left_out_unless_they_are_most() -> None:
    defined = np.full(50, 0.5)
    assert needed_interval(np.concatenate([[0.4], defined, np.full(50, np.nan)]), 0.95) == (0.4, 0.5, 0.5, 1)
    assert np.isnan(needed_interval(np.concatenate([[0.4], defined, np.full(51, np.nan)]), 0.95)[1:]).all()
