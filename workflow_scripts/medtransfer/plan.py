"""What a configuration's runs need of each other, and what is made of them: plain values that the rules hand on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from medtransfer.config import NO_UPSTREAM, RULE, Config, Finetuned, Released
from medtransfer.datasets.card import load_card
from medtransfer.errors import UserError
from medtransfer.models.catalogue import parameter_count
from medtransfer.runs import Run, budget_name

REPORTED = {"title", "subgroups", "intersections", "primary_metric"}
"""A task's settings that training does not depend on, and records of runs leave out."""
PRIMARY = ("completeness.csv", "primary/metrics.parquet", "primary/replicates.parquet")
NEEDS = {
    "primary": PRIMARY,
    "metrics": ("completeness.csv", "metrics.parquet", "replicates.parquet"),
    **{name: (f"{name}.parquet",) for name in ("curves", "diagrams", "similarity")},
    **{name: (f"{name}.csv",) for name in ("upstreams", "claims")},
}
"""What a figure or table can be made from: files of the tier's folder. `primary` is of `metrics` the primary metric of
all test images, which is a hundredth of it."""


class Shown(NamedTuple):
    """A figure or table; its rule, script and caption have its name."""

    title: str
    arm: str
    """The arm of a study without which it is not made."""
    needs: Sequence[str] = ("primary",)
    """Names of NEEDS."""
    category: str = "Study scale"
    """Where the report has it."""

    def tables(self, folder: Path | str) -> dict[str, str]:
        """The paths of what it needs in a tier's folder, by the names that scripts know them by."""
        return {Path(name).stem: f"{folder}/{name}" for need in self.needs for name in NEEDS[need]}


def read_shown(path: Path) -> tuple[dict[str, Shown], dict[str, Shown]]:
    """The figures and the tables that `config/figures.yaml` lists, each by its name.

    Raises:
        UserError: An entry has a key that is not there, lacks one, or needs what there is not.
    """
    content = yaml.safe_load(path.read_text())
    entries = [(kind, name, entry) for kind in ("figures", "tables") for name, entry in content[kind].items()]
    for kind, name, entry in entries:
        wrong = {*entry} - {*Shown._fields} or {"title", "arm"} - {*entry} or {*entry.get("needs", ())} - {*NEEDS}
        if wrong:
            raise UserError(
                f"{path}: {kind}.{name}: {', '.join(sorted(wrong))} is missing or not known. An entry has title and "
                f"arm, and may have needs (of {', '.join(NEEDS)}) and category."
            )
    figures, tables = ({n: Shown(**entry) for k, n, entry in entries if k == kind} for kind in ("figures", "tables"))
    return figures, tables


FIGURES, TABLES = read_shown(Path(__file__).parents[2] / "config" / "figures.yaml")


def shown(config: Config, drawn: Mapping[str, Shown]) -> dict[str, Shown]:
    """Of figures or tables those whose arm some study has."""
    arms = {arm for study in config.studies.values() for arm in study.arms}
    return {name: each for name, each in drawn.items() if each.arm in arms}


def cohort_title(config: Config, cohort: str, cards: Path) -> str:
    """A cohort's name for readers: the configuration's, or that of its dataset's card in the folder `cards`."""
    if cohort in config.cohorts:
        return config.cohorts[cohort].title
    reader = cohort in config.datasets and config.datasets[cohort].reader
    return load_card(cards / f"{reader or cohort}.yaml").title


def cohort_names(config: Config, task: str) -> list[str]:
    """The cohorts of a task, the one that is trained on first."""
    return [config.tasks[task].id_cohort, *config.tasks[task].ood_cohorts]


def task_groups(config: Config, runs: Sequence[Run]) -> dict[str, str]:
    """For each task the first that has the same cohorts, which need to be compared with one another but once."""
    first: dict[tuple[str, ...], str] = {}
    tasks = dict.fromkeys(run.task for run in runs)
    return {task: first.setdefault(tuple(cohort_names(config, task)), task) for task in tasks}


def origin(upstream: Finetuned, backbone: str, seed: int) -> Run:
    """The run whose network a fine-tuned upstream goes on from."""
    initialisation = "random" if upstream.upstream == NO_UPSTREAM else "pretrained"
    return Run(upstream.task, backbone, upstream.upstream, initialisation, RULE, budget_name(1.0), seed)


def origins(config: Config, runs: Sequence[Run]) -> list[Run]:
    """All runs that others go on from, which therefore keep their weights."""
    return [
        origin(upstream, run.backbone, run.seed)
        for run in runs
        if isinstance(upstream := config.upstreams.get(run.upstream), Finetuned)
    ]


def released_facts(config: Config) -> dict[str, dict[str, Any]]:
    """Of each upstream published by others: images, how many of them were `seen`, at what size."""
    return {
        name: {"images": upstream.images, "seen": round(upstream.images * upstream.epochs), "crop": upstream.crop}
        for name, upstream in config.upstreams.items()
        if isinstance(upstream, Released)
    }


def study_facts(config: Config, runs: Sequence[Run], study: str, cohort_titles: Mapping[str, str]) -> dict[str, Any]:
    """What figures, tables and claims need to know of a study: a `medtransfer.results.Study`."""
    own = [run for run in runs if any(arm.startswith(f"{study}/") for arm in run.arms)]
    tasks, backbones, upstreams = (
        list(dict.fromkeys(getattr(run, key) for run in own)) for key in ("task", "backbone", "upstream")
    )
    reported = {"title", "kind", "labels", "primary_metric", "id_cohort", "ood_cohorts"}
    adapted = {name: each for name, each in config.upstreams.items() if isinstance(each, Finetuned)}
    cohorts = {cohort: cohort_titles[cohort] for task in tasks for cohort in cohort_names(config, task)}
    return {
        "name": study,
        "tasks": {task: config.tasks[task].model_dump(include=reported) for task in tasks},
        "backbones": {backbone: parameter_count(backbone) for backbone in backbones},
        "upstreams": upstreams,
        "adapted": {name: each.model_dump(include={"task", "upstream"}) for name, each in adapted.items()},
        "variants": config.studies[study].variants,
        "roles": dict(config.studies[study].roles),
        "titles": cohorts
        | {name: f"{each.upstream}, then {config.tasks[each.task].title}" for name, each in adapted.items()},
        "confidence": config.metrics.confidence,
        "min_group": config.metrics.min_group,
        "note": config.note,
    }
