"""The page of a verification: the verdict, what it hangs on, what deviates, and everything that was compared."""

import math
from collections import Counter
from typing import Any, get_args

import pandas as pd
from markupsafe import Markup

from medtransfer.config import Config
from medtransfer.html import fill
from medtransfer.review.published import remarks
from medtransfer.review.tolerance import FAMILY_ERROR
from medtransfer.review.verify import Verification
from medtransfer.review.verify_rows import Level, Row

SHOWN = 500
"""Deviations on the page; the table has all."""


def render(
    template: str,
    style: str,
    verification: Verification,
    published: pd.DataFrame,
    config: Config,
    places: tuple[str, str],
) -> str:
    """Fill in the template.

    Args:
        template: Jinja source; everything that is filled in is escaped.
        style: CSS for the page.
        verification: What came out.
        published: Of `published.side_by_side`.
        config: The configuration in force.
        places: Folders of the regenerated and of the frozen results.
    """
    failing = verification.failing
    content: dict[str, Any] = {
        "style": Markup(style),
        "tier": config.tier,
        "note": config.note,
        "results": places[0],
        "frozen": places[1],
        "passes": not failing,
        "sentence": sentence(verification),
        "standards": standards(verification),
        "tally": [(level, Counter(row.verdict for row in rows)) for level, rows in _levels(verification.rows)],
        "moved": verification.moved,
        "failing": [_cells(row) for row in failing[:SHOWN]],
        "more_failing": max(0, len(failing) - SHOWN),
        "total": len(verification.rows),
        "levels": [
            (level, [_cells(row) for row in rows if _is_shown(row, config)], len(rows))
            for level, rows in _levels(verification.rows)
        ],
        "by_chance": any(row.applied == "agreement" for row in verification.rows),
        "family": f"{FAMILY_ERROR:g}",
        "level": f"{verification.level:.2g}",
        "seeds": verification.seeds,
        "expected_seeds": FAMILY_ERROR * verification.seeds[2],
        "remarks": remarks(list(config.studies)),
        "published": published.to_dict("records"),
    }
    return fill(template, **content)


def sentence(verification: Verification) -> str:
    """The verdict in words."""
    failing, total = len(verification.failing), len(verification.rows)
    if failing:
        return f"{failing} of {total} comparisons deviate, are missing, or are too much."
    identical = sum(row.verdict == "identical" for row in verification.rows)
    return f"of {total} comparisons {identical} are identical, and {total - identical} agree within what is expected."


def standards(verification: Verification) -> list[str]:
    """Which standard is applied to how many runs, and why."""
    if verification.standards is None:
        return [
            "No run was repeated: all was measured anew from the frozen predictions. Bit-equality is asked of that, "
            "whatever the machine; of metrics up to the rounding of float32."
        ]
    whys = Counter(standard.why for standard in verification.standards.values())
    lines = (
        [f"Bit-equality is asked of {whys.pop('')} runs, trained on the same class of machine."] if "" in whys else []
    )
    return lines + [f"Agreement is asked of {n} runs, since {why}." for why, n in whys.most_common()]


def summary(verification: Verification) -> str:
    """The verdict for a terminal."""
    lines = [f"Verification: {sentence(verification)}", *standards(verification)]
    for level, rows in _levels(verification.rows):
        counts = Counter(row.verdict for row in rows)
        lines.append(f"  {level:13}{', '.join(f'{n} {verdict}' for verdict, n in counts.most_common())}")
    for moved in verification.moved:
        verdict = "agrees" if moved.passes else "deviates"
        lines.append(
            f"  tolerances times {moved.factor:g}: {verdict}; {moved.within:.2%} within, {moved.expected:.2%} by chance"
        )
    return "\n".join(lines)


def _levels(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    found = [(level, [row for row in rows if row.level == level]) for level in get_args(Level)]
    return [(level, own) for level, own in found if own]


def _is_shown(row: Row, config: Config) -> bool:
    """Whether the page has a row: of metrics that pass, the primary ones and sums alone."""
    primary = {task.primary_metric for task in config.tasks.values()}
    return row.level != "metrics" or not row.quantity.partition(" on ")[1] or row.quantity.split(" ")[0] in primary


def _cells(row: Row) -> dict[str, str]:
    return {name: _text(value) for name, value in vars(row).items()}


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5g}"
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text
