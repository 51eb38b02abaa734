"""Predictions against their frozen digests, and which standard holds for a run: bit-equality, or agreement."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from medtransfer.errors import UserError
from medtransfer.review.digest import digest
from medtransfer.review.frozen import LOGIT, Frozen
from medtransfer.review.provenance import Provenance, Record
from medtransfer.review.verify_rows import Applied, Row, Verdict, flat
from medtransfer.runs import Run

COMPUTED_ON = ("processor", "device", "devices", "threads", "precision", "micro_batch")
PACKAGES = ("torch", "numpy", "timm")
KINDS = ("predictions", "validation")


class Standard(NamedTuple):
    """Whether a run's predictions are promised to be bit-identical, and if not, why."""

    bits: bool
    why: str = ""


def standard(frozen: Record, regenerated: Record) -> Standard:
    """Bits are promised on a CPU of the same model, computing in the same way with the same packages.

    Args:
        frozen: Record of a frozen run or network.
        regenerated: Record of what repeats it.
    """
    one, other = (_machine(record.content) for record in (frozen, regenerated))
    unlike = [f"{key} {one[key]} and {other[key]}" for key in one if one[key] != other[key]]
    if one["device"] != "cpu":
        unlike.insert(0, f"computed on {one['device']}, where bits are promised to nobody")
    return Standard(not unlike, "; ".join(unlike))


def _machine(record: Mapping[str, Any]) -> dict[str, Any]:
    packages = record["packages"]
    minor = ".".join(packages["python"].split(".")[:2])
    computed = {key: record.get(key) for key in COMPUTED_ON}
    return {**computed, "python": minor, **{name: packages.get(name) for name in PACKAGES}}


def frozen_rows(frozen: Frozen, recorded: Provenance) -> list[Row]:
    """Frozen predictions against the digests that were recorded of them, computed anew: all runs, both kinds."""
    rows = []
    for kind in KINDS:
        known = {record.outputs.get(kind): run.path for run, record in recorded.runs.items()}
        for run, record in recorded.runs.items():
            expected, observed, problem = record.outputs.get(kind, ""), "", ""
            try:
                observed = digest(getattr(frozen, kind)(run))
            except (UserError, OSError, ValueError) as error:
                problem = str(error)
            if observed != expected:
                shared = f"{kind}/{run.task}.images.parquet"
                changed = f"changed after its digest was taken; images and targets of a task's runs stand in {shared}"
                problem = problem or _elsewhere(observed, known) or changed
            rows.append(
                Row(
                    "predictions",
                    run.path,
                    f"digest of frozen {kind}",
                    expected,
                    observed,
                    "identical" if observed == expected else "deviates" if observed else "missing",
                    "bit-equality",
                    reason=problem,
                )
            )
    return rows


def regenerated_rows(old: Provenance, new: Provenance, held: Mapping[Run, Standard], far: Collection[str]) -> list[Row]:
    """Regenerated predictions against the frozen ones: all runs of both sides, both kinds.

    Args:
        old: Frozen records.
        new: Regenerated ones.
        held: For each run whether bits are promised.
        far: Paths of runs whose metrics do not agree: what counts where bits are not promised.
    """
    rows = []
    for kind in KINDS:
        known = {record.outputs.get(kind): run.path for run, record in old.runs.items()}
        for run, (bits, why) in held.items():
            expected, observed = (side.runs[run].outputs.get(kind, "") for side in (old, new))
            verdict: Verdict = "identical" if expected == observed else "deviates"
            reason = ""
            if expected != observed:
                reason = (
                    _elsewhere(observed, known) or "bit-equality is promised here; its metrics say how far off it is"
                )
                if not bits and observed not in known:
                    verdict = "deviates" if run.path in far else "agrees"
                    reason = f"bits are not promised ({why}): judged by metrics"
                reason += _unlike_inputs(old.runs[run], new.runs[run])
            applied: Applied = "bit-equality" if bits or expected == observed else "agreement"
            what = f"digest of regenerated {kind}"
            rows.append(Row("predictions", run.path, what, expected, observed, verdict, applied, reason=reason))
    return rows


def _unlike_inputs(*records: Record) -> str:
    """Which files two runs were made from are not the same; weights, which are compared themselves, left out."""
    one, other = (flat({**record.content["inputs"], "weights": None}) for record in records)
    unlike = [key for key in one if one[key] != other.get(key)]
    return f"; its inputs differ: {', '.join(unlike)}" if unlike else ""


def network_rows(old: Provenance, new: Provenance) -> list[Row]:
    """Networks that were pre-trained anew against the frozen ones; those whose bits may differ are judged by runs."""
    rows = []
    for network in dict.fromkeys([*old.networks, *new.networks]):
        one, other = old.networks.get(network), new.networks.get(network)
        expected, observed = (record.outputs.get("weights", "") if record else "" for record in (one, other))
        verdict: Verdict = "identical" if expected == observed else "deviates"
        reason = ""
        if one is None or other is None:
            verdict = "missing" if one else "extra"
        elif expected != observed:
            held = standard(one, other)
            verdict, reason = ("deviates", "bit-equality is promised here") if held.bits else ("agrees", held.why)
        applied: Applied = "agreement" if verdict == "agrees" else "bit-equality"
        rows.append(
            Row("predictions", network.path, "SHA-256 of weights", expected, observed, verdict, applied, reason=reason)
        )
    return rows


def _elsewhere(observed: str, known: Mapping[str | None, str]) -> str:
    return f"these are the predictions recorded of {known[observed]}" if observed in known else ""


def same_images(frozen: Frozen, results: Path, runs: list[Run]) -> set[tuple[str, str]]:
    """Tasks and cohorts in which regenerated runs were tested on the frozen images, with the frozen targets.

    All runs of a task are predicted on the same images, so one of each is looked at.
    """
    found = set()
    for run in {run.task: run for run in runs}.values():
        path = results / "runs" / run.path / "predictions.parquet"
        if not path.is_file():
            continue
        one, other = (_tested(table) for table in (frozen.predictions(run), pd.read_parquet(path)))
        found |= {(run.task, cohort) for cohort in one if one[cohort] == other.get(cohort)}
    return found


def _tested(predictions: pd.DataFrame) -> dict[str, str]:
    """A digest of the test images and targets of each cohort."""
    images = predictions[[column for column in predictions if not column.startswith(LOGIT)]]
    tested = images[images["split"] == "test"]
    return {str(cohort): digest(part) for cohort, part in tested.groupby("cohort")}
