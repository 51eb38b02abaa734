"""Claims in verification: a verdict may change at its threshold, and nowhere else."""

from typing import Any

import pandas as pd
import pytest

from medtransfer.review.verify_claims import claim_rows, paired
from medtransfer.review.verify_rows import Row

CONTRAST: dict[str, Any] = {
    **{
        "claim": "S2",
        "study": "scale",
        "task": "chest",
        "contrast": "gain",
        "text": "Scale helps.",
        "source": "[seen]",
    },
    **{"metric": "auc", "where": "id", "subgroup": "all", "cohorts": "chexpert", "expected": "greater"},
    **{"effect": 0.03, "ci_low": 0.01, "ci_high": 0.05, "threshold_low": 0.0, "threshold_high": None, "n": 200.0},
    **{"n_seeds": 2.0, "runs": "+1 a; -1 b", "p": 0.01, "p_adjusted": None, "verdict": "supported"},
    **{"note": "Invented.", "otherwise": "No longer."},
}
UNMEASURED = ["metric", "where", "subgroup", "cohorts", "expected", "effect", "ci_low", "ci_high", "threshold_low"]
ABSENT = dict.fromkeys([*UNMEASURED, "n", "n_seeds", "runs"])
TOGETHER = {**CONTRAST, **ABSENT, "contrast": "all", "p_adjusted": 0.03}


def compare(
    contrast: dict[str, Any], together: dict[str, Any] | None = None, bits: bool = False, level: float = 0.05
) -> dict[str, Row]:
    """The row of each contrast, against that which a claim was frozen with."""
    frozen, now = pd.DataFrame([CONTRAST, TOGETHER]), [{**CONTRAST, **contrast}, {**TOGETHER, **(together or {})}]
    rows = claim_rows(paired(frozen, pd.DataFrame(now)), bits, 0.95, level)
    return {f"{row.subject}: {row.quantity}": row for row in rows}


def test_a_verdict_that_changed_with_an_effect_that_agrees_stands_at_its_threshold():
    changed = {"effect": 0.012, "ci_low": -0.008, "ci_high": 0.032, "verdict": "inconclusive"}
    rows = compare(changed, {"verdict": "inconclusive", "p_adjusted": 0.2})
    row = rows["S2/chest/gain: verdict and effect"]
    assert (row.verdict, row.applied) == ("agrees", "agreement")
    assert row.reason == "its effect agrees: the verdict stands at the threshold 0"
    # Half the interval, 0.02, is 1.96 standard deviations; two such effects differ by 1.96 times the root of two of it.
    assert row.tolerance == pytest.approx(0.02 * 2**0.5)
    both = rows["S2/chest/all: verdict"]
    assert both.verdict == "agrees" and "(0.03 and 0.2)" in both.reason


@pytest.mark.parametrize("verdict", ["supported", "contradicted"])
def test_an_effect_outside_deviates_whatever_the_verdict(verdict: str):
    rows = compare({"effect": 0.03 + 0.0283 * 1.01, "verdict": verdict}, {"verdict": verdict})
    assert rows["S2/chest/gain: verdict and effect"].verdict == "deviates"
    together = rows["S2/chest/all: verdict"]
    assert together.verdict == ("agrees" if verdict == "supported" else "deviates")


def test_the_more_is_compared_the_more_one_effect_may_differ():
    changed = {"effect": 0.06}
    strict, mild = (compare(changed, level=level)["S2/chest/gain: verdict and effect"] for level in (0.05, 0.001))
    assert (strict.verdict, mild.verdict) == ("deviates", "agrees")


def test_what_is_not_judged_any_more_deviates():
    row = compare({"effect": None, "verdict": "not run"})["S2/chest/gain: verdict and effect"]
    assert (row.verdict, row.reason) == ("deviates", "it was judged otherwise")


@pytest.mark.parametrize("bits", [True, False])
@pytest.mark.parametrize(("column", "value"), [("threshold_low", 0.01), ("expected", "less"), ("text", "Scale harms.")])
def test_a_claim_that_was_asked_otherwise_deviates(column: str, value: Any, bits: bool):
    row = compare({column: value}, bits=bits)[f"S2/chest/gain: {column}"]
    assert (row.verdict, row.reason) == ("deviates", "it was asked otherwise")


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("effect", 0.030001, "verdict and effect"),
        ("verdict", "inconclusive", "verdict and effect"),
        ("ci_low", 0.0101, "ci_low"),
        ("p", 0.02, "p"),
        ("runs", "+1 a; -1 c", "runs"),
        ("otherwise", "", "otherwise"),
    ],
)
def test_of_the_same_bits_everything_is_the_same(column: str, value: Any, named: str):
    assert {row.verdict for row in compare({}, bits=True).values()} == {"identical"}
    deviating = {key for key, row in compare({column: value}, bits=True).items() if not row.passes}
    assert deviating == {f"S2/chest/gain: {named}"}


def test_claims_that_only_one_side_has_are_named():
    frozen, now = pd.DataFrame([CONTRAST]), pd.DataFrame([{**CONTRAST, "claim": "S9"}])
    rows = claim_rows(paired(frozen, now), False, 0.95, 0.05)
    assert [(row.subject, row.verdict) for row in rows] == [("S2/chest/gain", "missing"), ("S9/chest/gain", "extra")]
