"""A study's tables as claims ask of them: which cells a term means, which are there, and what was measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from medtransfer.claims.schema import SPECIAL, Term
from medtransfer.config import RULE
from medtransfer.metrics.evaluate import ALL, GAP, MEAN
from medtransfer.results import FULL, PRIMARY, Key, Results, Study
from medtransfer.runs import CELL, KEYS, budget_name


class NotJudged(Exception):
    """A contrast that cannot be measured: the study does not ask for what it needs, or it was not run."""

    def __init__(self, verdict: Literal["not asked", "not run"], why: str) -> None:
        super().__init__(why)
        self.verdict: Literal["not asked", "not run"] = verdict


@dataclass(frozen=True)
class Data:
    """What was measured of a study's runs.

    Attributes:
        results: The metrics on test images.
        grouped: For each task, cohort and metric the columns with two sub-groups or more, intersections left out, in
            which the gap has an interval for every run.
        validation: Of each run the primary metric on in-distribution validation images.
        curves: Of each run the rows of its primary metric's curve, in order of steps.
        similarity: Of each cell the rows of its blocks before against after fine-tuning.
        upstreams: The table of upstreams by upstream and backbone.
    """

    results: Results
    grouped: Mapping[tuple[str, str, str], Sequence[str]]
    validation: Mapping[tuple, float]
    curves: Mapping[tuple, pd.DataFrame]
    similarity: Mapping[tuple, pd.DataFrame]
    upstreams: pd.DataFrame

    @classmethod
    def load(cls, tables: Mapping[str, str], study: Study, metrics: Iterable[str]) -> "Data":
        """Read what claims on these metrics need of the results tables, which are given by their names.

        Raises:
            UserError: There is no run of the study.
        """
        results = Results.load(tables, study, {PRIMARY, *metrics} - {*SPECIAL})
        primary = pd.Series({name: task["primary_metric"] for name, task in study["tasks"].items()})
        curves = pd.read_parquet(tables["curves"], filters=[("metric", "in", list(primary.unique()))])
        curves = curves[curves["metric"] == curves["task"].map(primary)].sort_values("step")
        similarity = pd.read_parquet(tables["similarity"], filters=[("comparison", "==", "fine-tuning")])
        return cls(
            results,
            _grouped(tables["metrics"]),
            _validation(tables["metrics"], primary),
            dict(list(curves.groupby(list(KEYS)))),
            dict(list(similarity.groupby(list(CELL)))),
            pd.read_csv(tables["upstreams"], keep_default_na=False).set_index(["upstream", "backbone"]),
        )

    @property
    def tasks(self) -> list[str]:
        """Those that claims are about: not another decision in a task, nor what networks are adapted to."""
        study, runs = self.results.study, self.results.runs
        variants = {name for names in study["variants"].values() for name in names}
        adaptation = set(runs["task"][["adaptation" in arms for arms in runs["arms"]]])
        return [task for task in runs["task"].unique() if task not in variants | adaptation]

    def cells(self, terms: Sequence[Term], task: str) -> list[Key]:
        """The cell of each term.

        Raises:
            NotJudged: The study has no such cell, or a run of it is missing.
        """
        bases = [self._base(term, task) for term in terms]
        least = [self.fractions(base) for base, term in zip(bases, terms, strict=True) if term.budget == "least"]
        smallest = min(set.intersection(*map(set, least)), default=1.0) if least else 1.0
        if least and smallest == 1:
            raise NotJudged("not asked", f"No fraction below 1 in {task} that all of these cells have.")
        budgets = [budget_name(smallest) if term.budget == "least" else FULL for term in terms]
        cells = [(*base, budget) for base, budget in zip(bases, budgets, strict=True)]
        self.require(cells)
        return [self._best(cell) if term.recipe == "best" else cell for cell, term in zip(cells, terms, strict=True)]

    def _base(self, term: Term, task: str) -> Key:
        roles = self.results.study["roles"]
        if unfilled := [role for role in (term.backbone, term.upstream) if role not in roles]:
            raise NotJudged("not asked", f"The study has no {' and no '.join(unfilled)} among its roles.")
        start = "random" if term.upstream == "none" else term.initialisation
        recipe = RULE if term.recipe == "best" else term.recipe
        return (task, roles[term.backbone], roles[term.upstream], start, recipe)

    def fractions(self, base: Key) -> list[float]:
        """The fractions, ascending, of the cells with these keys: task, backbone, upstream, initialisation, recipe."""
        runs = self.results.runs
        same = (runs[list(CELL[:-1])] == list(base)).all(axis=1)
        return sorted(runs["fraction"][same].unique())

    def require(self, cells: Iterable[Key]) -> None:
        """Raise NotJudged unless the study asks for all these cells and all their runs are there."""
        cells = list(cells)
        if unknown := ["/".join(cell) for cell in cells if not self.results.seeds(cell)]:
            raise NotJudged("not asked", f"Not in the study: {', '.join(unknown)}.")
        runs = self.results.runs
        missing = runs[(runs["status"] != "present") & pd.MultiIndex.from_frame(runs[list(CELL)]).isin(cells)]
        if len(missing):
            names = ["/".join(map(str, row[:-1])) + f"/seed{row[-1]}" for row in missing[list(KEYS)].values]
            raise NotJudged("not run", f"Missing: {', '.join(names)}.")

    def runs(self, cell: Key) -> list[tuple]:
        """The keys of a cell's runs."""
        return [(*cell, seed) for seed in self.results.seeds(cell)]

    def _best(self, rule: Key) -> Key:
        """Of a cell and the random search beside it, what has the best mean over seeds on validation images."""
        searched = self.results.runs[["search" in arms for arms in self.results.runs["arms"]]]
        beside = [cell for cell in map(tuple, searched[list(CELL)].drop_duplicates().values) if _beside(cell, rule)]
        if not beside:
            raise NotJudged("not asked", f"No random search beside {'/'.join(rule)}.")
        self.require(beside)
        candidates = [rule, *(cell for cell in beside if cell != rule)]
        return max(
            candidates, key=lambda cell: sum(self.validation[run] for run in self.runs(cell)) / len(self.runs(cell))
        )


def _beside(cell: Key, rule: Key) -> bool:
    """Whether two cells differ by nothing but the recipe."""
    recipe = CELL.index("recipe")
    return (*cell[:recipe], *cell[recipe + 1 :]) == (*rule[:recipe], *rule[recipe + 1 :])


def _grouped(path: str) -> dict[tuple[str, str, str], list[str]]:
    where = [("subgroup", "==", GAP), ("label", "==", MEAN), ("split", "==", "test")]
    gaps = pd.read_parquet(path, columns=["task", "cohort", "metric", "subgroup_by", "ci_low"], filters=where)
    gaps = gaps[~gaps["subgroup_by"].str.contains("*", regex=False)]
    by = ["task", "cohort", "metric", "subgroup_by"]
    defined = gaps.groupby(by, sort=False)["ci_low"].agg(lambda bounds: bounds.notna().all())
    columns: dict[tuple[str, str, str], list[str]] = {}
    for task, cohort, metric, column in defined.index[defined]:
        columns.setdefault((task, cohort, metric), []).append(column)
    return columns


def _validation(path: str, primary: pd.Series) -> dict[tuple, float]:
    where = [("split", "==", "val"), ("label", "==", MEAN), ("subgroup_by", "==", ALL)]
    rows = pd.read_parquet(path, columns=[*KEYS, "shift", "metric", "value"], filters=where)
    rows = rows[(rows["shift"] == "id") & (rows["metric"] == rows["task"].map(primary))]
    return rows.set_index(list(KEYS))["value"].to_dict()
