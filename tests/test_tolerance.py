"""Tolerances: against simulations in which chance alone is at work, and against other ways to compute them."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medtransfer.review import tolerance
from medtransfer.review.tolerance import Spread, run_tolerance

CELL, POOL = ["cell", "cohort"], ["cohort"]


def table(values: np.ndarray, cohort: str = "chexpert") -> pd.DataFrame:
    """Values [cells, seeds] as rows."""
    return pd.DataFrame(
        [{"cell": cell, "cohort": cohort, "value": value} for cell, row in enumerate(values) for value in row]
    )


def test_the_pooled_spread_is_the_residual_standard_error_of_a_one_way_analysis_of_variance():
    groups = [np.array([0.70, 0.72]), np.array([0.80, 0.83, 0.78]), np.array([0.60, 0.61])]
    rows = pd.concat([table(group[None]).assign(cell=number) for number, group in enumerate(groups)], ignore_index=True)
    residuals = np.concatenate([group - group.mean() for group in groups])
    freedom = residuals.size - len(groups)
    found = tolerance.pooled_spread(rows, CELL, POOL)["chexpert",]
    assert found.sd == pytest.approx(math.sqrt((residuals**2).sum() / freedom))
    assert found.freedom == freedom


def test_pools_are_kept_apart_and_values_that_are_undefined_left_out():
    rows = pd.concat([table(np.array([[0.1, 0.3]])), table(np.array([[0.1, 0.9, np.nan]]), "nih_cxr14")])
    found = tolerance.pooled_spread(rows, CELL, POOL)
    assert found["chexpert",] == (pytest.approx(0.2 / math.sqrt(2)), 1)
    assert found["nih_cxr14",] == (pytest.approx(0.8 / math.sqrt(2)), 1)


@pytest.mark.parametrize("values", [[[0.7], [0.8]], [[0.7, 0.7], [0.8, 0.8]]])
def test_one_seed_everywhere_or_seeds_that_never_differ_say_nothing_of_chance(values: list[list[float]]):
    assert tolerance.pooled_spread(table(np.array(values)), CELL, POOL) == {}


def test_patients_alone_are_left_where_there_is_no_seed_spread_and_the_basis_says_so():
    found = run_tolerance(None, 0.02, True, 0.05)
    assert found.width == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(2) * 0.02)
    assert "no seed spread" in found.basis


def test_nothing_is_allowed_where_nothing_is_known():
    assert run_tolerance(None, math.nan, True, 0.05).width == 0


def test_an_unknown_interval_takes_nothing_from_what_is_known_of_seeds():
    assert run_tolerance(Spread(0.01, 5), math.nan, False, 0.05).width == pytest.approx(
        run_tolerance(Spread(0.01, 5), 0.02, True, 0.05).width
    )


def test_the_level_of_each_makes_the_family_error_of_independent_comparisons():
    level = tolerance.level_of_each(300, 0.05)
    assert 1 - (1 - level) ** 300 == pytest.approx(0.05)
    assert tolerance.level_of_each(0) == pytest.approx(0.05)


@pytest.mark.parametrize("same_images", [True, False])
def test_chance_alone_puts_a_table_outside_as_rarely_as_stated(same_images: bool):
    rng = np.random.default_rng(3)
    tables, cells, seeds, training, patients = 800, 12, 3, 0.02, 0.03
    shape = (2, tables, cells, seeds)
    trained = rng.normal(0.8, training, shape)
    tested = np.zeros(shape) if same_images else rng.normal(0.0, patients, shape)
    gaps = np.abs(np.diff(trained + tested, axis=0)[0]).reshape(tables, -1)
    # What seeds of one cell differ by is training alone: they are tested on the same patients.
    names = np.indices(shape[1:]).reshape(3, -1).astype(str)
    frozen = pd.DataFrame({"cohort": names[0], "cell": names[1], "value": trained[0].ravel()})
    spreads = tolerance.pooled_spread(frozen, CELL, POOL)
    levels = tolerance.level_of_each(cells * seeds), 0.05
    narrow, usual = (
        np.array([run_tolerance(spreads[str(each),], patients, same_images, level).width for each in range(tables)])
        for level in levels
    )
    outside = (gaps > narrow[:, None]).any(axis=1).sum()
    assert stats.binomtest(int(outside), tables, 0.05, alternative="greater").pvalue > 0.001
    # Fewer than that, as what differs much widens the spread that it is held against; but not needlessly few.
    assert outside / tables > 0.01
    assert (gaps > usual[:, None]).mean() == pytest.approx(0.05, abs=0.01)


def test_degrees_of_freedom_grow_with_what_counts_as_known():
    seeds, both = (run_tolerance(Spread(0.02, 4), 0.02, same, 0.05) for same in (True, False))
    assert seeds.freedom == 4
    # Two equal variances, one of them known: (s² + b²)² / (s⁴ / 4) = 16.
    assert both.freedom == pytest.approx(16)


def test_the_deviation_behind_a_bootstrap_interval():
    drawn = np.random.default_rng(0).normal(0.8, 0.013, 200_000)
    low, high = np.quantile(drawn, [0.05, 0.95])
    assert tolerance.patient_sd(low, high, 0.9) == pytest.approx(0.013, rel=0.01)


def test_an_effect_may_differ_by_two_independent_draws_of_what_its_interval_holds():
    rng, hidden, sd = np.random.default_rng(5), 0.1, 0.02
    one, other = hidden + sd * rng.standard_normal((2, 20_000))
    half = stats.norm.ppf(0.975) * sd
    width = tolerance.effect_tolerance(-half, half, 0.95, 0.01).width
    assert (np.abs(one - other) > width).mean() == pytest.approx(0.01, abs=0.003)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_share_within_a_moved_tolerance(factor: float):
    drawn = np.abs(np.random.default_rng(1).standard_t(7, 400_000))
    within = (drawn <= factor * tolerance.quantile(0.05, 7)).mean()
    assert tolerance.share_within(factor, 0.05, 7) == pytest.approx(within, abs=0.003)


def test_at_most_as_many_outside_as_the_binomial_leaves_with_the_level():
    most = tolerance.most_outside(130, 0.05, 0.001)
    assert 1 - stats.binom.cdf(most, 130, 0.05) <= 0.001 < 1 - stats.binom.cdf(most - 1, 130, 0.05)


def test_seeds_of_one_cell_lie_outside_as_often_as_stated_and_single_seeds_are_not_counted():
    values = np.random.default_rng(2).normal(0.8, 0.02, (2000, 2))
    rows = pd.concat([table(values), table(np.array([[0.5]]), "nih_cxr14")])
    outside, pairs = tolerance.between_seeds(rows, CELL, POOL, 0.05)
    assert pairs == 2000
    assert outside / pairs == pytest.approx(0.05, abs=0.015)
