"""Differences between cells and the share of patients that a network needs, from results with known answers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtransfer.errors import UserError
from medtransfer.metrics.seeds import mean_over_seeds
from medtransfer.plotting.contrasts import baseline, curves, differences, fractions_needed, paired_by_seed
from medtransfer.results import Measured, Results, Study
from medtransfer.runs import CELL, budget_fraction
from tests.invented import STUDY

DRAWS = 400
CHEST: Study = {**STUDY, "tasks": {"chest5": {**STUDY["tasks"]["chest5"], "ood_cohorts": ["vindr_cxr"]}}}
BASELINE = ("chest5", "r14w16", "scenes-small", "pretrained", "rule", "pct100")
LARGE = ("chest5", "r26w64", "scenes-large", "pretrained", "rule", "pct100")
SCRATCH = ("chest5", "r26w64", "none", "random", "rule", "pct100")
Scores = dict[tuple[str, ...], dict[str, Any]]


def at(budget: str, cell: tuple[str, ...] = LARGE) -> tuple[str, ...]:
    return (*cell[:-1], budget)


def known(scores: Scores, study: Study = CHEST) -> Results:
    """Results of these cells: of each cohort an array [seeds, 1 + draws], or what broadcasts to one seed's."""
    values, replicates, seeds = {}, {}, {}
    for cell, cohorts in scores.items():
        for cohort, given in cohorts.items():
            drawn = np.atleast_2d(np.broadcast_to(given, np.broadcast_shapes(np.shape(given), (DRAWS + 1,))))
            seeds[cell] = list(range(len(drawn)))
            for seed, row in enumerate(drawn):
                values[*cell, seed, cohort, "auc", "all", "all"] = (float(row[0]), 100)
                replicates[*cell, seed, cohort, "auc", "all", "all"] = row[1:]
    runs = pd.DataFrame([dict(zip(CELL, cell, strict=True)) for cell in scores])
    runs = runs.assign(fraction=runs["budget"].map(budget_fraction), status="present", arms=[["scale"]] * len(runs))
    runs = pd.concat([runs.assign(seed=seed) for seed in range(max(map(len, seeds.values())))])
    return Results(study, runs.sort_values([*CELL[:3], "fraction"]), {}, seeds, values, replicates)


def both(scores: Any) -> dict[str, Any]:
    return {"chexpert": scores, "vindr_cxr": scores}


# --- Pooling and differences -----------------------------------------------------------------------------------------


def test_pooled_starts_with_the_plain_mean_and_has_the_interval_of_the_mean_over_seeds():
    rng = np.random.default_rng(0)
    measured = Measured(np.array([0.7, 0.8, 0.9]), rng.normal(0.8, 0.05, (3, 2000)), 100)
    whole = paired_by_seed(measured)
    mean, low, high = mean_over_seeds(measured.replicates, measured.values, 0.9, np.random.default_rng(1))
    assert whole.shape == (2001,)
    assert whole[0] == pytest.approx(mean) == pytest.approx(0.8)
    assert np.quantile(whole[1:], [0.05, 0.95]) == pytest.approx([low, high], abs=0.01)


def test_what_two_cells_share_in_a_draw_of_patients_cancels():
    patients = np.append(0, np.random.default_rng(0).normal(0, 0.1, DRAWS))
    results = known({LARGE: both([0.8 + patients, 0.82 + patients]), SCRATCH: both([0.7 + patients, 0.72 + patients])})
    rows = differences(results, [((LARGE, "chexpert"), (SCRATCH, "chexpert"))])
    assert list(rows["seed"]) == ["0", "1", "all"]
    assert rows["value"].tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert rows.loc[2, ["ci_low", "ci_high"]].tolist() == pytest.approx([0.1, 0.1])
    assert rows.loc[2, ["n_seeds", "n", "n_other"]].tolist() == [2, 100, 100]


def test_draws_of_two_cohorts_add_their_variances():
    rng = np.random.default_rng(1)
    one, other = (0.8 + np.append(0, rng.normal(0, spread, DRAWS)) for spread in (0.03, 0.04))
    rows = differences(
        known({LARGE: {"chexpert": one, "vindr_cxr": other}}), [((LARGE, "vindr_cxr"), (LARGE, "chexpert"))]
    )
    assert rows["cohort"].tolist() == ["vindr_cxr"] * 2
    width = (rows["ci_high"] - rows["ci_low"]).iloc[-1]
    assert width / (2 * 1.96) == pytest.approx(0.05, rel=0.15)


def test_cells_with_different_seeds_are_compared_by_the_seeds_that_both_have():
    rows = differences(
        known({LARGE: both([[0.8], [0.9], [1.0]]), SCRATCH: both([[0.7], [0.7]])}),
        [((LARGE, "chexpert"), (SCRATCH, "chexpert"))],
    )
    assert rows["seed"].tolist() == ["0", "1", "all"]
    assert rows["value"].tolist() == pytest.approx([0.1, 0.2, 0.2])
    assert rows["n_seeds"].iloc[-1] == 2


@pytest.mark.parametrize("scores", [{}, {SCRATCH: both(np.nan)}])
def test_a_comparison_with_what_was_not_measured_is_an_error_that_names_it(scores):
    with pytest.raises(UserError, match=r"chest5/r26w64/none/random/rule/pct100 is compared .* on chexpert"):
        differences(known({LARGE: both(0.8), **scores}), [((LARGE, "chexpert"), (SCRATCH, "chexpert"))])


# --- The share of patients that suffices -----------------------------------------------------------------------------


def curve(scores: list[Any], cell: tuple[str, ...] = LARGE) -> Scores:
    return {at(budget, cell): both(score) for budget, score in zip(["pct1", "pct10", "pct100"], scores, strict=True)}


def test_the_share_is_read_off_the_line_between_measured_shares():
    rows = fractions_needed(known({**curve([0.6, 0.7, 0.8]), BASELINE: both(0.75)}))
    assert rows["cohort"].tolist() == ["chexpert", "vindr_cxr"]
    assert rows["shift"].tolist() == ["id", "ood"]
    assert rows["needed"].tolist() == pytest.approx([10**-0.5] * 2)
    assert rows[["target", "smallest", "largest", "reached"]].iloc[0].tolist() == [0.75, 0.01, 1.0, 1.0]


def test_not_reached_and_at_most_the_smallest_are_answers():
    results = known({**curve([0.6, 0.7, 0.8]), **curve([0.9, 0.9, 0.9], SCRATCH), BASELINE: both(0.85)})
    rows = fractions_needed(results).set_index(["upstream", "cohort"])["needed"]
    assert rows["scenes-large", "chexpert"] == np.inf
    assert rows["none", "chexpert"] == 0.01


def test_a_dip_in_the_curve_is_smoothed():
    rows = fractions_needed(known({**curve([0.6, 0.8, 0.7]), BASELINE: both(0.75)}))
    assert rows["needed"].iloc[0] == pytest.approx(0.1)  # the last two points have the mean 0.75


def test_the_interval_holds_the_draws_in_which_it_is_not_reached():
    better = np.append(0.8, np.tile([0.7, 0.9], DRAWS // 2))
    rows = fractions_needed(known({**curve([0.6, 0.7, 0.8]), BASELINE: both(better)}))
    assert rows[["needed_low", "needed_high", "reached"]].iloc[0].tolist() == pytest.approx([0.1, np.inf, 0.5])


def test_draws_of_patients_that_move_curve_and_baseline_alike_leave_no_doubt():
    patients = np.append(0, np.random.default_rng(0).normal(0, 0.2, DRAWS))
    scores = curve([0.6 + patients, 0.7 + patients, 0.8 + patients])
    rows = fractions_needed(known({**scores, BASELINE: both(0.75 + patients)}))
    assert rows[["needed_low", "needed_high"]].iloc[0].tolist() == pytest.approx([10**-0.5] * 2)


def test_networks_with_one_share_have_no_curve():
    results = known({LARGE: both(0.8), BASELINE: both(0.7)})
    with pytest.raises(UserError, match=r"several fractions .* Add an arm `efficiency` with `fractions`"):
        curves(results)


def test_a_study_without_its_roles_has_no_baseline():
    with pytest.raises(UserError, match="`roles` do not name: narrow"):
        baseline("chest5", {**CHEST, "roles": {"small": "r14w16"}})
    assert baseline("chest5", CHEST) == BASELINE
    with pytest.raises(UserError, match="chest5/r14w16/scenes-small/pretrained/rule/pct100 is compared"):
        fractions_needed(known(curve([0.6, 0.7, 0.8])))
