"""What verification writes down: a row for each thing that was regenerated and held against its frozen record."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

Level = Literal["file", "config", "record", "predictions", "metrics", "claim", "completeness"]
Applied = Literal["bit-equality", "agreement", "exact"]
Verdict = Literal["identical", "agrees", "deviates", "missing", "extra"]
Value = str | float


@dataclass(frozen=True)
class Row:
    """A row of verify.csv."""

    level: Level
    subject: str
    """The run's path, claim/task/contrast, file or key."""
    quantity: str
    expected: Value
    observed: Value
    verdict: Verdict
    applied: Applied = "exact"
    difference: float = nan
    tolerance: float = nan
    freedom: float = nan
    """Degrees of freedom behind the tolerance; only where chance was allowed for."""
    basis: str = ""
    """How the tolerance is derived."""
    reason: str = ""

    @property
    def passes(self) -> bool:
        """Whether this is as frozen, or within what chance explains."""
        return self.verdict in ("identical", "agrees")


COLUMNS = ["level", "subject", "quantity", "expected", "observed", "difference", "tolerance", "freedom", "basis"]
COLUMNS += ["applied", "verdict", "reason"]


def same(level: Level, subject: str, quantity: str, expected: Value, observed: Value, reason: str = "") -> Row:
    """A row of two things that are to be the same; the reason is given where they are not."""
    verdict: Verdict = "identical" if expected == observed else "deviates"
    return Row(level, subject, quantity, expected, observed, verdict, reason="" if expected == observed else reason)


def differences(level: Level, subject: str, expected: Any, observed: Any, reason: str = "") -> list[Row]:
    """A row for each key in which two nested structures differ, named with dots; one row if there is none."""
    one, other = flat(expected), flat(observed)
    keys = list(dict.fromkeys([*one, *other]))
    rows = [
        Row(
            level,
            subject,
            key,
            one.get(key, ""),
            other.get(key, ""),
            "missing" if key not in other else "extra" if key not in one else "deviates",
            reason=reason,
        )
        for key in keys
        if one.get(key) != other.get(key)
    ]
    return rows or [Row(level, subject, "all keys", len(one), len(other), "identical")]


def flat(content: Any, prefix: str = "") -> dict[str, str]:
    """The leaves of a nested structure by their dotted keys, as JSON."""
    if isinstance(content, Mapping | list | tuple) and content:
        items = content.items() if isinstance(content, Mapping) else enumerate(content)
        return {key: leaf for name, each in items for key, leaf in flat(each, f"{prefix}{name}.").items()}
    return {prefix.removesuffix("."): json.dumps(content)}
