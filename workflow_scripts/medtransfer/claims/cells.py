"""From the tables of a tier to the cells that a contrast compares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pandas as pd

from medtransfer.claims.contrast import Cell
from medtransfer.claims.schema import Contrast, Term
from medtransfer.errors import UserError

CELL = ["task", "backbone", "upstream", "initialisation", "budget"]
RUN = [*CELL, "seed"]
FULL_BUDGET = "pct100"


class Task(TypedDict):
    """What is compared in a task: the mean of this metric over labels, on the test images of this cohort."""

    primary_metric: str
    id_cohort: str


class Study(TypedDict):
    """What verdicts need to know of a study in one tier."""

    name: str
    tasks: Mapping[str, Task]
    roles: Mapping[str, str]  # backbones small and large, upstreams none, narrow and broad
    confidence: float
    note: str  # stands beside every verdict: what this tier cannot tell


@dataclass(frozen=True)
class Results:
    """A study's runs with all training data: which there should be, and what was measured of them."""

    study: Study
    seeds: Mapping[tuple[str, ...], np.ndarray]  # of each cell
    values: Mapping[tuple, dict[str, float]]  # value and n of each run
    replicates: Mapping[tuple, np.ndarray]  # [B] of each run

    @classmethod
    def from_tables(
        cls, runs: pd.DataFrame, metrics: pd.DataFrame, replicates: pd.DataFrame, study: Study
    ) -> "Results":
        """Pick the study's runs, and its tasks' primary metrics of all in-distribution test images."""
        asked = runs[[study["name"] in studies.split() for studies in runs["studies"]]]
        everyone = metrics[metrics["subgroup_by"] == "all"]
        return cls(
            study,
            {cell: group["seed"].to_numpy() for cell, group in asked.groupby(CELL)},
            _primary(everyone, study).set_index(RUN)[["value", "n"]].to_dict("index"),
            {
                run: group.sort_values("replicate")["value"].to_numpy()
                for run, group in _primary(replicates, study).groupby(RUN)
            },
        )

    def cells(self, contrast: Contrast, task: str) -> tuple[list[Cell], list[str]]:
        """A cell for each term of a contrast, and the names of what is missing, in which case the cells are none.

        Raises:
            UserError: The runs were tested on different images, or with different numbers of replicates.
        """
        runs_of_terms, missing = [], []
        for term in contrast.terms:
            runs, absent = self._runs(term, task)
            runs_of_terms.append(runs)
            missing += absent
        if missing:
            return [], missing
        flat = [run for runs in runs_of_terms for run in runs]
        if len({(self.values[run]["n"], len(self.replicates[run])) for run in flat}) > 1:
            raise UserError(
                f"The runs of {task} that contrast {contrast.name!r} compares differ in their number of test images or "
                f"bootstrap replicates, so that they are not paired: {', '.join(map(_name, flat))}. Remove the "
                "predictions and metrics that were made with another configuration."
            )
        return [
            Cell(
                term.weight,
                np.array([self.values[run]["value"] for run in runs]),
                np.stack([self.replicates[run] for run in runs]),
            )
            for term, runs in zip(contrast.terms, runs_of_terms, strict=True)
        ], []

    def _runs(self, term: Term, task: str) -> tuple[list[tuple], list[str]]:
        unfilled = [role for role in (term.backbone, term.upstream) if role not in self.study["roles"]]
        if unfilled:
            return [], [f"{task}: no {role!r} in the roles of the study" for role in unfilled]
        upstream = self.study["roles"][term.upstream]
        initialisation = "random" if term.upstream == "none" else "pretrained"
        cell = (task, self.study["roles"][term.backbone], upstream, initialisation, FULL_BUDGET)
        runs = [(*cell, seed) for seed in self.seeds.get(cell, ())]
        absent = [_name(run) for run in runs if run not in self.values or run not in self.replicates]
        return runs, absent if runs else [_name(cell)]


def _primary(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    tasks = study["tasks"]
    metric = table["task"].map({name: task["primary_metric"] for name, task in tasks.items()})
    cohort = table["task"].map({name: task["id_cohort"] for name, task in tasks.items()})
    here = (table["metric"] == metric) & (table["cohort"] == cohort) & (table["budget"] == FULL_BUDGET)
    return table[here & (table["label"] == "mean") & (table["split"] == "test")]


def _name(key: tuple) -> str:
    *cell, last = key
    return "/".join([*cell, f"seed{last}" if len(key) == len(RUN) else last])
