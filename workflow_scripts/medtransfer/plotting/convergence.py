"""From validation curves to the numbers of the figure and table of convergence."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.metrics.convergence import first_reached, share_of_gain
from medtransfer.metrics.seeds import mean_over_seeds, pooled
from medtransfer.plotting.contrasts import baseline
from medtransfer.plotting.numbers import ALL_SEEDS
from medtransfer.results import FULL, Key, Results
from medtransfer.runs import CELL

Floats = npt.NDArray[np.float64]

SHARE = 0.95
"""The share of a gain that counts as converged."""
SCORE, LEVEL, OWN, BASELINE = "score", "baseline's target", "steps to own target", "steps to baseline's target"
COLUMNS = [*CELL, "seed", "metric", "quantity", "step", "images_seen", "value", "ci_low", "ci_high"]
COLUMNS += ["n_censored", "n_seeds", "n"]


@dataclass(frozen=True)
class Curves:
    """The primary metric of a cell's runs on the same validation images while they were fine-tuned."""

    steps: Floats  # [k], ascending from 0
    images_seen: Floats  # [k]
    scores: Floats  # [seeds, k, 1 + B], column 0 of all patients, the others of the bootstrap's draws
    n: int  # images

    @property
    def horizon(self) -> float:
        """Steps to which every run was followed."""
        return float(self.steps[-1])

    def reached(self, targets: Floats) -> Floats:
        """Steps at which each run meets its targets [seeds, 1 + B], of the same shape; inf where it never does."""
        return np.stack([first_reached(self.steps, run, own) for run, own in zip(self.scores, targets, strict=True)])


def convergence_numbers(path: str, results: Results) -> pd.DataFrame:
    """Validation curves of the arm `scale`, and the steps they take to their own and to the baseline's target.

    A target is SHARE of the way from the score before the first step to that after the last. Each run has its own; the
    baseline's, shared by all runs of a task, is that of the mean curve of the `small` network with `narrow`
    pre-training. A run that does not meet its target counts with all its steps: means over seeds are restricted means
    (`metrics.convergence.restricted_mean_steps`). All runs of a task share their draws of validation patients, and in
    each of them both the baseline's seeds, which set the target, and a cell's own are drawn anew.

    Args:
        path: The table of validation curves.
        results: The study's results.

    Returns:
        The keys of a cell, seed ("all": the mean over seeds, with its interval), metric, quantity, step, images_seen,
        value, ci_low, ci_high, n_censored, n_seeds, n (validation images). Quantities: SCORE at a `step`, after
        `images_seen`; OWN and BASELINE, whose value is a number of steps and whose `step` is the horizon; LEVEL, the
        baseline's target as a score, in the baseline's cell. Tasks without the baseline are left out.

    Raises:
        UserError: No task has the baseline; or curves are missing, undefined, or not of the same steps and images.
    """
    asked = results.cells("scale", recipe=RULE, budget=FULL)
    cells = list(asked[list(CELL)].itertuples(index=False, name=None))
    held_against = {task: cell for task in asked["task"].unique() if (cell := baseline(task, results.study)) in cells}
    if not held_against:
        raise UserError(
            f"No task of the arm `scale` has the baseline of the study {results.study['name']}, whose target steps are "
            "counted to. Add the `small` backbone with the `narrow` upstream of its `roles` to the arm."
        )
    table = _read(path, results)
    rows: list[tuple] = []
    for task, standard in held_against.items():
        reference = _curves(table, standard, results)
        targets = shared_targets(reference)
        metric = results.study["tasks"][task]["primary_metric"]
        level = (reference.horizon, reference.images_seen[-1], targets[0], np.nan, np.nan, None)
        rows.append((*standard, ALL_SEEDS, metric, LEVEL, *level, len(reference.scores), reference.n))
        for cell in (cell for cell in cells if cell[0] == task):
            curves = _curves(table, cell, results)
            if curves.n != reference.n or not np.array_equal(curves.steps, reference.steps):
                raise UserError(
                    f"{'/'.join(cell)} and {'/'.join(standard)} were not followed over the same steps on the same "
                    "validation images. Remove the runs that were made with another configuration."
                )
            for seed, *values in _rows(curves, targets, results.seeds(cell), results.study["confidence"]):
                rows.append((*cell, seed, metric, *values, curves.n))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n_censored": "Int64", "n_seeds": "Int64"})


def shared_targets(curves: Curves) -> Floats:
    """The score at SHARE of the gain of the mean curve over seeds [1 + B]; replicates draw the seeds anew."""
    means = [
        pooled(look[:, 1:], look[:, 0], np.random.default_rng(1))  # alike at all steps
        for look in curves.scores.swapaxes(0, 1)
    ]
    return share_of_gain(np.stack(means), SHARE)


def _rows(curves: Curves, targets: Floats, seeds: list[int], confidence: float) -> Iterator[tuple]:
    """seed, quantity, step, images_seen, value, ci_low, ci_high, n_censored, n_seeds."""
    for number, (step, images_seen) in enumerate(zip(curves.steps, curves.images_seen, strict=True)):
        mean = _mean(curves.scores[:, number], confidence)
        yield (ALL_SEEDS, SCORE, step, images_seen, *mean, None, len(seeds))
    own = np.stack([share_of_gain(run, SHARE) for run in curves.scores])
    end = (curves.horizon, curves.images_seen[-1])
    for quantity, asked in ((OWN, own), (BASELINE, np.broadcast_to(targets, own.shape))):
        reached = curves.reached(asked)
        counted, censored = np.minimum(reached, curves.horizon), np.isinf(reached[:, 0])
        for seed, steps, late in zip(seeds, counted[:, 0], censored, strict=True):
            yield (str(seed), quantity, *end, steps, np.nan, np.nan, int(late), 1)
        # No mean lies beyond the schedule; that of seeds drawn anew can, as their deviations are stretched.
        bounded = np.clip(_mean(counted, confidence), 0, curves.horizon)
        yield (ALL_SEEDS, quantity, *end, *bounded, int(censored.sum()), len(seeds))


def _mean(drawn: Floats, confidence: float) -> tuple[float, float, float]:
    """Of values and replicates [seeds, 1 + B] the mean over seeds and its interval."""
    return mean_over_seeds(drawn[:, 1:], drawn[:, 0], confidence, np.random.default_rng(0))


def _read(path: str, results: Results) -> dict[Key, pd.DataFrame]:
    """The rows of each cell with the rule's recipe and all patients, in its task's primary metric."""
    primary = {name: task["primary_metric"] for name, task in results.study["tasks"].items()}
    chosen = [("recipe", "==", RULE), ("budget", "==", FULL), ("metric", "in", sorted(set(primary.values())))]
    table = pd.read_parquet(path, filters=chosen)
    return dict(list(table[table["metric"] == table["task"].map(primary)].groupby(list(CELL))))


def _curves(table: dict[Key, pd.DataFrame], cell: Key, results: Results) -> Curves:
    seeds, rows = results.seeds(cell), table.get(cell, pd.DataFrame(columns=["seed", "step", "n", "value"]))
    rows = rows[rows["seed"].isin(seeds)].sort_values(["seed", "step"])
    looks = rows["step"].nunique()
    if looks == 0 or len(rows) != looks * len(seeds) or rows["n"].nunique() > 1 or rows["value"].isna().any():
        raise UserError(
            f"There are no validation curves of {'/'.join(cell)} that hold the same steps and images for each of its "
            f"{len(seeds)} seeds and are defined at each step. Make its runs and metrics again; a task whose "
            "validation images have no positives cannot be in the arm `scale`."
        )
    drawn = np.column_stack([rows["value"], np.stack(rows["replicates"].to_list())])
    axis = rows.iloc[:looks]
    return Curves(
        axis["step"].to_numpy(dtype=float),
        axis["images_seen"].to_numpy(dtype=float),
        drawn.reshape(len(seeds), looks, -1),
        int(axis["n"].iloc[0]),
    )
