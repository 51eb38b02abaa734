"""What an audit found, in words: the verdict, what a sample of this size can say, and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import pandas as pd
from markupsafe import Markup

from medtransfer.html import fill
from medtransfer.review.checks import (
    AS_EXPECTED,
    CONFIRMED,
    DATA,
    DEVIATING,
    LEAKS,
    NOT_HERE,
    RECORD,
    RUNS,
    Check,
    Result,
)
from medtransfer.review.sampling import statement
from medtransfer.review.verify_predictions import Standard
from medtransfer.runs import Run

WORST_FIRST: tuple[Result, ...] = (DEVIATING, NOT_HERE, AS_EXPECTED, CONFIRMED)
TITLES = {
    RECORD: "The record itself",
    RUNS: "Runs trained again",
    DATA: "Data, back to raw files",
    LEAKS: "Leaks",
}


@dataclass(frozen=True)
class Audit:
    """An audit that was carried out.

    Attributes:
        tier: The tier's name.
        note: What its numbers cannot tell.
        facts: How: what is shown beneath the verdict.
        records: How many runs the record holds.
        drawn: The sample; a run may stand in it twice.
        standards: What the runs that could be trained again were held to.
        checks: All that was looked at.
    """

    tier: str
    note: str
    facts: Mapping[str, str]
    records: int
    drawn: Sequence[Run]
    standards: Mapping[Run, Standard]
    checks: Sequence[Check]

    @cached_property
    def results(self) -> dict[Run, Result]:
        """For each run of the sample the worst that was found of it."""
        of = {run: {check.result for check in self.checks if check.subject == run.path} for run in self.drawn}
        return {run: next(result for result in WORST_FIRST if result in found) for run, found in of.items()}

    @property
    def unconfirmed(self) -> int:
        """How many draws fell on runs that deviate or could not be trained again."""
        return sum(self.results[run] in (DEVIATING, NOT_HERE) for run in self.drawn)

    @property
    def bound(self) -> str:
        """What this sample can and cannot say."""
        return statement(self.unconfirmed, len(self.drawn), self.records)

    @property
    def worst(self) -> Result:
        """The worst that was found of anything."""
        return next(result for result in WORST_FIRST if any(check.result == result for check in self.checks))

    @property
    def passes(self) -> bool:
        """Whether everything was looked at, and nothing deviates by more than is expected."""
        return self.worst in (CONFIRMED, AS_EXPECTED)

    @property
    def verdict(self) -> str:
        """The outcome in a sentence or two."""
        bits = sum(held.bits for held in self.standards.values())
        tried = f"{len(self.standards)} of {len(self.results)} drawn runs were trained again"
        if self.worst == DEVIATING:
            wrong = [check for check in self.checks if check.result == DEVIATING]
            counts = {title: sum(check.part == part for check in wrong) for part, title in TITLES.items()}
            where = ", ".join(f"{title.lower()}: {n}" for title, n in counts.items() if n)
            return f"Something is wrong. Checks that deviate: {len(wrong)} ({where}). {tried}."
        if self.worst == NOT_HERE:
            return f"Not everything could be audited here, which is no confirmation: {tried}, and nothing deviates."
        if bits == len(self.standards):
            return f"Confirmed: {tried}, all of them bit-identical to the record; the other checks found nothing."
        return (
            f"Agrees with the record: {tried}. Bit-equality is promised for {bits} of them and was found; the metrics "
            "of the others differ by no more than chance in training explains. The other checks found nothing."
        )

    def part(self, part: str) -> list[Check]:
        """The checks of a part, the worst first."""
        own = [check for check in self.checks if check.part == part]
        return sorted(own, key=lambda check: WORST_FIRST.index(check.result))


def table(audit: Audit) -> pd.DataFrame:
    """A row for each check."""
    return pd.DataFrame([asdict(check) for check in audit.checks])


def text(audit: Audit) -> str:
    """What is printed: the verdict, the runs, whatever was not confirmed, and what the sample says."""
    lines = [f"Audit of tier {audit.tier}. {audit.verdict}", ""]
    lines += [f"  {result:<22}  {run.path}" for run, result in audit.results.items()]
    lines += [
        f"  {check.result}: {TITLES[check.part].lower()}, {check.subject}: {check.check}: {check.detail}"
        for check in audit.checks
        if check.result in (DEVIATING, NOT_HERE)
    ]
    return "\n".join([*lines, "", audit.bound])


def page(audit: Audit, template: str, style: str) -> str:
    """Fill in the template, with CSS for the page; everything else that is filled in is escaped."""
    return fill(
        template,
        style=Markup(style),
        audit=audit,
        runs=[(run.path, result, audit.standards.get(run)) for run, result in audit.results.items()],
        parts=[(part, title, audit.part(part)) for part, title in TITLES.items()],
    )
