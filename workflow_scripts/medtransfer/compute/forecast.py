"""What is still to be computed: jobs, GPU-hours, CPU-hours, disk, before any of it is started."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from medtransfer.compute.partitions import Asked, Partition, describe, named, refusals, unsatisfiable, waiting

SHARED = "(shared)"
"""Stands in a table for what belongs to no single study, task, backbone or upstream."""
TABLES = ("rule", "study", "task", "backbone", "upstream")
HEADINGS = ("jobs", "GPU-hours", "CPU-hours", "disk", "longest")


@dataclass(frozen=True)
class Job:
    """A job of the workflow: what it is for, what it asks of a cluster, what it is expected to take."""

    rule: str
    record: str
    """A file that the job writes: by it the job is known, and what it took, once it is done."""
    done: bool
    threads: int
    mem_mb: int
    minutes: int
    """Asked for."""
    seconds: float
    """Expected, start-up included."""
    gpus: int = 0
    disk: int = 0
    """Bytes it writes and leaves."""
    studies: tuple[str, ...] = ()
    """The studies that use it, in the order of the configuration."""
    task: str = ""
    backbone: str = ""
    upstream: str = ""
    pixels: int = 0
    """Side of the images that a network sees; 0 where none is trained."""
    partition: str = ""
    """Where it is to run; "" is the cluster's default. SLURM takes a list with commas, too."""
    gpu_model: str = ""
    batch: str = ""
    """The cluster job in which it and others are carried out one after the other; "" if it has its own."""
    last_mem_mb: int = 0
    """Asked for when it is tried for the last time; 0 if that is the same."""
    last_minutes: int = 0
    """Asked for when it is tried for the last time; 0 if that is the same."""

    @property
    def study(self) -> str:
        """The first study that uses it, under which it is counted."""
        return self.studies[0] if self.studies else ""

    @property
    def kind(self) -> str:
        """What to call it and those like it: `finetune r152x4 at 448 px`."""
        return " ".join([self.rule, self.backbone, f"at {self.pixels} px" if self.pixels else ""]).strip()

    def asked(self, last: bool = False) -> Asked:
        """What it asks for when it is tried for the first time, or for the last."""
        return Asked(
            what=self.kind,
            partition=self.partition,
            gpus=self.gpus,
            gpu_model=self.gpu_model,
            threads=self.threads,
            mem_mb=(last and self.last_mem_mb) or self.mem_mb,
            minutes=(last and self.last_minutes) or self.minutes,
        )


@dataclass(frozen=True)
class Total:
    """What some jobs amount to."""

    jobs: int
    gpu_hours: float
    cpu_hours: float
    disk: int
    """Bytes."""
    longest: float
    """Seconds of the longest job."""


def total(jobs: Sequence[Job]) -> Total:
    """What jobs amount to: how many, expected hours of GPUs and of CPU threads, bytes, seconds of the longest."""
    return Total(
        len(jobs),
        sum(job.gpus * job.seconds for job in jobs) / 3600,
        sum(job.threads * job.seconds for job in jobs) / 3600,
        sum(job.disk for job in jobs),
        max((job.seconds for job in jobs), default=0.0),
    )


def missing(jobs: Iterable[Job]) -> list[Job]:
    """The jobs that are not done."""
    return [job for job in jobs if not job.done]


def totals_by(key: str, jobs: Iterable[Job]) -> dict[str, Total]:
    """What jobs amount to for each value of a key out of `TABLES`, in order of appearance."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(getattr(job, key) or SHARED, []).append(job)
    return {value: total(group) for value, group in groups.items()}


def submissions(jobs: Iterable[Job], last: bool = False) -> list[Asked]:
    """What is asked of a cluster for some jobs, at their first attempt or their last.

    A batch is one job there: it asks for the time of all that are in it, and for the most of what each needs.
    """
    groups: dict[str, list[Asked]] = {}
    for job in jobs:
        groups.setdefault(job.batch or job.record, []).append(job.asked(last))
    return [
        replace(
            group[0],
            gpus=max(each.gpus for each in group),
            threads=max(each.threads for each in group),
            mem_mb=max(each.mem_mb for each in group),
            minutes=sum(each.minutes for each in group),
        )
        for group in groups.values()
    ]


def several_studies(jobs: Iterable[Job]) -> str:
    """A line on jobs that several studies use and that are counted once; "" if there are none."""
    several = Counter(job.studies for job in jobs if len(job.studies) > 1)
    if not several:
        return ""
    each = [f"{number:,} under {first} (also {', '.join(others)})" for (first, *others), number in several.items()]
    return f"Used by several studies, and counted once: {'; '.join(each)}."


def too_short(jobs: Iterable[Job]) -> str:
    """A line on jobs that ask for less time than they are expected to take; "" if there are none."""
    number = sum(job.seconds > 60 * job.minutes for job in jobs)
    if not number:
        return ""
    return f"Take more time than they ask for, and go on from their checkpoint in the next attempt: {number:,} jobs."


def text(jobs: Sequence[Job], tier: str, basis: str) -> str:
    """The forecast as aligned text: what is missing by rule, study, task, backbone and upstream, and in all.

    Args:
        jobs: All jobs of the tier.
        tier: Its name.
        basis: Where the expected seconds come from.
    """
    left = missing(jobs)
    if not left:
        return f"Tier {tier}: all {len(jobs):,} jobs are done.\n"
    tables = [
        [(key, *HEADINGS), *((name, *_cells(each)) for name, each in totals_by(key, left).items())] for key in TABLES
    ]
    asked = submissions(left)
    gpu_hours = sum(each.gpus * each.minutes for each in asked) / 60
    longest = max(left, key=lambda job: job.seconds)
    return "\n".join(
        [
            f"Tier {tier}: {len(left):,} of {len(jobs):,} jobs are still to be done.\n",
            *(f"{aligned(rows)}\n" for rows in tables),
            f"{aligned([('', *HEADINGS), ('total', *_cells(total(left)))])}\n",
            f"Expected, from {basis}. A cluster is asked for {gpu_hours:,.1f} GPU-hours in {len(asked):,} jobs.",
            f"The longest is {longest.record}.",
            *(line for line in [several_studies(left), too_short(left)] if line),
            "",
        ]
    )


def verdict(jobs: Iterable[Job], partitions: Mapping[str, Partition]) -> str:
    """What the cluster has where missing jobs are to run, and which of them it cannot start: ever, again, or now."""
    left = missing(jobs)
    first, last = submissions(left), submissions(left, last=True)
    refused = {asked for asked in {*first} if refusals(asked, partitions)}
    again = [later for asked, later in zip(first, last, strict=True) if asked not in refused]
    found = {
        "What can never start; it has to ask for less, or for another partition (resource slurm_partition):": (
            unsatisfiable(first, partitions)
        ),
        "What can start, but not for its last attempt, which asks for more:": unsatisfiable(again, partitions),
        "What can start once more is in service again:": waiting(first, partitions),
    }
    lines = [line for title, each in found.items() if each for line in [title, *(f"  {one}" for one in each)]]
    places = {each.name: describe(each) for asked in {*first} for each in named(asked.partition, partitions)}
    return "\n".join([*places.values(), *(lines or ["All that is still to be done can start."]), ""])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as lines: the first column to the left, the others to the right, two spaces between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cells(each: Total) -> tuple[str, ...]:
    return (
        f"{each.jobs:,}",
        f"{each.gpu_hours:,.1f}",
        f"{each.cpu_hours:,.1f}",
        f"{each.disk / 1e9:,.1f} GB",
        f"{int(each.longest) // 3600}:{int(each.longest) // 60 % 60:02d} h",
    )
