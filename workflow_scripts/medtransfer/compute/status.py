"""How far training is: what is done, what runs where and how fast, what stalled or failed, and what is left of it.

All is read from the results and from scratch folders, while jobs write there: files may be missing, half written or of
an older version. What cannot be read is taken to be not there.
"""

import json
import os
import re
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from typing import Any

from medtransfer.compute.forecast import Job, aligned
from medtransfer.compute.partitions import clock
from medtransfer.processes import is_alive
from medtransfer.training.attempt import CHECKPOINT, CRASHES, FINISHED, OUTCOME, OWNER, PROGRESS, RECORD, STALE_SECONDS

STATES = ("done", "trained", "running", "stalled", "failed", "waiting")
"""`trained`: finished, but not among the results yet. `stalled`: its process has ended, or is silent. `waiting`: all
else, not begun yet or interrupted."""
DONE, TRAINED, RUNNING, STALLED, FAILED, WAITING = STATES
SHOWN = 40
"""At most so many running jobs are printed; the table has them all."""
ABSURD = 1e12
"""No number that is told is so large."""
FOREVER = 1e10
"""Seconds: what is to take longer is not meant to end."""
WIDTH = 160
"""Characters of a reason that are printed."""
HEADINGS = ("run", "node", "device", "SLURM job", "step", "images/s", "data", "MB", "GPU MB", "checkpoint", "to go")


@dataclass(frozen=True)
class Status:
    """What is known of a training job: a row of the table. None is what is not known, or does not apply."""

    run: str
    """Its folder among the results."""
    rule: str
    state: str
    """One of `STATES`."""
    scratch: str
    """Folder of its resume state."""
    devices: int
    """GPUs, or CPU processes."""
    node: str | None
    device: str | None
    """What the device calls itself."""
    slurm_job: str | None
    step: int | None
    steps: int | None
    loss: float | None
    images_per_second: float | None
    data_share: float | None
    """Share of the training time that was waiting for data."""
    peak_memory_mb: int | None
    peak_gpu_memory_mb: int | None
    silent_seconds: float | None
    """Since the last heartbeat of whoever works on it."""
    checkpoint_step: int | None
    checkpoint_seconds: float | None
    """Since the last checkpoint."""
    spent: float
    """Seconds, as far as they are known."""
    left: float
    """Seconds that it is expected to take from now on; 0 where it is not tried again."""
    reason: str | None
    """Why it failed."""
    crash: str | None
    """The error nobody expected, after which it is tried again."""


def scratch_of(record: Path, results: Path) -> Path:
    """The scratch folder of a run or a pre-training, by the record that it writes."""
    kind, *folders, name = record.relative_to(results).parts
    return Path(results, "scratch", *(folders if kind == "runs" else [kind, *folders, Path(name).stem]))


def file_clock(folder: Path) -> float:
    """Unix time by the clock that stamps the files of a folder: that of a file server may differ from ours."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def status(job: Job, images: int, results: Path, now: float) -> Status:
    """Look at one training job.

    Args:
        job: A run or a pre-training.
        images: Images that it trains on, each counted as often as it is seen.
        results: Folder of the tier's results.
        now: What `file_clock` says.
    """
    record, scratch = Path(job.record), scratch_of(Path(job.record), results)
    there = _names(scratch)

    def read(name: str) -> dict[str, Any]:
        return _read(scratch / name) if name in there else {}

    owner, progress, outcome = read(OWNER), read(PROGRESS), read(OUTCOME)
    silent = _age(scratch / OWNER, now) if OWNER in there else None
    made: dict[str, Any] = {}
    if silent is not None:
        state = STALLED if silent > STALE_SECONDS or _is_gone(owner) else RUNNING
    elif outcome.get("status") == FAILED:
        state = FAILED
    elif _age(record, now) is not None:
        state, made = DONE, _read(record)
    elif outcome.get("status") == "finished" or _age(scratch / FINISHED / RECORD, now) is not None:
        state, made = TRAINED, _read(scratch / FINISHED / RECORD)
    else:
        state = WAITING
    # A process that is still preparing has told nothing: what lies there is an earlier one's.
    mine = all(owner.get(key) == progress.get(key) for key in ("host", "pid", "started"))
    told = state == RUNNING and mine
    step, steps = _count(progress.get("step")), _count(progress.get("steps"))
    kept = (_count(progress.get("checkpoint_step")) or step) if CHECKPOINT in there else 0
    speed = _number(progress.get("images_per_second"))
    pace = images / steps / speed if steps and speed and speed > 1 / ABSURD else job.seconds / (steps or 1)
    crash = read(CRASHES).get("error") if state in (RUNNING, STALLED, WAITING) else None
    return Status(
        run="/".join(record.relative_to(results).parts[1:]).removesuffix(f"/{RECORD}").removesuffix(".json"),
        rule=job.rule,
        state=state,
        scratch=str(scratch),
        devices=_count(made.get("devices")) or max(job.gpus, 1),
        node=_word(made.get("node") or owner.get("host")),
        device=_word(made.get("device") or (mine and progress.get("device"))),
        slurm_job=_word(made.get("slurm_job") or owner.get("slurm_job")),
        step=step,
        steps=steps,
        loss=_number(progress.get("loss")),
        images_per_second=speed if told else None,
        data_share=_number(progress.get("data_share")) if told else None,
        peak_memory_mb=_count((made or progress).get("peak_memory_mb")),
        peak_gpu_memory_mb=_count((made or progress).get("peak_gpu_memory_mb")),
        silent_seconds=silent,
        checkpoint_step=_count(progress.get("checkpoint_step")),
        checkpoint_seconds=_age(scratch / CHECKPOINT, now) if CHECKPOINT in there else None,
        spent=_training_seconds(made) if made else (step or 0) * pace,
        left=_left(state, job.seconds, step if told else kept, steps, pace if told else None),
        reason=(_word(outcome.get("reason")) or "No reason is given.") if state == FAILED else None,
        crash=_word(crash),
    )


def _left(state: str, expected: float, step: int | None, steps: int | None, pace: float | None) -> float:
    """Seconds that are left: at the pace that is seen, otherwise as a share of what was expected."""
    if state in (DONE, TRAINED, FAILED):
        return 0.0
    if not step or not steps:
        return expected
    ahead = max(steps - step, 0)
    return min(ahead * pace if pace is not None else expected * ahead / steps, FOREVER)


def _training_seconds(record: dict[str, Any]) -> float:
    seconds = record.get("seconds")
    known = [_number(each) for each in seconds.values()] if isinstance(seconds, dict) else []
    return sum(each for each in known if each)


def _is_gone(owner: dict[str, Any]) -> bool:
    """Whether the owner's process is known to be no more, which can be seen on its own machine alone."""
    with suppress(LookupError, TypeError, ValueError, OSError):
        return is_alive(owner) is False
    return False


def _names(folder: Path) -> set[str]:
    """What lies in a folder: asked for once, since every look at a file takes its time on a network file system."""
    with suppress(OSError):
        return {path.name for path in folder.iterdir()}
    return set()


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one for what is missing, half written or anything else."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            return content
    return {}


def _age(path: Path, now: float) -> float | None:
    with suppress(OSError):
        return max(now - path.stat().st_mtime, 0.0)
    return None


def _number(value: object) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and abs(value) < ABSURD else None  # type: ignore[arg-type, return-value]


def _count(value: object) -> int | None:
    number = _number(value)
    return None if number is None or number < 0 else int(number)


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def text(found: Sequence[Status], gpus: bool, now: float) -> str:
    """How far training is, for people.

    Args:
        found: All training jobs of a tier.
        gpus: Whether they train on GPUs.
        now: What `file_clock` says.
    """
    parts = [counts(found), running(found), stalled(found), failures(found), crashes(found), outlook(found, gpus, now)]
    return "\n".join(f"{part}\n" for part in parts if part)


def counts(found: Iterable[Status]) -> str:
    """How many jobs of each rule are in each state, as aligned text."""
    numbers: dict[str, dict[str, int]] = {}
    for each in found:
        of_rule = numbers.setdefault(each.rule, dict.fromkeys(STATES, 0))
        of_rule[each.state] += 1
    rows = [(state, *(f"{of_rule[state]:,}" for of_rule in numbers.values())) for state in STATES]
    return aligned([("", *numbers), *rows, ("all", *(f"{sum(of_rule.values()):,}" for of_rule in numbers.values()))])


def running(found: Iterable[Status]) -> str:
    """What runs now, the longest to go first: where, how far, how fast, and when its state was saved."""
    now = sorted((each for each in found if each.state == RUNNING), key=lambda each: -each.left)
    if not now:
        return ""
    waits = [each.data_share for each in now if each.data_share is not None]
    nodes = {each.node for each in now}
    lines = [
        f"Running: {_jobs(len(now))} on {len(nodes):,} node{'s' * (len(nodes) > 1)}"
        + (f"; {statistics.median(waits):.0%} of their time is waiting for data (median)." if waits else "."),
        aligned([HEADINGS, *map(_cells, now[:SHOWN])]),
    ]
    return "\n".join(lines + ([f"and {len(now) - SHOWN:,} more"] if len(now) > SHOWN else []))


def _cells(each: Status) -> tuple[str, ...]:
    def cell(value: float | None, shown: str) -> str:
        return "" if value is None else shown.format(value)

    return (
        each.run,
        each.node or "",
        each.device or "",
        each.slurm_job or "",
        "preparing" if each.images_per_second is None else f"{each.step or 0:,}/{each.steps or 0:,}",
        cell(each.images_per_second, "{:,.0f}"),
        cell(each.data_share, "{:.0%}"),
        cell(each.peak_memory_mb, "{:,}"),
        cell(each.peak_gpu_memory_mb, "{:,}"),
        "none" if each.checkpoint_seconds is None else f"{clock(each.checkpoint_seconds / 60)} ago",
        clock(each.left / 60),
    )


def stalled(found: Iterable[Status]) -> str:
    """What somebody works on who is no more, or has not been heard of for a while."""
    silent = [each for each in found if each.state == STALLED]
    if not silent:
        return ""
    rows = [
        (f"  {each.run}", each.node or "", each.slurm_job or "", clock((each.silent_seconds or 0) / 60))
        for each in silent[:SHOWN]
    ]
    return "\n".join(
        [
            f"Stalled: {_jobs(len(silent))} whose process has ended or was not heard of for {STALE_SECONDS:.0f} s. Who "
            "tries it next goes on from its checkpoint.",
            aligned([("  run", "node", "SLURM job", "silent for"), *rows]),
        ]
    )


def failures(found: Iterable[Status]) -> str:
    """What is not tried again, by reason: how many, one of them, and how to try it again."""
    failed = [each for each in found if each.state == FAILED]
    if not failed:
        return ""
    lines = [f"Failed: {_jobs(len(failed))}. Not tried again until something changes that they depend on."]
    for group in _alike(failed, "reason"):
        lines += [
            f"  {len(group):,} x {headline(group[0].reason)}",
            f"      such as {group[0].run}; to try it again: rm {group[0].scratch}/{OUTCOME}",
        ]
    return "\n".join(lines)


def crashes(found: Iterable[Status]) -> str:
    """What ended by an error nobody expected and is tried once more, by error."""
    crashed = [each for each in found if each.crash]
    if not crashed:
        return ""
    lines = [f"Crashed once: {_jobs(len(crashed))}. They are tried again; the second time it is their failure."]
    lines += [
        f"  {len(group):,} x {headline(group[0].crash)}\n      such as {group[0].run}"
        for group in _alike(crashed, "crash")
    ]
    return "\n".join(lines)


def _alike(found: Iterable[Status], key: str) -> list[list[Status]]:
    """Jobs by what went wrong, the most frequent first; numbers and paths in it do not count."""
    groups: dict[str, list[Status]] = {}
    for each in found:
        groups.setdefault(re.sub(r"\S*[\d/]\S*", "", " ".join(_ends(getattr(each, key)))), []).append(each)
    return sorted(groups.values(), key=len, reverse=True)


def headline(reason: str | None) -> str:
    """A reason in a line: its first and, where a traceback follows, the last, which names the error; both shortened."""
    return " ".join(shorten(end, WIDTH, placeholder=" ...") for end in _ends(reason))


def _ends(reason: str | None) -> list[str]:
    lines = [line.strip() for line in (reason or "").splitlines() if line.strip()]
    return [end for end in dict.fromkeys([*lines[:1], *lines[-1:]]) if not end.startswith("Traceback ")]


def outlook(found: Sequence[Status], gpus: bool, now: float) -> str:
    """What was spent, what is left, and when it is done if as many run as now."""
    unit = "GPU-hours" if gpus else "hours"
    spent, left = (sum(each.devices * getattr(each, key) for each in found) / 3600 for key in ("spent", "left"))
    failed = sum(each.state == FAILED for each in found)
    lines = [f"{unit}: {spent:,.1f} spent, {left:,.1f} expected to be left{', without what failed' * bool(failed)}."]
    busy = [each for each in found if each.state == RUNNING]
    if left and not busy:
        lines.append("Nothing runs now.")
    elif left:
        # Not before the longest of all, however many run beside it.
        seconds = max(3600 * left / sum(each.devices for each in busy), *(each.left for each in found))
        seconds = min(seconds, FOREVER)
        end = datetime.fromtimestamp(now + seconds).strftime("%Y-%m-%d %H:%M")
        lines.append(f"With as many running as now ({len(busy):,}), all is done in {clock(seconds / 60)}, on {end}.")
    return "\n".join(lines)


def _jobs(number: int) -> str:
    return f"{number:,} job{'s' * (number != 1)}"
