"""What the results rest on: cohorts, runs that are there, computation spent, environment."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd

from medtransfer.cohorts import SPLITS
from medtransfer.results import Study
from medtransfer.runs import KEYS

Record = Mapping[str, Any]
"""What a run (`run.json`) or pre-training recorded."""

PACKAGES = ("numpy", "pandas", "pyarrow", "scipy", "matplotlib", "snakemake", "jinja2", "docutils")
"""What figures, tables, verdicts and this page are made with."""
PROBLEMS = {"rejected": "Not used", "note": "Decoding", "duplicates": "Duplicates"}
"""Sections of a cohort's counts that are not by split, and what they are called."""


@dataclass(frozen=True)
class Cohort:
    """A cohort at a glance, and all its counts."""

    name: str
    title: str
    role: str
    images: list[int]  # by split
    patients: list[int]
    problems: list[int]  # how many, in the order of PROBLEMS
    counts: list[tuple[str, str, list[int]]]  # property, value, images by split
    remarks: list[tuple[str, str, int]]  # problem, what it is, how many


@dataclass(frozen=True)
class Spent:
    """What networks of one kind took to train on one kind of device; seconds are summed over devices."""

    what: str
    of: str
    backbone: str
    networks: int
    images_seen: int
    seconds: float
    device: str
    nodes: str


def cohort(numbers: pd.DataFrame, name: str, title: str, studies: Sequence[Study]) -> Cohort:
    """What a cohort's tidy counts say.

    Args:
        numbers: Columns section, name, value, split, count, as the rule `cohort_quality` writes them.
        name: The cohort.
        title: Its title.
        studies: Their tasks say what it is used for.
    """
    by_split, others = numbers[numbers["split"] != ""], numbers[numbers["split"] == ""]
    wide = by_split.pivot_table("count", ["section", "name", "value"], "split", sort=False).astype(int)[list(SPLITS)]
    rows = {(str(of), str(value)): row.tolist() for (_, of, value), row in wide.iterrows()}
    totals = others.groupby("section")["count"].sum()
    return Cohort(
        name=name,
        title=title,
        role=_role(name, studies),
        images=rows.pop(("size", "images")),
        patients=rows.pop(("size", "patients")),
        problems=[int(totals.get(section, 0)) for section in PROBLEMS],
        counts=[(of, value, row) for (of, value), row in rows.items()],
        remarks=[
            (PROBLEMS[section], what, int(n))
            for section, what, n in zip(others["section"], others["name"], others["count"], strict=True)
        ],
    )


def _role(name: str, studies: Sequence[Study]) -> str:
    tasks = [task for study in studies for task in study["tasks"].values()]
    trained = any(task["id_cohort"] == name for task in tasks)
    tested = any(name in task["ood_cohorts"] for task in tasks)
    roles = [("fine-tuned on it", trained), ("tested on it, out of distribution", tested)]
    return "; ".join(role for role, holds in roles if holds) or "pre-trained on it"


def completeness(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """For each arm how many runs it asks for and how many are there; and the names of those that are missing."""
    present = runs["status"] == "present"
    arms = runs.assign(arm=runs["arms"].str.split(), present=present).explode("arm")
    table = arms.groupby("arm", sort=False)["present"].agg(asked="size", present="sum").reset_index()
    missing = ["/".join(map(str, row)) for row in runs.loc[~present, list(KEYS)].itertuples(index=False)]
    return table.assign(missing=table["asked"] - table["present"]), missing


def spent(records: Sequence[Record]) -> list[Spent]:
    """What was spent, by what was trained, on what, backbone and device."""
    table = pd.DataFrame(
        {
            "what": "fine-tuning" if "task" in record else "pre-training",
            "of": record["task"] if "task" in record else record["upstream"],
            "backbone": record["backbone"],
            "images_seen": record["images_seen"],
            "seconds": record["devices"] * sum(record["seconds"].values()),
            "device": record["device"],
            "node": record["node"],
        }
        for record in records
    )
    return [
        Spent(
            what=what,
            of=of,
            backbone=backbone,
            networks=len(part),
            images_seen=int(part["images_seen"].sum()),
            seconds=float(part["seconds"].sum()),
            device=device,
            nodes=", ".join(sorted(set(part["node"]))),
        )
        for (what, of, backbone, device), part in table.groupby(["what", "of", "backbone", "device"], sort=False)
    ]


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: 3,725 is `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:,}:{minutes % 60:02}:{rest:02}"


def packages(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    """Names of packages, their versions where networks were trained, and those that this page was made with."""
    trained: dict[str, set[str]] = {}
    for record in records:
        for name, number in record["packages"].items():
            trained.setdefault(name, set()).add(number)
    here = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return [
        (name, ", ".join(sorted(trained.get(name, ()))) or "–", here.get(name, "–")) for name in {**trained, **here}
    ]


def machines(records: Sequence[Record]) -> list[tuple[str, str, int, int]]:
    """Node, device, threads and number of networks, of each machine that trained some; that with most first."""
    found = Counter((record["node"], record["device"], record["threads"]) for record in records)
    return [(*machine, networks) for machine, networks in found.most_common()]
