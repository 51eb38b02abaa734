"""What an effect says of an expectation: a verdict, how surely, and what would have made it come out otherwise."""

from collections.abc import Sequence
from math import inf, isfinite
from typing import Literal, NamedTuple

import numpy as np

from medtransfer.claims.contrast import Effect
from medtransfer.claims.schema import Expectation, Region
from medtransfer.metrics.significance import p_value

Verdict = Literal["supported", "contradicted", "inconclusive", "not run", "not asked"]


class Decision(NamedTuple):
    """A verdict, and the p-values of the two that an effect can lead to."""

    verdict: Verdict
    supporting: float
    contradicting: float

    @property
    def p(self) -> float:
        """Of the verdict; where there is none, of the one that the effect is nearer to."""
        decided = {"supported": self.supporting, "contradicted": self.contradicting}
        return decided.get(self.verdict, min(self.supporting, self.contradicting))


def decide(effect: Effect, expected: Expectation) -> Decision:
    """Contradicted or supported when the interval lies wholly where the expectation says so; else inconclusive.

    `greater`, `less`: wholly beyond the threshold, or before it. `within`: wholly inside, or wholly on one side.
    `differs`: contradicted when the interval lies inside the margins, so that there is no effect that was declared to
    matter (two one-sided tests, Schuirmann 1987, J. Pharmacokin. Biopharm. 15: 657; here at the interval's confidence,
    which is stricter than the usual 1 - 2 alpha); else supported when it leaves zero out. An interval that ends at a
    threshold does not lie beyond it, and an effect without an interval decides nothing.
    """
    supporting, contradicting = p_inside(effect, expected.supporting), p_inside(effect, expected.contradicting)
    if is_inside(effect, expected.contradicting):
        return Decision("contradicted", 1.0, contradicting)
    supported = is_inside(effect, expected.supporting)
    return Decision("supported" if supported else "inconclusive", supporting, contradicting)


def is_inside(effect: Effect, regions: Sequence[Region]) -> bool:
    """Whether the interval lies wholly in one of the regions."""
    return any(_contains(region, effect.low, effect.high) for region in regions)


def p_inside(effect: Effect, regions: Sequence[Region]) -> float:
    """p-value of "the effect lies in none of the regions": 1 where it does not, or where it has no interval.

    Of a region's bounds all must be passed, and so the largest counts; an effect can lie in but one region.
    """
    if np.isnan(effect.low):
        return 1.0
    inside = [region for region in regions if _contains(region, effect.size, effect.size)]
    return max((_p_beyond(effect, bound) for region in inside for bound in region if isfinite(bound)), default=1.0)


def _contains(region: Region, low: float, high: float) -> bool:
    return (region[0] == -inf or low > region[0]) and (region[1] == inf or high < region[1])


def _p_beyond(effect: Effect, threshold: float) -> float:
    """Two-sided p-value of the hypothesis that the effect equals the threshold.

    That of `significance.p_value`, of the surplus at the threshold where the effect has one. Where the replicates do
    not vary, by the share of them on the other side, with the correction of Davison & Hinkley 1997, section 4.2.5:
    (1 + number) / (1 + B), twice.
    """
    if effect.surplus:
        surplus = effect.surplus(threshold)
        distance, replicates = surplus[0], surplus[1:]
    else:
        distance, replicates = effect.size - threshold, effect.replicates - threshold
    p = p_value(distance, replicates, 0.0, effect.freedom)
    if not np.isnan(p):
        return p
    other = replicates <= 0 if distance > 0 else replicates >= 0
    return float(min(1, 2 * (1 + other.sum()) / (1 + len(replicates))))


def otherwise(effect: Effect, expected: Expectation, verdict: Verdict) -> str:
    """A sentence on what would have changed the verdict, all else equal; empty where there is no interval.

    The precision is the distance of the bounds from the effect. It shrinks with the root of the number of patients
    and seeds.
    """
    if np.isnan(effect.low):
        return ""
    if verdict == "inconclusive":
        return _towards(effect, expected)
    regions = expected.supporting if verdict == "supported" else expected.contradicting
    low, high = next(region for region in regions if _contains(region, effect.low, effect.high))
    slack, direction = min((effect.low - low, "lower"), (high - effect.high, "higher"))
    if not isfinite(slack):
        return "No longer so had it been reached in more draws of patients."
    return f"No longer so had the effect been {_number(slack)} {direction} at this precision."


def _towards(effect: Effect, expected: Expectation) -> str:
    """What an undecided effect lacks."""
    if not all(map(isfinite, (effect.size, effect.low, effect.high))):
        return "Decided had it been reached in nearly all draws of patients, or in nearly none."
    nearest = expected.supporting[-1 if effect.size >= 0 else 0]
    parts = [f"Supported {_shift(effect, nearest)}"]
    for outcome, regions in (("supported", [nearest]), ("contradicted", expected.contradicting)):
        for region in regions:
            if _contains(region, effect.size, effect.size):
                parts.append(
                    f"{outcome} with this effect and about {_more(effect, region)} times as many patients and seeds"
                )
    return "; ".join(parts) + "."


def _shift(effect: Effect, region: Region) -> str:
    """Where the effect would have to be for its interval to lie in the region."""
    least, most = region[0] + effect.size - effect.low, region[1] - (effect.high - effect.size)
    if least >= most:
        return "by no effect at this precision"
    parts = [f"above {_number(least)}"] * isfinite(least) + [f"below {_number(most)}"] * isfinite(most)
    return f"had the effect been {' and '.join(parts)} at this precision"


def _more(effect: Effect, region: Region) -> str:
    """By how much the data would have to grow for the interval around this effect to lie in the region."""
    sides = [(effect.size - effect.low, effect.size - region[0]), (effect.high - effect.size, region[1] - effect.size)]
    factor = max((width / room) ** 2 for width, room in sides)
    return "a thousand or more" if factor >= 1000 else f"{max(factor, 1.1):.1f}" if factor < 10 else f"{factor:.0f}"


def _number(value: float) -> str:
    return f"{value:.3g}"
