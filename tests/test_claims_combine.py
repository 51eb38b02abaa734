"""What contrasts say together: in a task, over many decisions, as a pattern, and over tasks."""

from math import nan
from typing import Any

import numpy as np
import pytest

from medtransfer.claims.combine import Outcome, Property, adjusted, in_task, over_tasks, pattern
from medtransfer.claims.contrast import Effect
from medtransfer.claims.decision import Decision
from medtransfer.claims.schema import Contrast

SPREAD = np.random.default_rng(0).standard_normal(2000)
YES, NO = Decision("supported", 0.01, 1.0), Decision("contradicted", 1.0, 0.02)
OPEN, ABSENT, MISSING = (
    Decision("inconclusive", 0.4, 1.0),
    Decision("not asked", 1.0, 1.0),
    Decision("not run", 1.0, 1.0),
)


@pytest.mark.parametrize(
    ("contrasts", "together", "either"),
    [
        ([YES, YES], "supported", "supported"),
        ([YES, OPEN], "inconclusive", "supported"),
        ([YES, NO], "contradicted", "supported"),
        ([NO, NO], "contradicted", "contradicted"),
        ([OPEN, NO], "contradicted", "inconclusive"),
        ([MISSING, NO], "contradicted", "not run"),
        ([MISSING, YES], "not run", "supported"),
        ([ABSENT, YES], "not asked", "supported"),
        ([ABSENT, OPEN], "not asked", "inconclusive"),
        ([ABSENT, NO], "contradicted", "contradicted"),
        ([ABSENT, MISSING], "not asked", "not run"),
        ([ABSENT, ABSENT], "not asked", "not asked"),
    ],
)
def test_all_contrasts_must_hold_or_any(contrasts: list[Decision], together: str, either: str) -> None:
    assert in_task(contrasts).verdict == together
    assert in_task(contrasts, "any").verdict == either


def test_the_weakest_supports_all_and_the_strongest_contradicts_as_often_as_there_are_chances() -> None:
    weak = Decision("supported", 0.04, 1.0)
    assert in_task([YES, weak, YES]).p == 0.04
    assert in_task([YES, NO, OPEN]).p == pytest.approx(3 * 0.02)
    assert in_task([YES, weak, OPEN], "any").p == pytest.approx(3 * 0.01)
    assert in_task([NO, Decision("contradicted", 1.0, 0.03)], "any").p == 0.03
    assert np.isnan(in_task([MISSING, YES]).p)


def test_decisions_that_do_not_survive_their_number_become_inconclusive_and_say_so() -> None:
    outcomes = {
        "sure": Outcome("supported", 0.001),
        "lucky": Outcome("contradicted", 0.02),
        "open": Outcome("inconclusive", 0.6),
        "absent": Outcome("not asked"),
    }
    after = adjusted(outcomes, 0.05)
    assert {name: each.verdict for name, each in after.items()} == {
        "sure": "supported",
        "lucky": "contradicted",
        "open": "inconclusive",
        "absent": "not asked",
    }
    assert [each.p_adjusted for each in after.values()] == pytest.approx([0.003, 0.04, 0.6, nan], nan_ok=True)
    more = adjusted(outcomes | {"another": Outcome("inconclusive", 0.5)}, 0.05)["lucky"]
    assert more.verdict == "inconclusive" and more.p_adjusted == pytest.approx(0.06)
    assert more.note == "Contradicted before Holm's adjustment for 4 decisions."
    assert more.otherwise == "Contradicted had its p-value been 0.013 or less."


def prop(
    low: float, high: float, expect: dict[str, Any], benefit: Any = None, verdict: Any = "inconclusive"
) -> Property:
    terms = [
        {"weight": 1.0, "backbone": "large", "upstream": "broad"},
        {"weight": -1.0, "backbone": "small", "upstream": "narrow"},
    ]
    declared = Contrast.model_validate(
        {"name": "c", "text": "", "terms": terms, "expect": expect, **({"benefit": benefit} if benefit else {})}
    )
    size = (low + high) / 2
    return Property(declared, Effect(size, low, high, size + SPREAD * (high - low) / 8), verdict)


def absent(verdict: Any) -> Property:
    return prop(0, 0, {"greater": 0.0}, verdict=verdict)._replace(effect=None)


GAINS = prop(0.1, 0.2, {"greater": 0.0})
LESS_ERROR = prop(-0.2, -0.1, {"differs": 0.05}, "less")
MORE_ERROR = prop(0.1, 0.2, {"differs": 0.05}, "less")
EQUAL = prop(-0.02, 0.02, {"differs": 0.05}, "greater")
TRIVIAL = prop(0.01, 0.03, {"differs": 0.05}, "greater")
NOT_BETTER = prop(-0.3, 0.04, {"differs": 0.05}, "greater")
UNDECIDED = prop(-0.1, 0.2, {"differs": 0.05}, "greater")


@pytest.mark.parametrize(
    ("properties", "verdict"),
    [
        ([GAINS, MORE_ERROR], "supported"),
        ([GAINS, EQUAL, UNDECIDED], "supported"),
        ([LESS_ERROR, TRIVIAL], "supported"),
        ([LESS_ERROR, NOT_BETTER, absent("not run")], "supported"),
        ([GAINS, LESS_ERROR], "contradicted"),
        ([EQUAL, MORE_ERROR, NOT_BETTER], "contradicted"),
        ([GAINS, LESS_ERROR, absent("not asked")], "contradicted"),
        ([GAINS, LESS_ERROR, UNDECIDED], "inconclusive"),
        ([UNDECIDED, UNDECIDED], "inconclusive"),
        ([GAINS, LESS_ERROR, absent("not run")], "not run"),
        ([GAINS, absent("not asked")], "not asked"),
    ],
)
def test_a_pattern_needs_some_with_a_benefit_and_some_without(properties: list[Property], verdict: str) -> None:
    outcome = pattern({f"S{number}": each for number, each in enumerate(properties)})
    assert outcome.verdict == verdict
    assert verdict.startswith("not") or outcome.otherwise


def test_a_pattern_says_what_each_property_showed() -> None:
    outcome = pattern({"S2": GAINS, "S3": EQUAL, "S4": UNDECIDED, "S5": absent("not asked")})
    assert outcome.note == "S2: a benefit; S3: none; S4: undecided; S5: not asked."
    assert 0 < outcome.p < 0.05


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (["supported", "supported"], "supported"),
        (["not run", "not run"], "not run"),
        (["contradicted", "inconclusive"], "contradicted"),
        (["contradicted", "not run"], "contradicted"),
        (["supported", "contradicted"], "inconclusive"),
        (["supported", "not run"], "inconclusive"),
        (["supported", "not asked"], "supported"),
        (["not asked", "not asked"], "not asked"),
        ([], "not asked"),
    ],
)
def test_a_claim_holds_only_where_it_holds_in_every_task_that_asks(tasks: list[Any], expected: str) -> None:
    assert over_tasks(tasks) == expected
