"""What contrasts say together: in a task, over all decisions of a study, and over the tasks of a claim."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from medtransfer.claims.contrast import Effect
from medtransfer.claims.decision import Decision, Verdict, is_inside, p_inside
from medtransfer.claims.schema import Contrast
from medtransfer.metrics.significance import holm

Place = TypeVar("Place", bound=Hashable)


@dataclass(frozen=True)
class Outcome:
    """A claim in a task; p and p_adjusted (after Holm's method) are NaN where nothing was measured."""

    verdict: Verdict
    p: float = nan
    p_adjusted: float = nan
    note: str = ""
    otherwise: str = ""


class Property(NamedTuple):
    """A contrast as one of those that a pattern is about."""

    contrast: Contrast
    effect: Effect | None
    verdict: Verdict


def in_task(contrasts: Sequence[Decision], holds: Literal["all", "any"] = "all") -> Outcome:
    """Of a claim's contrasts in one task.

    If all must hold, the claim is supported when each of them is: no correction is due, the largest p-value counts
    (intersection-union test: Berger 1982, Technometrics 24: 295). It is contradicted when one of them is, which has as
    many chances as there are contrasts: the smallest p-value counts, times their number (Bonferroni). Otherwise it is
    not asked, or not run, when one of them is.

    If any may hold, support and contradiction change places, and contrasts that the study does not ask for are left
    out unless it asks for none.
    """
    if holds == "any":
        asked = [each for each in contrasts if each.verdict != "not asked"] or contrasts
        outcome = in_task([Decision(opposite(each.verdict), each.contradicting, each.supporting) for each in asked])
        return replace(outcome, verdict=opposite(outcome.verdict))
    verdicts = [each.verdict for each in contrasts]
    supporting = max(each.supporting for each in contrasts)
    contradicting = min(1.0, len(contrasts) * min(each.contradicting for each in contrasts))
    if "contradicted" in verdicts:
        return Outcome("contradicted", contradicting)
    for absent in ("not asked", "not run"):
        if absent in verdicts:
            return Outcome(absent)
    if set(verdicts) == {"supported"}:
        return Outcome("supported", supporting)
    return Outcome("inconclusive", min(supporting, contradicting))


def opposite(verdict: Verdict) -> Verdict:
    """Support and contradiction change places."""
    changed: dict[Verdict, Verdict] = {"supported": "contradicted", "contradicted": "supported"}
    return changed.get(verdict, verdict)


def adjusted(outcomes: Mapping[Place, Outcome], alpha: float) -> dict[Place, Outcome]:
    """The outcomes after Holm's method over all that were judged, decided or not.

    Those whose adjusted p-value exceeds alpha become inconclusive: the chance that any of the verdicts that remain is
    wrong is at most alpha. An undecided outcome counts with the smaller of its two p-values; of two verdicts only one
    can be wrong at a time.
    """
    p_values = holm(np.array([outcome.p for outcome in outcomes.values()]))
    decisions = int((~np.isnan(p_values)).sum())
    result = {}
    for (place, outcome), p_adjusted in zip(outcomes.items(), p_values, strict=True):
        after = replace(outcome, p_adjusted=float(p_adjusted))
        if outcome.verdict in ("supported", "contradicted") and p_adjusted > alpha:
            before = outcome.verdict.capitalize()
            note = f"{outcome.note} {before} before Holm's adjustment for {decisions} decisions.".strip()
            enough = f"{before} had its p-value been {alpha / decisions:.2g} or less."
            after = replace(after, verdict="inconclusive", note=note, otherwise=enough)
        result[place] = after
    return result


def pattern(properties: Mapping[str, Property]) -> Outcome:
    """Whether in a task some properties show a benefit and some show none.

    A property shows a benefit when its interval lies on the good side and not within the margin of what matters, and
    none when it leaves out every benefit larger than that margin. Supported when one of each is shown; each has as many
    chances as there are properties, so that its smallest p-value counts times their number. Contradicted when all show
    a benefit, or all show none: there the largest p-value counts. Properties that the study does not ask for are left
    out; those that were not run stand in the way of "all" alone.
    """
    asked = {name: each for name, each in properties.items() if each.verdict != "not asked"}
    if len(asked) < 2:
        return Outcome("not asked")
    benefit, none, states = {}, {}, {name: str(each.verdict) for name, each in properties.items()}
    for name, (contrast, effect, _) in asked.items():
        if effect is None:
            continue
        states[name] = "undecided"
        if is_inside(effect, [contrast.good]) and not is_inside(effect, contrast.expect.contradicting):
            benefit[name], states[name] = p_inside(effect, [contrast.good]), "a benefit"
        elif is_inside(effect, contrast.no_good):
            none[name], states[name] = p_inside(effect, contrast.no_good), "none"
    note = "; ".join(f"{name}: {state}" for name, state in states.items()) + "."
    if benefit and none:
        p = min(1.0, len(asked) * max(min(benefit.values()), min(none.values())))
        few = "no benefit" if len(none) > len(benefit) else "a benefit"
        return Outcome("supported", p, note=note, otherwise=f"Contradicted had all of them shown {few}.")
    shown = benefit or none
    if len(shown) == len(asked):
        other = "no benefit" if benefit else "a benefit"
        return Outcome("contradicted", max(shown.values()), note=note, otherwise=f"Supported had one shown {other}.")
    if any(each.verdict == "not run" for each in asked.values()):
        return Outcome("not run", note=note)
    lacking = " and ".join(["one a benefit"] * (not benefit) + ["one none"] * (not none))
    return Outcome("inconclusive", 1.0, note=note, otherwise=f"Supported had {lacking} been shown.")


def over_tasks(tasks: Sequence[Verdict]) -> Verdict:
    """Of a claim in all tasks: their common verdict; contradicted if it is in one and supported in none.

    Everything else, such as tasks that disagree or of which some were not run, is inconclusive. Tasks in which the
    study does not ask are left out, unless it asks in none.
    """
    asked = [verdict for verdict in tasks if verdict != "not asked"]
    if len(set(asked)) <= 1:
        return asked[0] if asked else "not asked"
    return "contradicted" if "contradicted" in asked and "supported" not in asked else "inconclusive"
