"""p-values from replicates, and Holm's adjustment."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, sem, ttest_1samp

from medtransfer.metrics.significance import holm, p_value, standard_error

TWO_APART = np.array([-1.0, 1, -1, 1])


def test_standard_error_of_a_mean_is_the_textbook_one() -> None:
    rng = np.random.default_rng(1)
    sample = rng.normal(size=500)
    means = sample[rng.integers(500, size=(4000, 500))].mean(axis=1)
    assert standard_error(means) == pytest.approx(sample.std(ddof=1) / np.sqrt(500), rel=0.05)
    test = ttest_1samp(sample, 0.1)
    assert p_value(sample.mean(), means, 0.1) == pytest.approx(test.pvalue, rel=0.2)


@pytest.mark.parametrize("distance", [0, 0.3, 1.96, -1.96, 6, 30])
def test_p_value_is_that_of_a_normal_statistic_also_far_out(distance: float) -> None:
    error = TWO_APART.std(ddof=1)
    assert p_value(0.7 + distance * error, TWO_APART, 0.7) == pytest.approx(2 * norm.sf(abs(distance)), rel=1e-9)


@pytest.mark.parametrize(
    ("effect", "replicates"),
    [
        (np.nan, TWO_APART),
        (0.1, np.full(4, 0.1)),
        (0.1, np.array([0.3])),
        (0.1, np.array([])),
        (0.1, np.full(4, np.nan)),
        (0.1, np.append(TWO_APART, np.full(5, np.nan))),
    ],
)
def test_p_value_is_undefined_where_the_effect_or_its_spread_is(effect: float, replicates: np.ndarray) -> None:
    assert np.isnan(p_value(effect, replicates, 0.0))


def test_undefined_replicates_are_left_out_unless_they_are_most() -> None:
    assert p_value(1, np.append(TWO_APART, np.full(4, np.nan)), 0.0) == p_value(1, TWO_APART, 0.0)


# --- many tests ----------------------------------------------------------------------------------------------------


def step_down(p_values: list[Fraction], alpha: Fraction) -> set[int]:
    """Holm 1979 as he says it: from the smallest on, reject while p is at most alpha over the hypotheses left."""
    rejected: set[int] = set()
    for number in sorted(range(len(p_values)), key=p_values.__getitem__):
        if p_values[number] > alpha / (len(p_values) - len(rejected)):
            break
        rejected.add(number)
    return rejected


SHARES = st.integers(0, 1024).map(lambda part: Fraction(part, 1024))


@given(st.lists(SHARES, max_size=12), SHARES.filter(lambda alpha: alpha < 1))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[Fraction], alpha: Fraction) -> None:
    adjusted = holm(np.array(p_values, dtype=float))
    assert set(np.flatnonzero(adjusted <= float(alpha))) == step_down(p_values, alpha)


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_an_undefined_test_is_no_test() -> None:
    adjusted = holm(np.array([0.01, np.nan, 0.02, np.nan]))
    np.testing.assert_allclose(adjusted, [0.02, np.nan, 0.02, np.nan])
    assert np.isnan(holm(np.full(2, np.nan))).all() and len(holm(np.array([]))) == 0


def test_many_true_hypotheses_are_seldom_rejected() -> None:
    rng = np.random.default_rng(2)
    false_alarms = [(holm(p_values) <= 0.05).any() for p_values in rng.random((4000, 20))]
    assert np.mean(false_alarms) == pytest.approx(0.05, abs=0.012)


def test_few_degrees_of_freedom_give_the_p_value_of_a_t_test():
    sample = np.array([0.4, 1.1, 0.2, 0.9])
    spread = sem(sample) * np.array([-1.0, 1.0]) / np.sqrt(2)  # two replicates of that standard error
    ours = p_value(sample.mean(), sample.mean() + spread, 0.0, freedom=3)
    assert ours == pytest.approx(ttest_1samp(sample, 0.0).pvalue)
