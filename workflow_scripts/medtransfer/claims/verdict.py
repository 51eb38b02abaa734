"""From claims and measured runs to verdicts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError

from medtransfer.claims.cells import Results, Study
from medtransfer.claims.contrast import Cell, Effect, contrast
from medtransfer.claims.schema import Claim, Claims, Contrast, Expectation
from medtransfer.errors import UserError

Verdict = Literal["supported", "contradicted", "inconclusive", "not run"]

ALL = "all"
COLUMNS = ["claim", "study", "task", "cohort", "shift", "contrast", "text", "source", "metric", "effect"]
COLUMNS += ["ci_low", "ci_high", "threshold", "expected", "n_seeds", "verdict", "note"]


def read_claims(path: Path | str) -> list[Claim]:
    """Read a claims file.

    Raises:
        UserError: The file is not YAML, or a key or value in it is not allowed; one line for each problem.
    """
    try:
        return Claims.model_validate(yaml.safe_load(Path(path).read_text())).claims
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        problems = [
            f"  {'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        ]
        raise UserError("\n".join([f"{path} cannot be used:", *problems])) from None


def judge(
    claims: Sequence[Claim],
    runs: pd.DataFrame,
    metrics: pd.DataFrame,
    replicates: pd.DataFrame,
    *,
    study: Study,
    seed: int,
) -> pd.DataFrame:
    """Judge the claims of one study in each of its tasks.

    Args:
        claims: Of any study; those of others are passed over.
        runs: The run table: task backbone upstream initialisation budget seed studies.
        metrics: The results table: for each run what `medtransfer.metrics.evaluate` measured.
        replicates: The bootstrap replicates of its means.
        study: Name, tasks, roles, confidence and note.
        seed: Seed of the draws of training seeds.

    Returns:
        A row for each claim, task and contrast, as `decide` judges it; it is "not run" when any run that the study
        asks for in one of its cells was not measured, and the note names which. n_seeds is the number in the cell that
        has fewest. Then, with task and contrast "all", a row for each claim: the verdict of `over_tasks`, and in the
        note that of each task (`in_task`). The study's note stands first in the note of every row.

    Raises:
        UserError: Runs to compare were tested on different images, or with different numbers of replicates.
    """
    results = Results.from_tables(runs, metrics, replicates, study)
    rows: list[dict[str, Any]] = []
    for claim in (claim for claim in claims if claim.study == study["name"]):
        place = {"claim": claim.id, "study": claim.study, "source": claim.source}
        verdicts: dict[str, Verdict] = {}
        for task, settings in study["tasks"].items():
            where = {"task": task, "cohort": settings["id_cohort"], "shift": "id", "metric": settings["primary_metric"]}
            judged = []
            for declared in claim.contrasts:
                cells, missing = results.cells(declared, task)
                # By what it compares, not by the claim: a contrast that two claims share has one interval.
                compared = f"{task}/{[term.model_dump() for term in declared.terms]}"
                generator = np.random.default_rng([seed, *compared.encode()])
                judged.append(_judge_contrast(declared, cells, missing, study["confidence"], generator))
            rows += [{**place, **where, **row} for row in judged]
            verdicts[task] = in_task([row["verdict"] for row in judged])
        overall = {"task": ALL, "contrast": ALL, "text": claim.text, "verdict": over_tasks(list(verdicts.values()))}
        note = "; ".join(f"{task}: {verdict}" for task, verdict in verdicts.items()) + "."
        rows.append({**place, **overall, "note": note})
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"n_seeds": "Int64"})
    return table.assign(note=[f"{study['note']} {note}".strip() for note in table["note"]])


def decide(effect: Effect, expected: Expectation) -> Verdict:
    """Supported or contradicted when the interval lies wholly on the expected or the other side of the threshold.

    Inconclusive when it holds the threshold, or when there is no interval.
    """
    above, below = effect.low > expected.threshold, effect.high < expected.threshold
    agrees, disagrees = (above, below) if expected.side == "greater" else (below, above)
    return "supported" if agrees else "contradicted" if disagrees else "inconclusive"


def in_task(contrasts: Sequence[Verdict]) -> Verdict:
    """Of a claim's contrasts in one task: contradicted if any is, else not run if any is, supported if all are."""
    for verdict in ("contradicted", "not run"):
        if verdict in contrasts:
            return verdict
    return "supported" if set(contrasts) == {"supported"} else "inconclusive"


def over_tasks(tasks: Sequence[Verdict]) -> Verdict:
    """Of a claim in all tasks: their common verdict; contradicted if it is in one and supported in none.

    Everything else, such as tasks that disagree or of which some were not run, is inconclusive.
    """
    if len(set(tasks)) == 1:
        return tasks[0]
    return "contradicted" if "contradicted" in tasks and "supported" not in tasks else "inconclusive"


def _judge_contrast(
    declared: Contrast, cells: list[Cell], missing: list[str], confidence: float, generator: np.random.Generator
) -> dict[str, Any]:
    side, threshold = declared.expect.side, declared.expect.threshold
    row = {"contrast": declared.name, "text": declared.text, "expected": side, "threshold": threshold}
    if missing:
        return {**row, "verdict": "not run", "note": f"Missing: {', '.join(missing)}."}
    effect = contrast(cells, confidence, generator)
    seeds = min(len(cell.values) for cell in cells)
    measured = {"effect": effect.size, "ci_low": effect.low, "ci_high": effect.high, "n_seeds": seeds}
    return {**row, **measured, "verdict": decide(effect, declared.expect), "note": _caution(effect, seeds)}


def _caution(effect: Effect, seeds: int) -> str:
    if np.isnan(effect.size):
        return "The metric is undefined in a run that is compared."
    if np.isnan(effect.low):
        return "No interval: the metric is undefined in most draws of patients."
    if seeds == 1:
        return "One training seed in a cell: the interval leaves the chance of training out."
    return ""
