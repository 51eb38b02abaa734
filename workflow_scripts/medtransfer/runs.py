"""The run table: every fine-tuning that a configuration asks for, once, with the arms of studies that use it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from medtransfer.config import NO_UPSTREAM, TRIALS, Grid, Study

CELL = ("task", "backbone", "upstream", "initialisation", "recipe", "budget")
KEYS = (*CELL, "seed")


@dataclass(frozen=True)
class Run:
    """One fine-tuning."""

    task: str
    backbone: str
    upstream: str
    initialisation: str
    recipe: str
    budget: str
    seed: int
    arms: tuple[str, ...] = field(default=(), compare=False)
    """Who uses it, as <study>/<arm>."""

    @property
    def cell(self) -> str:
        """The run's folder without its seed: runs of one cell differ by chance alone."""
        return "/".join(getattr(self, key) for key in CELL)

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "Run":
        """The run that a row of a table names by its keys."""
        return cls(**{key: row[key] for key in KEYS})

    @property
    def keys(self) -> dict[str, Any]:
        """What a run is told by, as plain values."""
        return {key: getattr(self, key) for key in KEYS}

    @property
    def path(self) -> str:
        """The run's folder, which is also what it is called."""
        return f"{self.cell}/seed{self.seed}"


def budget_name(fraction: float) -> str:
    """The budget `pct<p>` of a fraction of the training patients, p in percent: 0.1 is `pct10`."""
    return f"pct{100 * fraction:g}"


def budget_fraction(budget: str) -> float:
    """The fraction of a budget that `budget_name` wrote."""
    return float(budget.removeprefix("pct")) / 100


def trial_names(trials: int) -> list[str]:
    """The recipes of a random search."""
    return [f"trial{number}" for number in range(trials)]


def run_table(studies: Mapping[str, Study], trials: int = 0) -> list[Run]:
    """All runs of all studies, unique, in the order of the configuration.

    Args:
        studies: The studies, by name.
        trials: Number of trials of the random search.
    """
    users: dict[Run, list[str]] = {}
    for study, settings in studies.items():
        for arm, grids in settings.arms.items():
            for run in (run for grid in grids for run in _combinations(grid, trials)):
                named = users.setdefault(run, [])
                if f"{study}/{arm}" not in named:
                    named.append(f"{study}/{arm}")
    return [replace(run, arms=tuple(named)) for run, named in users.items()]


def _combinations(grid: Grid, trials: int) -> Iterator[Run]:
    recipes = [name for recipe in grid.recipes for name in (trial_names(trials) if recipe == TRIALS else [recipe])]
    for task, backbone, upstream, recipe, fraction, seed in product(
        grid.tasks, grid.backbones, grid.upstreams, recipes, grid.fractions, grid.seeds
    ):
        for initialisation in ["random"] if upstream == NO_UPSTREAM else grid.initialisations:
            yield Run(task, backbone, upstream, initialisation, recipe, budget_name(fraction), seed)
