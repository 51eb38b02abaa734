"""What an audit writes down: one row for each thing that was held against the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Result = Literal["confirmed", "deviating, as expected", "deviating", "not reproducible here"]
CONFIRMED: Result = "confirmed"
AS_EXPECTED: Result = "deviating, as expected"
DEVIATING: Result = "deviating"
NOT_HERE: Result = "not reproducible here"
RECORD, RUNS, DATA, LEAKS = "record", "runs", "data", "leaks"
SHOWN = 5  # of what was found; the others are counted


@dataclass(frozen=True)
class Check:
    """A row of audit.csv."""

    part: str
    """One of RECORD, RUNS, DATA, LEAKS."""
    subject: str
    """The run, dataset, cohort, task or file that was looked at."""
    check: str
    result: Result
    n: int
    """How many things were compared: images, rows, files."""
    detail: str = ""
    recorded: float | None = None
    observed: float | None = None
    difference: float | None = None
    tolerance: float | None = None
    """For a metric: as frozen, as made anew, how far apart they are and may be. For predictions: the largest difference
    of two logits."""


def found(part: str, subject: str, check: str, n: int, problems: Sequence[str]) -> Check:
    """A check of n things: deviating if there are problems, which it names, and confirmed if there are none."""
    more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return Check(part, subject, check, DEVIATING if problems else CONFIRMED, n, "; ".join([*problems[:SHOWN], *more]))
