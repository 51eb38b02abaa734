"""Claims: what was asked, what came out, and whether a verdict that changed stands at a threshold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medtransfer.claims.verdict import ALL
from medtransfer.review import tolerance
from medtransfer.review.tolerance import Tolerance
from medtransfer.review.verify_metrics import REPEATED as SIDES
from medtransfer.review.verify_metrics import ROUNDING
from medtransfer.review.verify_rows import Row

PLACE = ["claim", "study", "task", "contrast"]
DECLARED = ["metric", "where", "subgroup", "expected", "threshold_low", "threshold_high", "text", "source"]
MEASURED = ["ci_low", "ci_high", "n", "n_seeds", "p", "p_adjusted"]
SAID = ["cohorts", "runs", "note", "otherwise"]


def paired(frozen: pd.DataFrame, regenerated: pd.DataFrame) -> list[dict[str, Any]]:
    """Both tables side by side: a row for each contrast of a claim in a task, and for what they say together."""
    pairs = frozen.merge(regenerated, on=PLACE, how="outer", suffixes=SIDES, indicator="found", sort=False)
    return pairs.astype(object).where(pairs.notna(), None).to_dict("records")


def comparisons(pairs: list[dict[str, Any]]) -> int:
    """How many effects are compared."""
    return sum(pair["ci_low" + SIDES[0]] is not None for pair in pairs)


def claim_rows(pairs: list[dict[str, Any]], bits: bool, confidence: float, level: float) -> list[Row]:
    """What was asked has to be the same; what came out the same bits, or within what chance explains.

    Args:
        pairs: Of `paired`.
        bits: Whether all that claims are judged from is the same bits.
        confidence: Of the intervals.
        level: Error of one comparison by chance.
    """
    rows = []
    both = [pair for pair in pairs if pair["found"] == "both"]
    contrasts = [_by_chance(pair, confidence, level) for pair in both if pair["contrast"] != ALL]
    judged = {row.subject: row for row in contrasts}
    for pair in pairs:
        subject, verdict = _subject(pair), _both(pair, "verdict")
        if pair["found"] != "both":
            rows.append(
                Row("claim", subject, "verdict", *verdict, "missing" if pair["found"] == "left_only" else "extra")
            )
            continue
        rows.append(_by_bits(pair) if bits else judged.get(subject) or _combined(pair, contrasts))
        for column in [*DECLARED, *([*MEASURED, *SAID] if bits else [])]:
            if not _alike(*(pair[column + side] for side in SIDES)):
                reason = (
                    "it was asked otherwise" if column in DECLARED else "all that it is judged from is the same bits"
                )
                rows.append(Row("claim", subject, column, *_both(pair, column), "deviates", reason=reason))
    return rows


def _by_bits(pair: Mapping[str, Any]) -> Row:
    expected, observed = _both(pair, "verdict")
    one, other = (pair["effect" + side] for side in SIDES)
    fits = expected == observed and _alike(one, other)
    return Row(
        "claim",
        _subject(pair),
        "verdict and effect",
        _told(expected, one),
        _told(observed, other),
        "identical" if fits else "deviates",
        "bit-equality",
        _gap(one, other),
        math.nan if one is None else ROUNDING * max(1.0, abs(one)),
        basis="" if one is None else "rounding",
        reason="" if fits else "all that it is judged from is the same bits",
    )


def _by_chance(pair: Mapping[str, Any], confidence: float, level: float) -> Row:
    expected, observed = _both(pair, "verdict")
    one, other = (pair["effect" + side] for side in SIDES)
    allowed, gap = _allowed(pair, confidence, level), _gap(one, other)
    measured = one is not None and other is not None
    agrees = (one == other or gap <= allowed.width) if measured else expected == observed
    reason = ""
    if not agrees:
        reason = "its effect differs by more than seeds and patients explain" if measured else "it was judged otherwise"
    elif expected != observed:
        reason = f"its effect agrees: the verdict stands at the threshold {_threshold(pair):g}"
    return Row(
        "claim",
        _subject(pair),
        "verdict and effect",
        _told(expected, one),
        _told(observed, other),
        "agrees" if agrees else "deviates",
        "agreement",
        gap,
        allowed.width,
        allowed.freedom,
        allowed.basis,
        reason,
    )


def _combined(pair: Mapping[str, Any], contrasts: Sequence[Row]) -> Row:
    """A verdict without an effect of its own changes with those of contrasts, or as p-values are adjusted for all."""
    expected, observed = _both(pair, "verdict")
    deviating = [row.subject for row in contrasts if not row.passes]
    reason = ""
    if expected != observed:
        p_values = " and ".join(f"{p:.2g}" for p in _both(pair, "p_adjusted") if p != "")
        reason = f"not all contrasts of the study agree: {', '.join(deviating)}"
        if not deviating:
            reason = "all contrasts of the study agree: a verdict stands at its threshold, or at the adjusted p-value"
            reason += f" ({p_values})" if p_values else ""
    return Row(
        "claim",
        _subject(pair),
        "verdict",
        expected,
        observed,
        "deviates" if expected != observed and deviating else "agrees",
        "agreement",
        basis="what it combines",
        reason=reason,
    )


def _subject(pair: Mapping[str, Any]) -> str:
    return "/".join(pair[key] for key in ("claim", "task", "contrast"))


def _both(pair: Mapping[str, Any], column: str) -> tuple[Any, Any]:
    one, other = ("" if pair[column + side] is None else pair[column + side] for side in SIDES)
    return one, other


def _told(verdict: str, effect: float | None) -> str:
    return verdict if effect is None else f"{verdict}, {effect:.6g}"


def _gap(one: float | None, other: float | None) -> float:
    return math.nan if one is None or other is None else abs(one - other)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= ROUNDING * max(1.0, abs(one))
    return bool(one == other)


def _allowed(pair: Mapping[str, Any], confidence: float, level: float) -> Tolerance:
    low, high = (pair[f"{end}{SIDES[0]}"] for end in ("ci_low", "ci_high"))
    if low is None or not math.isfinite(high - low):
        return Tolerance(math.nan, math.nan, "")
    return tolerance.effect_tolerance(low, high, confidence, level)


def _threshold(pair: Mapping[str, Any]) -> float:
    """The threshold that an interval lies nearest to, of those declared."""
    bounds = [pair[f"threshold_{end}{SIDES[0]}"] for end in ("low", "high")]
    ends = [pair[f"{end}{side}"] for end in ("ci_low", "ci_high") for side in SIDES]
    known = [bound for bound in bounds if bound is not None]
    if pair["expected" + SIDES[0]] == "differs":
        known.append(0.0)
    nearest = min(known, key=lambda bound: min((abs(bound - end) for end in ends if end is not None), default=0.0))
    return float(nearest)
