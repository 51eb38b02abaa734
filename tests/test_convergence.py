"""Steps to a target: interpolated, and with censored runs that count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from medtransfer.metrics.convergence import first_reached, kaplan_meier, restricted_mean_steps, share_of_gain

STEPS = np.array([0.0, 100, 200, 400])


def reached(scores: list[float], target: float) -> float:
    return float(first_reached(STEPS, np.array(scores)[:, None], np.array([target]))[0])


@pytest.mark.parametrize(
    ("scores", "target", "steps"),
    [
        ([0.5, 0.6, 0.7, 0.9], 0.65, 150),
        ([0.5, 0.6, 0.7, 0.9], 0.8, 300),
        ([0.5, 0.6, 0.7, 0.9], 0.7, 200),
        ([0.5, 0.6, 0.7, 0.9], 0.9, 400),
        ([0.5, 0.6, 0.7, 0.9], 0.5, 0),
        ([0.5, 0.6, 0.7, 0.9], 0.91, np.inf),
        ([0.5, 0.9, 0.6, 0.9], 0.7, 50),  # the first time counts, though it falls back
        ([0.5, 0.5, 0.5, 0.9], 0.7, 300),
        ([0.5, 0.6, 0.7, 0.9], np.nan, np.nan),
        ([0.5, 0.6, np.nan, 0.9], 0.55, np.nan),
        ([0.5, 0.6, 0.7, 0.9], np.inf, np.inf),
    ],
)
def test_target_is_reached_on_the_line_between_evaluations(scores: list[float], target: float, steps: float) -> None:
    np.testing.assert_allclose(reached(scores, target), steps, atol=1e-9)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(0, 1))
def test_a_curve_stands_at_its_target_when_it_first_reaches_it(scores: list[float], target: float) -> None:
    steps = reached(scores, target)
    fine = np.linspace(0, 400, 4001)
    before = np.interp(fine[fine < steps - 1e-6], STEPS, scores)
    assert (before < target + 1e-9).all()
    if np.isfinite(steps):
        assert np.interp(steps, STEPS, scores) >= target - 1e-4


def test_curves_in_columns_do_not_see_each_other() -> None:
    rng = np.random.default_rng(1)
    scores, targets = rng.random((4, 50)), rng.random(50)
    scores[2, 7] = np.nan
    together = first_reached(STEPS, scores, targets)
    alone = [reached(curve.tolist(), target) for curve, target in zip(scores.T, targets, strict=True)]
    np.testing.assert_allclose(together, alone)


@pytest.mark.parametrize("axis", [[0.0, 200, 100, 400], [0.0, 100, 100, 400], [0.0, 100, 200]])
def test_curves_that_do_not_fit_their_steps_are_refused(axis: list[float]) -> None:
    with pytest.raises(ValueError, match="do not make curves"):
        first_reached(np.array(axis), np.zeros((4, 2)), np.zeros(2))


def test_share_of_gain_starts_at_chance() -> None:
    np.testing.assert_allclose(share_of_gain(np.array([[0.5], [0.9], [0.7]]), 0.95), [0.69])


def test_a_network_that_learns_nothing_does_not_win() -> None:
    scores = np.array([[0.5, 0.5, 0.5], [0.6, 0.4, 0.5], [0.7, 0.4, 0.5], [0.9, 0.3, 0.5]])
    steps = first_reached(STEPS, scores, share_of_gain(scores, 0.95))
    np.testing.assert_allclose(steps, [380, np.inf, np.inf])


def test_censored_runs_count_with_the_horizon() -> None:
    runs = np.array([[100.0, np.inf], [np.inf, np.inf], [300, 900]])
    np.testing.assert_allclose(restricted_mean_steps(runs, 400), [800 / 3, 400])
    assert np.isnan(restricted_mean_steps(np.array([[100.0], [np.nan]]), 400)).all()


def test_kaplan_meier_by_hand() -> None:
    steps, share = kaplan_meier(np.array([100, np.inf, 100, 300, np.inf]), 400)
    np.testing.assert_allclose(steps, [0, 100, 300, 400])
    np.testing.assert_allclose(share, [1, 0.6, 0.4, 0.4])


RUNS = st.lists(st.integers(1, 12).map(lambda tenth: tenth * 50.0) | st.just(np.inf), min_size=1, max_size=12)


@given(RUNS)
def test_kaplan_meier_equals_scipy_with_censored_data(runs: list[float]) -> None:
    times, horizon = np.array(runs), 400.0
    reference = ecdf(CensoredData(times[times <= horizon], right=np.full((times > horizon).sum(), horizon))).sf
    steps, share = kaplan_meier(times, horizon)
    np.testing.assert_allclose(share[:-1], reference.evaluate(steps[:-1]), atol=1e-12)


@given(RUNS)
def test_restricted_mean_is_the_area_under_kaplan_meier(runs: list[float]) -> None:
    steps, share = kaplan_meier(np.array(runs), 400)
    area = np.sum(np.diff(steps) * share[:-1])
    np.testing.assert_allclose(restricted_mean_steps(np.array(runs)[:, None], 400), area)


@pytest.mark.parametrize(("runs", "share"), [([np.inf, np.inf], [1, 1]), ([0.0, 0.0], [1, 0, 0])])
def test_all_runs_may_be_censored_or_start_at_their_target(runs: list[float], share: list[float]) -> None:
    assert kaplan_meier(np.array(runs), 400)[1].tolist() == share


def test_a_run_without_a_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="without a curve"):
        kaplan_meier(np.array([100, np.nan]), 400)
