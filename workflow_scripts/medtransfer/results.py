"""A study's results: which runs it asks for, in the order of its axes, and what was measured of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd

from medtransfer.errors import UserError
from medtransfer.runs import CELL, KEYS, budget_fraction, budget_name

PRIMARY = "primary"
"""Stands for the primary metric of each task."""
ALL = "all"
FULL = budget_name(1.0)

Key = tuple[str, ...]
"""The keys of a cell: task, backbone, upstream, initialisation, recipe, budget."""


class Task(TypedDict):
    """What figures, tables and claims say of a task."""

    title: str
    kind: str
    labels: list[str]
    primary_metric: str
    id_cohort: str
    ood_cohorts: list[str]


class Adapted(TypedDict):
    """What a fine-tuned upstream goes on from."""

    task: str
    upstream: str


class Study(TypedDict):
    """A study's axes and names, as the workflow hands them to its figures, tables and claims."""

    name: str
    tasks: dict[str, Task]
    backbones: dict[str, int]  # parameter counts
    upstreams: list[str]
    adapted: dict[str, Adapted]  # the upstreams that are fine-tuned networks
    variants: dict[str, list[str]]  # tasks in which a decision is taken otherwise
    roles: dict[str, str]  # backbones small and large, upstreams none, narrow and broad
    titles: dict[str, str]  # of cohorts and upstreams; a name without one is shown as it is
    confidence: float
    min_group: int
    note: str  # what the numbers cannot tell, or ""


class Measured(NamedTuple):
    """A metric of a cell: the runs that differ by their seed alone."""

    values: np.ndarray  # [seeds], on all images
    replicates: np.ndarray  # [seeds, B], under each draw of patients
    n: int  # images

    @property
    def drawn(self) -> np.ndarray:
        """Values and replicates side by side, [seeds, 1 + B]: column 0 is the metric itself."""
        return np.column_stack([self.values, self.replicates])


@dataclass(frozen=True)
class Results:
    """A study's runs and what was measured of them on test images.

    Attributes:
        study: Axes and names.
        runs: The study's runs: their keys, `arms` (a list), `status`, `fraction`; ordered by the study's axes.
        patients: How many each cell was trained on, the mean over its seeds.
    """

    study: Study
    runs: pd.DataFrame
    patients: Mapping[Key, float]
    _seeds: Mapping[Key, list[int]]
    _values: Mapping[tuple, tuple[float, int]]
    _replicates: Mapping[tuple, np.ndarray]

    @classmethod
    def load(cls, tables: Mapping[str, str], study: Study, metrics: Iterable[str] = (PRIMARY,)) -> "Results":
        """Read what a study needs of the results tables.

        Args:
            tables: Paths of `completeness`, `metrics` and `replicates`.
            study: Axes and names.
            metrics: Which metrics to read; the primary ones, unless named.

        Raises:
            UserError: There is no run of the study.
        """
        primary = {task["primary_metric"] for task in study["tasks"].values()}
        wanted = sorted({name for metric in metrics for name in (primary if metric == PRIMARY else {metric})})
        chosen = [("metric", "in", wanted), ("split", "==", "test")]
        measured = pd.read_parquet(tables["metrics"], filters=[*chosen, ("label", "==", "mean")])
        replicates = pd.read_parquet(tables["replicates"], filters=chosen)
        where = [*KEYS, "cohort", "metric", "subgroup_by", "subgroup"]
        runs = _runs(tables["completeness"], study)
        return cls(
            study,
            runs,
            _training_patients(tables["metrics"]),
            {cell: seeds.tolist() for cell, seeds in runs.groupby(list(CELL))["seed"]},
            dict(zip(_index(measured, where), zip(measured["value"], measured["n"], strict=True), strict=True)),
            dict(zip(_index(replicates, where), replicates["replicates"], strict=True)),
        )

    def cells(self, *arms: str, **only: str | Sequence[str]) -> pd.DataFrame:
        """The cells of some arms of the study, one row each: keys and `fraction`, in order.

        Args:
            arms: Names of arms; all, if none is given.
            only: Keys and the value, or values, that they may have.

        Raises:
            UserError: A run of these is missing.
        """
        asked = self.runs
        if arms:
            asked = asked[[bool(set(arms) & set(each)) for each in asked["arms"]]]
        for key, values in only.items():
            asked = asked[asked[key].isin([values] if isinstance(values, str) else list(values))]
        self._require(asked)
        return asked.drop_duplicates(list(CELL))[[*CELL, "fraction"]].reset_index(drop=True)

    def cohorts(self, task: str) -> list[str]:
        """The cohorts a task is tested on, the in-distribution one first."""
        return [self.study["tasks"][task]["id_cohort"], *self.study["tasks"][task]["ood_cohorts"]]

    def seeds(self, cell: Key) -> list[int]:
        """The seeds of a cell; none if the study does not ask for it."""
        return self._seeds.get(cell, [])

    def measured(
        self, cell: Key, cohort: str, metric: str = PRIMARY, subgroup_by: str = ALL, subgroup: str = ALL
    ) -> Measured | None:
        """A metric of a cell on a cohort, or on a sub-group of it; None where the cohort has none of that.

        Raises:
            UserError: A run is missing, or its seeds were tested on different images.
        """
        metric = self.study["tasks"][cell[0]]["primary_metric"] if metric == PRIMARY else metric
        found = [(*cell, seed, cohort, metric, subgroup_by, subgroup) for seed in self.seeds(cell)]
        known = [key for key in found if key in self._values and key in self._replicates]
        if not known:
            return None
        values = [self._values[key] for key in known]
        if len(known) < len(found) or len({n for _, n in values}) > 1:
            raise UserError(
                f"The seeds of {'/'.join(cell)} were not all tested on the same images of {cohort} ({metric}, "
                f"{subgroup_by} {subgroup}). Remove the predictions and metrics that were made with another "
                "configuration, and run the workflow again."
            )
        replicates = np.stack([self._replicates[key] for key in known]).astype(float)
        return Measured(np.array([value for value, _ in values]), replicates, int(values[0][1]))

    def _require(self, asked: pd.DataFrame) -> None:
        missing = asked[asked["status"] != "present"]
        if len(missing):
            names = ["/".join(map(str, row)) for row in missing[list(KEYS)].itertuples(index=False)]
            raise UserError(
                f"{len(missing)} of {len(asked)} runs that this needs are missing: {', '.join(names[:5])}"
                f"{' ...' if len(names) > 5 else ''}. completeness.csv lists them all. Run the workflow to make them, "
                "or take them out of the configuration."
            )


def _runs(path: str, study: Study) -> pd.DataFrame:
    runs = pd.read_csv(path, keep_default_na=False)
    prefix = f"{study['name']}/"
    arms = [[arm.removeprefix(prefix) for arm in each.split() if arm.startswith(prefix)] for each in runs["arms"]]
    runs = runs.assign(arms=arms, fraction=runs["budget"].map(budget_fraction))
    runs = runs[runs["arms"].map(len) > 0]
    if runs.empty:
        raise UserError(f"{path} has no run of the study {study['name']!r}. Name the tier that has it.")
    ranks = pd.DataFrame(
        {
            "task": runs["task"].map(list(study["tasks"]).index),
            "backbone": runs["backbone"].map(study["backbones"]),
            "upstream": runs["upstream"].map(study["upstreams"].index),
            "initialisation": runs["initialisation"],
            "recipe": runs["recipe"],
            "fraction": runs["fraction"],
            "seed": runs["seed"],
        }
    )
    return runs.loc[ranks.sort_values(list(ranks), kind="stable").index].reset_index(drop=True)


def _training_patients(path: str) -> dict[Key, float]:
    sizes = pd.read_parquet(path, filters=[("split", "==", "train"), ("metric", "==", "patients")])
    return sizes.groupby(list(CELL))["value"].mean().to_dict()


def _index(table: pd.DataFrame, columns: list[str]) -> Iterable[tuple]:
    return zip(*(table[column] for column in columns), strict=True)
