"""The claims as the report tells them: what was claimed, what we find, how sure, and what would have changed it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medtransfer.claims.schema import INTERACTION, SHARE_NEEDED, SIMILARITY, STEPS
from medtransfer.plotting import names
from medtransfer.plotting.tables import interval
from medtransfer.results import ALL, Study

MEASURES = {
    **names.METRICS,
    SHARE_NEEDED: "share of patients needed",
    STEPS: "steps",
    SIMILARITY: "CKA before and after fine-tuning",
    INTERACTION: "metric per tenfold × tenfold",
}
WHERE = {
    "id": "in distribution",
    "ood": "out of distribution",
    "shift": "in minus out of distribution",
    "everywhere": "all test cohorts",
}
SUBGROUPS = {"worst": "worst sub-group", "gap": "largest gap between sub-groups"}


@dataclass(frozen=True)
class Contrast:
    """A contrast in a task, as text: what it says, what was measured on what, and the verdict of its interval alone."""

    name: str
    text: str
    effect: str
    expected: str
    measured: str
    cohorts: str
    images: str
    seeds: str
    p: str
    verdict: str
    note: str


@dataclass(frozen=True)
class Judgement:
    """A claim in a task, or over all of them, whose name is "all"."""

    name: str
    title: str
    verdict: str
    p_adjusted: str
    note: str
    otherwise: str
    contrasts: list[Contrast]


@dataclass(frozen=True)
class Claim:
    """A claim, and how it was judged over tasks and in each."""

    id: str
    text: str
    source: str
    overall: Judgement
    tasks: list[Judgement]


@dataclass(frozen=True)
class Verdicts:
    """The claims of a study."""

    study: str
    confidence: float
    claims: list[Claim]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How often each verdict over tasks was given; those on what was measured also where it is never."""
        measured = dict.fromkeys(("supported", "contradicted", "inconclusive"), 0)
        return list({**measured, **Counter(claim.overall.verdict for claim in self.claims)}.items())


def verdicts(table: pd.DataFrame, studies: Sequence[Study]) -> list[Verdicts]:
    """The claims of each study that has some.

    Args:
        table: What `medtransfer.claims.verdict.judge` returns.
        studies: Names and titles.
    """
    table = table.assign(**table[["note", "otherwise", "cohorts"]].fillna(""))
    return [_study(mine, study) for study in studies if len(mine := table[table["study"] == study["name"]])]


def _study(table: pd.DataFrame, study: Study) -> Verdicts:
    claims = []
    for name, rows in table.groupby("claim", sort=False):
        judged = [_judgement(part, str(task), study) for task, part in rows.groupby("task", sort=False)]
        overall = next(each for each in judged if each.name == ALL)
        text = rows.loc[rows["task"] == ALL, "text"].iloc[0]
        claims.append(
            Claim(str(name), text, rows["source"].iloc[0], overall, [each for each in judged if each is not overall])
        )
    return Verdicts(study["name"], study["confidence"], claims)


def _judgement(rows: pd.DataFrame, task: str, study: Study) -> Judgement:
    records: list[dict[str, Any]] = rows.to_dict("records")
    *contrasts, together = records
    return Judgement(
        task,
        "" if task == ALL else study["tasks"][task]["title"],
        together["verdict"],
        probability(together["p_adjusted"]),
        together["note"].removeprefix(study["note"]).strip(),
        together["otherwise"],
        [_contrast(row, study) for row in contrasts],
    )


def _contrast(row: dict[str, Any], study: Study) -> Contrast:
    where = [MEASURES[row["metric"]], WHERE[row["where"]], SUBGROUPS.get(row["subgroup"], "")]
    return Contrast(
        row["contrast"],
        row["text"],
        interval(row["effect"], row["ci_low"], row["ci_high"]).replace("inf", "not reached"),
        expectation(row["expected"], row["threshold_low"], row["threshold_high"]),
        ", ".join(filter(None, where)),
        ", ".join(names.title(cohort, study) for cohort in row["cohorts"].split()),
        count(row["n"]),
        count(row["n_seeds"]),
        probability(row["p"]),
        row["verdict"],
        row["note"].removeprefix(study["note"]).strip(),
    )


def expectation(kind: str, low: float, high: float) -> str:
    """What a claim expects of an effect, in words."""
    words = {
        "greater": f"above {low:g}",
        "less": f"below {high:g}",
        "within": f"between {low:g} and {high:g}",
        "differs": f"other than 0; within ±{high:g} is none",
    }
    return words[kind]


def count(number: float) -> str:
    """A count; a dash where there is none."""
    return "–" if pd.isna(number) else f"{int(number):,}"


def probability(p: float) -> str:
    """A p-value; a dash where there is none."""
    return "–" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
