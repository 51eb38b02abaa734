"""From claims and measured runs to verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from medtransfer.claims.combine import Outcome, Property, adjusted, in_task, over_tasks, pattern
from medtransfer.claims.contrast import Curve, Effect, contrast, share_needed
from medtransfer.claims.data import Data, NotJudged
from medtransfer.claims.decision import Decision, decide, otherwise
from medtransfer.claims.measures import Compared, compared
from medtransfer.claims.schema import Claim, Contrast
from medtransfer.results import PRIMARY, Study

ALL = "all"
COLUMNS = ["claim", "study", "task", "contrast", "text", "source", "metric", "where", "subgroup", "cohorts", "effect"]
COLUMNS += [
    "ci_low",
    "ci_high",
    "expected",
    "threshold_low",
    "threshold_high",
    "n",
    "n_seeds",
    "runs",
    "p",
    "p_adjusted",
]
COLUMNS += ["verdict", "note", "otherwise"]


class Judged(NamedTuple):
    """A contrast in a task: how it came out, its row of the table, and its effect if it was measured."""

    declared: Contrast
    decision: Decision
    row: dict[str, Any]
    effect: Effect | None = None


def judge(claims: Sequence[Claim], tables: Mapping[str, str], study: Study, seed: int) -> pd.DataFrame:
    """Judge the claims of one study in each of its tasks.

    Args:
        claims: Of any study; those of others are passed over.
        tables: Paths of the results tables by name: completeness, metrics, replicates, curves, similarity, upstreams.
        study: Axes, roles, confidence and note.
        seed: Seed of the draws of training seeds.

    Returns:
        For each claim and task a row for each contrast, judged by its own interval (`decision.decide`); then one with
        contrast "all", what they say together (`combine.in_task`, or `combine.pattern`), adjusted by Holm's method
        over all claims and tasks of the study (`combine.adjusted`). Last, with task and contrast "all", the verdict
        over tasks (`combine.over_tasks`). `p` belongs to the verdict, or to the one that an undecided effect is nearer
        to. n is the number of images of each run, n_seeds that of the cell that has fewest. "not asked": the study has
        no such cells in this task; "not run": it has, and the note says which runs are missing. The study's note
        stands first in the note of every row.

    Raises:
        UserError: Runs to compare were tested on different images, or with different numbers of replicates.
    """
    mine = [claim for claim in claims if claim.study == study["name"]]
    if not mine:
        return pd.DataFrame(columns=COLUMNS)
    data = Data.load(tables, study, {each.measure.metric for claim in mine for each in claim.contrasts})
    places = [(claim, task) for claim in mine for task in data.tasks]
    judged = {(claim.id, task): [_judge(each, task, data, seed) for each in claim.contrasts] for claim, task in places}
    settled = adjusted(
        {
            (claim.id, task): pattern({name: _property(judged[name, task][0]) for name in claim.pattern.of})
            if claim.pattern
            else in_task([each.decision for each in judged[claim.id, task]], claim.holds)
            for claim, task in places
        },
        1 - study["confidence"],
    )
    rows: list[dict[str, Any]] = []
    for claim in mine:
        place = {"claim": claim.id, "study": claim.study, "source": claim.source}
        for task in data.tasks:
            contrasts, outcome = judged[claim.id, task], settled[claim.id, task]
            rows += [{**place, **each.row} for each in contrasts]
            rows.append({**place, "task": task, **_together(claim, contrasts, outcome)})
        rows.append(
            {**place, "task": ALL, "contrast": ALL, "text": claim.text, **_everywhere(claim, data.tasks, settled)}
        )
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64", "n_seeds": "Int64"})
    text = table[["note", "otherwise"]].fillna("")
    return table.assign(note=[f"{study['note']} {note}".strip() for note in text["note"]], otherwise=text["otherwise"])


def _judge(declared: Contrast, task: str, data: Data, seed: int) -> Judged:
    measure = declared.measure
    low, high = declared.expect.bounds
    row: dict[str, Any] = {
        "task": task,
        "contrast": declared.name,
        "text": declared.text,
        "metric": data.results.study["tasks"][task]["primary_metric"] if measure.metric == PRIMARY else measure.metric,
        "where": measure.where,
        "subgroup": measure.subgroup,
        "expected": declared.expect.kind,
        "threshold_low": low if isfinite(low) else nan,
        "threshold_high": high if isfinite(high) else nan,
    }
    # By what it compares, not by the claim: a contrast that two claims share has one interval.
    what = f"{task}/{measure}/{declared.terms}"
    generator = np.random.default_rng([seed, *what.encode()])
    try:
        cells = compared(declared, task, data, generator)
    except NotJudged as absent:
        row |= {"verdict": absent.verdict, "note": str(absent)}
        return Judged(declared, Decision(absent.verdict, 1.0, 1.0), row)
    confidence = data.results.study["confidence"]
    if isinstance(cells.cells, Curve):
        effect = share_needed(cells.cells, confidence)
    else:
        effect = contrast(cells.cells, confidence, generator)
    decision = decide(effect, declared.expect)
    measured = {"cohorts": cells.cohorts, "n": cells.n, "n_seeds": cells.seeds, "runs": cells.runs}
    measured |= {"effect": effect.size, "ci_low": effect.low, "ci_high": effect.high}
    decided = {"verdict": decision.verdict, "p": decision.p, "note": _caution(effect, cells)}
    sentence = otherwise(effect, declared.expect, decision.verdict)
    return Judged(declared, decision, {**row, **measured, **decided, "otherwise": sentence}, effect)


def _caution(effect: Effect, cells: Compared) -> str:
    notes = [cells.note]
    if np.isnan(effect.size):
        notes.append("The measure is undefined in a run that is compared.")
    elif np.isnan(effect.low):
        notes.append("No interval: the measure is undefined in most draws of patients.")
    if cells.seeds == 1:
        notes.append("One training seed in a cell: the interval leaves the chance of training out.")
    return " ".join(filter(None, notes))


def _property(judged: Judged) -> Property:
    return Property(judged.declared, judged.effect, judged.decision.verdict)


def _together(claim: Claim, contrasts: Sequence[Judged], outcome: Outcome) -> dict[str, Any]:
    """The row of a claim in a task; its contrasts say what would have changed it, unless the adjustment does."""
    row = {"contrast": ALL, "text": claim.text, **asdict(outcome)}
    deciding = [each for each in contrasts if each.decision.verdict == outcome.verdict and each.row.get("otherwise")]
    sentences = [f"{each.declared.name}: {each.row['otherwise']}" for each in deciding]
    return {**row, "otherwise": outcome.otherwise or " ".join(sentences)}


def _everywhere(claim: Claim, tasks: Sequence[str], settled: Mapping[tuple[str, str], Outcome]) -> dict[str, Any]:
    """The row of a claim over tasks."""
    verdicts = {task: settled[claim.id, task].verdict for task in tasks}
    verdict = over_tasks(list(verdicts.values()))
    lacking = [task for task, each in verdicts.items() if each not in ("supported", "not asked")]
    sentence = {
        "supported": "Inconclusive had it not been so in one of these tasks.",
        "contradicted": "Inconclusive had it been supported in one of these tasks.",
        "inconclusive": f"Supported had it been so in {', '.join(lacking)}.",
    }.get(verdict, "")
    note = "; ".join(f"{task}: {each}" for task, each in verdicts.items()) + "."
    return {"verdict": verdict, "note": note, "otherwise": sentence}
