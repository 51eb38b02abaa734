"""The run table: every fine-tuning that a configuration asks for, once, with the studies that use it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

from medtransfer.config import NO_UPSTREAM, Grid, Study

KEYS = ("task", "backbone", "upstream", "initialisation", "budget", "seed")


@dataclass(frozen=True)
class Run:
    """One fine-tuning."""

    task: str
    backbone: str
    upstream: str
    initialisation: str
    budget: str
    seed: int
    studies: tuple[str, ...] = field(default=(), compare=False)

    @property
    def cell(self) -> str:
        """The run's folder without its seed: runs of one cell differ by chance alone."""
        return f"{self.task}/{self.backbone}/{self.upstream}/{self.initialisation}/{self.budget}"


def budget_name(fraction: float) -> str:
    """The budget `pct<p>` of a fraction of the training patients, p in percent: 0.1 is `pct10`."""
    return f"pct{100 * fraction:g}"


def budget_fraction(budget: str) -> float:
    """The fraction of a budget that `budget_name` wrote."""
    return float(budget.removeprefix("pct")) / 100


def run_table(studies: dict[str, Study]) -> list[Run]:
    """All runs of all studies, unique, in the order of the configuration."""
    users: dict[Run, list[str]] = {}
    for study, settings in studies.items():
        for run in (run for grid in settings.grids for run in _combinations(grid)):
            named = users.setdefault(run, [])
            if study not in named:
                named.append(study)
    return [replace(run, studies=tuple(named)) for run, named in users.items()]


def _combinations(grid: Grid) -> Iterator[Run]:
    for task, backbone, upstream, fraction, seed in product(
        grid.tasks, grid.backbones, grid.upstreams, grid.fractions, grid.seeds
    ):
        for initialisation in ["random"] if upstream == NO_UPSTREAM else grid.initialisations:
            yield Run(task, backbone, upstream, initialisation, budget_name(fraction), seed)
