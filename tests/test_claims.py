"""A contrast's interval, and the verdict that follows from it: on cases with a known answer."""

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from medtransfer.claims.combine import adjusted, in_task
from medtransfer.claims.contrast import Cell, Curve, Effect, contrast, degrees_of_freedom, share_needed
from medtransfer.claims.decision import decide, otherwise
from medtransfer.claims.schema import Expectation
from medtransfer.metrics.significance import p_value

SPREAD = np.random.default_rng(0).standard_normal(2000)


def effect(low: float, high: float, freedom: float = inf) -> Effect:
    """An effect with these bounds, in the middle of them, and replicates to match."""
    size = (low + high) / 2
    return Effect(size, low, high, size + SPREAD * (high - low) / 3.92, freedom)


# --- the interval --------------------------------------------------------------------------------------------------


def test_contrast_without_seeds_is_the_percentile_interval_of_paired_differences() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.random((1, 400)), rng.random((1, 400))
    got = contrast([Cell(1, np.array([0.8]), one), Cell(-0.5, np.array([0.6]), other)], 0.9, rng)
    assert got.size == pytest.approx(0.5)
    assert (got.low, got.high) == pytest.approx(tuple(np.quantile(one - 0.5 * other, [0.05, 0.95])))
    assert got.freedom == inf


def test_what_all_networks_find_hard_in_a_draw_of_patients_cancels() -> None:
    common = np.random.default_rng(0).normal(scale=0.2, size=(1, 500))
    cells = [Cell(1, np.array([0.8]), 0.8 + common), Cell(-1, np.array([0.7]), 0.7 + common)]
    assert contrast(cells, 0.95, np.random.default_rng(0))[:3] == pytest.approx((0.1, 0.1, 0.1))


def test_spread_over_seeds_alone_gives_the_interval_of_students_t() -> None:
    values = stats.norm.ppf((np.arange(30) + 0.5) / 30)
    cell = Cell(1, values, np.repeat(values[:, None], 20_000, axis=1))
    got = contrast([cell], 0.95, np.random.default_rng(2))
    low, high = stats.t.interval(0.95, 29, values.mean(), stats.sem(values))
    assert got.freedom == pytest.approx(29, rel=0.05)
    assert (got.low, got.high) == pytest.approx((low, high), abs=0.02)


def test_degrees_of_freedom_are_welchs_for_two_cells() -> None:
    """Welch 1947: the t-test for unequal variances has the same approximation."""
    rng = np.random.default_rng(3)
    one, other = rng.normal(0, 1, 4), rng.normal(0, 3, 6)
    parts = one.var(ddof=1) / 4, other.var(ddof=1) / 6
    cells = [Cell(1, one, one[:, None]), Cell(-1, other, other[:, None])]
    expected = stats.ttest_ind(one, other, equal_var=False).df
    assert degrees_of_freedom(cells, np.sqrt(sum(parts))) == pytest.approx(expected)


def test_an_interval_needs_defined_replicates() -> None:
    undefined = np.where(np.arange(100) < 60, np.nan, 0.5)[None]
    got = contrast([Cell(1, np.array([0.5]), undefined)], 0.95, np.random.default_rng(0))
    assert got.size == 0.5 and np.isnan([got.low, got.high]).all()


def curve(surplus: float, spread: float, draws: int = 999) -> Curve:
    """A curve over four fractions that rises by 0.1 each, and a target so much below its end, in noisy draws."""
    noise = spread * np.append(0, SPREAD[:draws])
    scores = np.array([0.5, 0.6, 0.7, 0.8])[:, None] + noise
    return Curve(np.array([0.1, 0.2, 0.5, 1.0]), scores, np.full(draws + 1, 0.8 - surplus))


def test_share_needed_lies_on_the_line_in_the_logarithm_and_may_be_out_of_reach() -> None:
    got = share_needed(curve(0.15, 0.01), 0.95)
    assert got.size == pytest.approx(np.sqrt(0.2 * 0.5)) and got.low < got.size < got.high < 0.5
    half = share_needed(curve(0.01, 0.02), 0.95)
    assert half.high == inf and decide(half, Expectation(less=1.0)).verdict == "inconclusive"


@pytest.mark.parametrize("threshold", [0.15, 0.2, 0.3, 0.5, 0.9, 1.0])
def test_less_than_a_share_is_tested_by_what_the_curve_has_over_its_target_there(threshold: float) -> None:
    noisy = curve(0.15, 0.05)
    got, decision = share_needed(noisy, 0.95), decide(share_needed(noisy, 0.95), Expectation(less=threshold))
    over = np.interp(np.log(threshold), np.log(noisy.fractions), noisy.scores[:, 0]) - 0.65
    p = p_value(over, over + noisy.scores[0, 1:] - 0.5, 0.0)
    assert (decision.supporting if got.size < threshold else decision.contradicting) == pytest.approx(p)


# --- the verdict ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "greater", "less", "differs", "within"),
    [
        (0.2, 0.4, "supported", "contradicted", "supported", "inconclusive"),
        (-0.4, -0.2, "contradicted", "supported", "supported", "contradicted"),
        (-0.1, 0.2, "inconclusive", "inconclusive", "inconclusive", "contradicted"),
        (-0.05, 0.05, "inconclusive", "inconclusive", "contradicted", "contradicted"),
        (0.02, 0.08, "supported", "contradicted", "contradicted", "contradicted"),  # an effect too small to matter
        (0.02, 0.3, "supported", "contradicted", "supported", "inconclusive"),
        (0.0, 0.1, "inconclusive", "inconclusive", "inconclusive", "contradicted"),  # bounds at a threshold
        (-0.1, 0.1, "inconclusive", "inconclusive", "inconclusive", "contradicted"),
        (0.5, 0.6, "supported", "contradicted", "supported", "inconclusive"),  # and at that of a range
        (0.55, 0.59, "supported", "contradicted", "supported", "supported"),
        (0.7, 0.8, "supported", "contradicted", "supported", "contradicted"),
        (nan, nan, "inconclusive", "inconclusive", "inconclusive", "inconclusive"),
    ],
)
def test_an_interval_decides_only_when_it_leaves_the_threshold_out(
    low: float, high: float, greater: str, less: str, differs: str, within: str
) -> None:
    expectations: dict[str, Any] = {"greater": 0.0, "less": 0.0, "differs": 0.1, "within": [0.3, 0.6]}
    found = {kind: decide(effect(low, high), Expectation(**{kind: x})).verdict for kind, x in expectations.items()}
    assert found == {"greater": greater, "less": less, "differs": differs, "within": within}


def test_what_is_never_reached_contradicts_that_little_suffices() -> None:
    never = share_needed(curve(-0.2, 0.01), 0.95)
    assert never[:3] == (inf, inf, inf)
    decision = decide(never, Expectation(less=1.0))
    assert decision.verdict == "contradicted" and decision.p < 1e-6
    assert decide(never, Expectation(within=[0.3, 0.6])).verdict == "contradicted"
    assert otherwise(never, Expectation(less=1.0), "contradicted")


def test_replicates_that_do_not_vary_are_counted() -> None:
    """Davison & Hinkley 1997: the observed one counts among them, so that no p-value is zero."""
    same = Effect(0.2, 0.2, 0.2, np.full(999, 0.2))
    assert decide(same, Expectation(greater=0.0)).p == pytest.approx(2 / 1000)
    assert decide(Effect(0.0, 0.0, 0.0, np.zeros(999)), Expectation(greater=0.0)).p == 1


@given(st.floats(-1, 1), st.floats(0.001, 1))
def test_p_values_agree_with_the_normal_test_and_with_the_interval(size: float, width: float) -> None:
    got = effect(size - width, size + width)
    above, below = decide(got, Expectation(greater=0.0)), decide(got, Expectation(less=0.0))
    if size > 0:
        assert above.supporting == pytest.approx(p_value(got.size, got.replicates, 0.0))
    assert (above.supporting, above.contradicting) == (below.contradicting, below.supporting)
    two = decide(got, Expectation(differs=0.1))
    sides = [p_value(got.size, got.replicates, margin) for margin in (-0.1, 0.1)]
    assert two.contradicting == pytest.approx(max(sides) if abs(got.size) < 0.1 else 1.0)


def test_few_seeds_need_more_to_be_as_sure() -> None:
    few, many = (decide(effect(0.1, 0.3, freedom), Expectation(greater=0.0)).p for freedom in (3, inf))
    assert few == pytest.approx(2 * stats.t.sf(0.2 / (SPREAD.std(ddof=1) * 0.2 / 3.92), 3))
    assert few > 5 * many


# --- what would have changed it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [{"greater": 0.05}, {"less": 0.4}, {"differs": 0.1}, {"within": [0.0, 0.9]}])
def test_a_supported_effect_that_is_moved_as_said_is_no_longer_so(expected: Any) -> None:
    got, declared = effect(0.1, 0.3), Expectation(**expected)
    words = otherwise(got, declared, "supported").split()
    step = float(words[words.index("been") + 1]) * (-1 if "lower" in words else 1)
    for share, verdict in ((0.99, "supported"), (1.01, "inconclusive")):
        moved = effect(0.1 + share * step, 0.3 + share * step)
        assert decide(moved, declared).verdict == verdict


@pytest.mark.parametrize("low", [-0.15, -0.05])
def test_an_undecided_effect_is_decided_where_the_sentence_says(low: float) -> None:
    got, declared = effect(low, low + 0.2), Expectation(greater=0.0)
    sentence = otherwise(got, declared, "inconclusive")
    needed = float(sentence.split("above ")[1].split()[0])
    assert decide(effect(needed - 0.099, needed + 0.101), declared).verdict == "supported"
    assert decide(effect(needed - 0.101, needed + 0.099), declared).verdict == "inconclusive"
    factor = float(sentence.split("about ")[1].split()[0])
    half, verdict = 0.1 / np.sqrt(1.05 * factor), "contradicted" if got.size < 0 else "supported"
    assert verdict in sentence and decide(effect(got.size - half, got.size + half), declared).verdict == verdict


def test_a_range_that_is_narrower_than_the_interval_can_be_met_by_no_effect() -> None:
    assert "by no effect" in otherwise(effect(0.1, 0.9), Expectation(within=[0.3, 0.6]), "inconclusive")


# --- errors under the null -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("patients", "seeds"), [(1.0, 0.0), (1.0, 0.15), (0.05, 0.5)])
def test_of_null_effects_about_one_in_twenty_is_decided_and_hardly_any_family(patients: float, seeds: float) -> None:
    """Two cells of three seeds; scores of 80 patients differ between runs, and seeds differ by luck."""
    rng = np.random.default_rng(5)
    decisions = []
    for _ in range(400):
        scores = patients * rng.standard_normal((2, 3, 80)) + seeds * rng.standard_normal((2, 3, 1))
        drawn = rng.multinomial(80, np.full(80, 1 / 80), size=200) / 80
        cells = [Cell(w, one.mean(axis=1), one @ drawn.T) for w, one in zip((1, -1), scores, strict=True)]
        decisions.append(decide(contrast(cells, 0.95, rng), Expectation(greater=0.0)))
    wrong = np.mean([each.verdict != "inconclusive" and each.p <= 0.05 for each in decisions])
    assert wrong <= 0.075
    families = [adjusted({i: in_task([each]) for i, each in enumerate(decisions[j::20])}, 0.05) for j in range(20)]
    assert sum(any(one.verdict != "inconclusive" for one in family.values()) for family in families) <= 3
