"""Runs that were trained again, held against their frozen record.

Where bit-equality is promised, everything has to be the same. Elsewhere rounding differs and training amplifies it:
what may be asked is agreement, metrics within the tolerance that `review/tolerance.py` derives.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtransfer.config import Config, Task
from medtransfer.metrics.scores import known_targets, scores, two_sided
from medtransfer.review.checks import AS_EXPECTED, CONFIRMED, DEVIATING, RUNS, Check, Result, found
from medtransfer.review.digest import digest
from medtransfer.review.frozen import LOGIT, TARGET, Frozen
from medtransfer.review.provenance import Record
from medtransfer.review.tolerance import level_of_each, patient_sd, run_tolerance
from medtransfer.review.verify_metrics import ROUNDING, Context, seed_spreads, told_values
from medtransfer.review.verify_predictions import Standard, standard
from medtransfer.review.verify_rows import flat
from medtransfer.runs import KEYS, Run

SETTINGS = (
    *("recipe_version", "task_settings", "resolution", "hyperrule", "hyperparameters", "tracking"),
    *("images", "patients"),
)
"""What a record says that does not depend on the machine."""


def audit_runs(
    config: Config, frozen: Frozen, records: Mapping[Run, Record], folder: Path, runs: Sequence[Run]
) -> tuple[list[Check], dict[Run, Standard]]:
    """Hold runs that were trained again on this machine against the record.

    Args:
        config: The configuration.
        frozen: The record.
        records: What it says of runs.
        folder: Results that hold these runs, trained again.
        runs: The runs.

    Returns:
        Checks of predictions, looks, settings and of the primary metric on the test images of every cohort; and what
        each run was held to.
    """
    metrics = pd.read_parquet(frozen.path("metrics.parquet"))
    checks: list[Check] = []
    standards: dict[Run, Standard] = {}
    for run in runs:
        place = folder / "runs" / run.path
        recorded, again = records[run], Record(json.loads((place / "run.json").read_text()), {})
        held = standard(recorded, again)
        old, new = frozen.predictions(run), pd.read_parquet(place / "predictions.parquet")
        looks = frozen.validation(run), pd.read_parquet(place / "validation.parquet")
        checks += [
            predictions_check(run, old, new, recorded.outputs["predictions"], held),
            looks_check(run, *looks, recorded.outputs["validation"], held),
            settings_check(run, recorded.content, again.content, held),
            *metric_checks(config, metrics, run, old, new, held, len(runs)),
        ]
        standards[run] = held
    return checks, standards


def predictions_check(run: Run, recorded: pd.DataFrame, again: pd.DataFrame, told: str, held: Standard) -> Check:
    """Compare predictions with the frozen ones, and those with the digest that is told of them."""
    result, detail, largest = CONFIRMED, "bit-identical", 0.0
    if not same_images(recorded, again):
        result, detail, largest = DEVIATING, "other images, patients or targets", np.nan
    elif digest(recorded) != digest(again):
        logits = [name for name in recorded if name.startswith(LOGIT)]
        one, other = (
            table.sort_values(["cohort", "split", "image_id"])[logits].to_numpy() for table in (recorded, again)
        )
        largest, changed = float(np.abs(one - other).max()), int((one != other).any(axis=1).sum())
        result = DEVIATING if held.bits else AS_EXPECTED
        detail = f"logits of {changed} images differ, by {largest:.3g} at most; {_asked(held)}"
    elif digest(recorded) != told:
        result, detail = DEVIATING, "bit-identical, but provenance.parquet tells of others"
    return Check(RUNS, run.path, "predictions", result, len(again), detail, difference=largest)


def looks_check(run: Run, recorded: pd.DataFrame, again: pd.DataFrame, told: str, held: Standard) -> Check:
    """Compare what the looks at a network saw while it was trained, in the same way."""
    name = "looks while training"
    if digest(recorded) != digest(again):
        result = DEVIATING if held.bits else AS_EXPECTED
        return Check(RUNS, run.path, name, result, len(again), f"differ; {_asked(held)}")
    problems = [] if digest(recorded) == told else ["bit-identical, but provenance.parquet tells of others"]
    return found(RUNS, run.path, name, len(again), problems)


def settings_check(run: Run, recorded: Mapping[str, Any], again: Mapping[str, Any], held: Standard) -> Check:
    """Compare what two records say of hyper-parameters and sizes and, where bits are promised, of the weights."""
    compared = [*SETTINGS, "inputs"]
    one, other = (
        flat({key: record[key] for key in compared} | {"inputs": {"weights": record["inputs"]["weights"]}})
        for record in (recorded, again)
    )
    problems = [
        f"{key} was {one.get(key, 'absent')}, is {other.get(key, 'absent')}"
        for key in {**one, **other}
        if one.get(key) != other.get(key) and (held.bits or not key.startswith("inputs."))
    ]
    return found(RUNS, run.path, "settings and weights", len(other), problems)


def metric_checks(
    config: Config,
    metrics: pd.DataFrame,
    run: Run,
    recorded: pd.DataFrame,
    again: pd.DataFrame,
    held: Standard,
    runs: int,
) -> list[Check]:
    """Compare the primary metric on each cohort with the frozen one: equal, within the tolerance, or neither.

    Args:
        config: The configuration.
        metrics: All frozen metrics, from which the spread over seeds is taken.
        run: The run.
        recorded: Its frozen predictions.
        again: Those made anew.
        held: What the run is held to.
        runs: How many are compared, which widens the tolerance of each.
    """
    task, context = config.tasks[run.task], Context.of(config, (), ())
    told = told_values(metrics, context)
    chosen = (told["metric"] == task.primary_metric) & (told[list(KEYS)] == [getattr(run, key) for key in KEYS]).all(
        axis=1
    )
    rows = {row["cohort"]: row for row in told[chosen].to_dict("records")}
    spreads, cohorts = seed_spreads(metrics, context), [task.id_cohort, *task.ood_cohorts]
    checks = []
    for cohort in cohorts:
        was, now = (each[(each["cohort"] == cohort) & (each["split"] == "test")] for each in (recorded, again))
        name, observed = f"{task.primary_metric} on {cohort}", primary_metric(now, task)
        if (row := rows.get(cohort)) is None:
            checks.append(found(RUNS, run.path, name, len(now), ["is not among the frozen metrics"]))
            continue
        value = float(row["value"])
        patients = patient_sd(row["ci_low"], row["ci_high"], config.metrics.confidence)
        spread = spreads.get((row["pool"], cohort, task.primary_metric))
        level = level_of_each(runs * len(cohorts))
        chance = run_tolerance(spread, patients, same_images(was, now), level)
        width, basis = (ROUNDING, "") if held.bits else (chance.width, chance.basis)
        difference = 0.0 if np.isnan(observed) and np.isnan(value) else abs(observed - value)
        result: Result = CONFIRMED if difference <= ROUNDING else AS_EXPECTED if difference <= width else DEVIATING
        checks.append(Check(RUNS, run.path, name, result, len(now), basis, value, observed, difference, width))
    return checks


def primary_metric(images: pd.DataFrame, task: Task) -> float:
    """The primary metric of a task on some predicted images, the mean over its two-sided labels; NaN without any."""
    targets = known_targets(images[[TARGET + label for label in task.labels]].to_numpy(float), task.kind)
    labels = two_sided(targets)
    if not labels.any():
        return np.nan
    logits = images[[LOGIT + label for label in task.labels]].to_numpy(float)
    measured = scores(logits, targets, np.ones((1, len(images)), dtype=int), task.kind)[task.primary_metric]
    return float(measured[labels].mean())


def same_images(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables of predictions are of the same images, patients and targets."""
    first, second = (digest(each[[name for name in each if not name.startswith(LOGIT)]]) for each in (one, other))
    return first == second


def _asked(held: Standard) -> str:
    return "bit-equality is promised here" if held.bits else f"judged by metrics, since {held.why}"
