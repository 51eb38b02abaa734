"""What names in a configuration refer to: every task, metric, backbone, initialisation, ... that is named is there."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from medtransfer.config.names import NO_UPSTREAM, RULE, TRIALS
from medtransfer.config.studies import Grid, Study
from medtransfer.config.training import Finetuned, PretrainedHere, Released
from medtransfer.datasets import known_datasets
from medtransfer.metrics import scores
from medtransfer.models.catalogue import BACKBONES
from medtransfer.models.initialisations import INITIALISATIONS

if TYPE_CHECKING:
    from medtransfer.config import Config


def problems(config: "Config") -> list[str]:
    """A line for each name that refers to nothing, or that means two things: key, value, what is allowed."""
    return [*_data(config), *_tasks(config), *_upstreams(config), *_recipes(config), *_studies(config)]


def _datasets(config: "Config") -> list[str]:
    return [*known_datasets(), *(name for name, dataset in config.datasets.items() if dataset.reader)]


def _data(config: "Config") -> Iterator[str]:
    datasets = _datasets(config)
    yield from _unknown("synthetic", config.synthetic, known_datasets(), "dataset")
    yield from _unknown("datasets", config.datasets, datasets, "dataset (one of your own names its `reader`)")
    for name, dataset in config.datasets.items():
        yield from _unknown(f"datasets.{name}.reader", [dataset.reader or name], known_datasets(), "reader")
    for name, cohort in config.cohorts.items():
        yield from _unknown(f"cohorts.{name}.of", cohort.of, datasets, "dataset")
        if name in datasets:
            yield f"cohorts.{name}: this is the name of a dataset already"


def _tasks(config: "Config") -> Iterator[str]:
    cohorts = [*_datasets(config), *config.cohorts]
    for name, task in config.tasks.items():
        yield from _unknown(f"tasks.{name}.id_cohort", [task.id_cohort], cohorts, "dataset or cohort")
        yield from _unknown(f"tasks.{name}.ood_cohorts", task.ood_cohorts, cohorts, "dataset or cohort")
        if task.id_cohort in task.ood_cohorts:
            yield f"tasks.{name}.ood_cohorts: {task.id_cohort!r} is the in-distribution cohort already"
        yield from _unknown(f"tasks.{name}.primary_metric", [task.primary_metric], scores.METRICS, "metric")


def _upstreams(config: "Config") -> Iterator[str]:
    datasets = _datasets(config)
    beginnings = [name for name, each in config.upstreams.items() if not isinstance(each, Finetuned)]
    if NO_UPSTREAM in config.upstreams:
        yield f"upstreams.{NO_UPSTREAM}: this name stands for random weights and cannot be defined"
    for name, upstream in config.upstreams.items():
        if name in (*datasets, *config.cohorts):
            yield f"upstreams.{name}: this is the name of a dataset or cohort already; choose another"
        if isinstance(upstream, PretrainedHere):
            yield from _unknown(f"upstreams.{name}.dataset", [upstream.dataset], datasets, "dataset")
        elif isinstance(upstream, Finetuned):
            yield from _unknown(f"upstreams.{name}.task", [upstream.task], config.tasks, "task")
            known = [NO_UPSTREAM, *beginnings]
            yield from _unknown(f"upstreams.{name}.upstream", [upstream.upstream], known, "upstream")
        else:
            yield from _unknown(f"upstreams.{name}.weights", upstream.weights, BACKBONES, "backbone")


def _recipes(config: "Config") -> Iterator[str]:
    for name in config.recipes:
        if name in (RULE, TRIALS) or re.fullmatch(r"trial\d+", name):
            yield f"recipes.{name}: this name is taken; choose another"


def _studies(config: "Config") -> Iterator[str]:
    upstreams = [NO_UPSTREAM, *config.upstreams]
    recipes = [RULE, *config.recipes, *([TRIALS] if config.search else [])]
    for name, study in config.studies.items():
        for arm, grids in study.arms.items():
            for number, grid in enumerate(grids):
                where = f"studies.{name}.arms.{arm}.{number}"
                yield from _unknown(f"{where}.tasks", grid.tasks, config.tasks, "task")
                yield from _unknown(f"{where}.backbones", grid.backbones, BACKBONES, "backbone")
                yield from _unknown(f"{where}.upstreams", grid.upstreams, upstreams, "upstream")
                yield from _unknown(f"{where}.initialisations", grid.initialisations, INITIALISATIONS, "initialisation")
                yield from _unknown(f"{where}.recipes", grid.recipes, recipes, "recipe")
                yield from _weights_and_origins(config, study, grid, where)
        for task, variants in study.variants.items():
            yield from _unknown(f"studies.{name}.variants", [task], config.tasks, "task")
            yield from _unknown(f"studies.{name}.variants.{task}", variants, config.tasks, "task")
        for role, value in study.roles.items():
            kind, known = ("backbone", list(BACKBONES)) if role in ("small", "large") else ("upstream", upstreams)
            yield from _unknown(f"studies.{name}.roles.{role}", [value], known, kind)


def _weights_and_origins(config: "Config", study: Study, grid: Grid, where: str) -> Iterator[str]:
    """Whether the upstreams of a grid have weights for its backbones, and fine-tuned ones runs to go on from."""
    for name in grid.upstreams:
        upstream = config.upstreams.get(name)
        if isinstance(upstream, Released):
            for backbone in set(grid.backbones) - set(upstream.weights):
                known = ", ".join(upstream.weights)
                yield f"{where}.upstreams: {name!r} has no weights for backbone {backbone!r}; it has: {known}"
        if isinstance(upstream, Finetuned) and set(grid.initialisations) != {"pretrained"}:
            yield f"{where}.initialisations: {name!r} is a whole network: 'pretrained' alone is possible"
        if isinstance(upstream, Finetuned) and upstream.task in config.tasks:
            yield from _other_labels(config, name, upstream, grid, where)
            yield from _no_origin(name, upstream, study, grid, where)


def _other_labels(config: "Config", name: str, upstream: Finetuned, grid: Grid, where: str) -> Iterator[str]:
    before = config.tasks[upstream.task]
    for task in (task for task in grid.tasks if task in config.tasks):
        after = config.tasks[task]
        if (after.labels, after.kind) != (before.labels, before.kind):
            yield f"{where}.upstreams: {name!r} predicts other labels, or of another kind, than task {task!r}"


def _no_origin(name: str, upstream: Finetuned, study: Study, grid: Grid, where: str) -> Iterator[str]:
    origins = [
        other
        for grids in study.arms.values()
        for other in grids
        if upstream.task in other.tasks
        and upstream.upstream in other.upstreams
        and RULE in other.recipes
        and 1.0 in other.fractions
        and ("pretrained" in other.initialisations or upstream.upstream == NO_UPSTREAM)
    ]
    for backbone in grid.backbones:
        for seed in grid.seeds:
            if not any(backbone in other.backbones and seed in other.seeds for other in origins):
                yield (
                    f"{where}: {name!r} goes on from task {upstream.task!r} from {upstream.upstream!r}, {backbone}, "
                    f"seed {seed}, which is no run of this study; add it to an arm, with recipe rule and fraction 1.0"
                )


def _unknown(key: str, values: Iterable[str], known: Iterable[str], kind: str) -> Iterator[str]:
    allowed = list(known)
    for value in values:
        if value not in allowed:
            yield f"{key}: {value!r} is not a known {kind}; allowed: {', '.join(allowed)}"
