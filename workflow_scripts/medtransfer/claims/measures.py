"""What is compared: from a declared contrast and a task to the cells whose weighted means it sums."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from medtransfer.claims.contrast import Cell, Curve
from medtransfer.claims.data import Data, NotJudged
from medtransfer.claims.schema import INTERACTION, SHARE_NEEDED, SIMILARITY, STEPS, Contrast, Measure, Term
from medtransfer.claims.tested import cohorts, sides, tested
from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.metrics.convergence import first_reached, share_of_gain
from medtransfer.metrics.scaling import INTERACTION as COEFFICIENT
from medtransfer.metrics.scaling import scaling_fit
from medtransfer.metrics.seeds import pooled
from medtransfer.results import FULL, PRIMARY, Key, Measured
from medtransfer.runs import CELL, budget_name

BASELINE = Term(weight=1, backbone="small", upstream="narrow")
SHARE_OF_GAIN = 0.95
UPPER_HALF = 0.5
DRAWS = 1000


class Compared(NamedTuple):
    """The cells of a contrast with their weights, or a curve with its target, and what they rest on."""

    cells: list[Cell] | Curve
    runs: str  # each cell with its weight and seeds
    seeds: int  # of the cell that has fewest
    n: int  # images of each run
    cohorts: str
    note: str = ""


def compared(contrast: Contrast, task: str, data: Data, generator: np.random.Generator) -> Compared:
    """Measure the cells of a contrast in a task.

    A metric is that of test images, as `medtransfer.claims.tested` has it. What else there is:

    - `share_needed`: the share of training patients at which the cell's efficiency curve meets the baseline, `small`
      from `narrow` with all patients (`contrast.share_needed`, each point and the target pooled over seeds).
    - `steps`: of the optimiser, until the validation primary metric has made 95 % of its own way from before the first
      step to the last; runs that gain nothing count with the whole schedule (`convergence.restricted_mean_steps`).
    - `similarity`: linear CKA of blocks before and after fine-tuning, mean over the upper half of the depth. Its
      replicates are no bootstrap: normal draws around each seed's value, with the mean over blocks of the standard
      errors that their intervals imply, as blocks see the same images; cells are drawn independently.
    - `interaction`: the coefficient of log10 parameters times log10 upstream images in a straight-line fit over the
      pre-trained cells of the arm `scale` (`scaling.scaling_fit`), which is a weighted sum of those cells.

    Raises:
        NotJudged: The study does not ask for what this needs, or it was not run.
        UserError: Runs to compare were tested on different images, or with different numbers of replicates.
    """
    metric = contrast.measure.metric
    if metric == SHARE_NEEDED:
        return _share_needed(contrast.terms[0], task, data, generator)
    if metric == INTERACTION:
        return _interaction(task, data)
    keys = data.cells(contrast.terms, task)
    weights = [term.weight for term in contrast.terms]
    if metric == STEPS:
        return _sum(weights, keys, lambda key: _steps(key, data), "validation", data)
    if metric == SIMILARITY:
        return _sum(weights, keys, lambda key: _similarity(key, data, generator), "probe", data)
    parts = sides(contrast.measure, task, data)
    same = (
        "Two of the cells are one: the search chose the rule itself, or two roles name the same."
        if len(set(keys)) < len(keys)
        else ""
    )
    return _sum(weights, keys, lambda key: tested(key, metric, parts, data), cohorts(parts), data, same)


def _sum(
    weights: Sequence[float],
    keys: list[Key],
    measure: Callable[[Key], Measured],
    images: str,
    data: Data,
    note: str = "",
) -> Compared:
    measured = [measure(key) for key in keys]
    _require_pairs(keys, measured)
    cells = [Cell(weight, one.values, one.replicates) for weight, one in zip(weights, measured, strict=True)]
    runs = "; ".join(f"{weight:+.3g} {_name(key, data)}" for weight, key in zip(weights, keys, strict=True))
    return Compared(cells, runs, min(len(cell.values) for cell in cells), measured[0].n, images, note)


def _require_pairs(keys: list[Key], measured: list[Measured]) -> None:
    if len({(one.n, one.replicates.shape[1]) for one in measured}) > 1:
        raise UserError(
            "These cells are compared and differ in their number of images or bootstrap replicates, so they are not "
            f"paired: {', '.join('/'.join(key) for key in keys)}. Remove the predictions and metrics that were made "
            "with another configuration, and run the workflow again."
        )


def _name(key: Key, data: Data) -> str:
    return f"{'/'.join(key)} [seeds {' '.join(map(str, data.results.seeds(key)))}]"


def _steps(key: Key, data: Data) -> Measured:
    reached = []
    for run in data.runs(key):
        curve = data.curves[run]
        drawn = np.column_stack([curve["value"], np.stack(curve["replicates"].to_list()).astype(float)])
        steps = curve["step"].to_numpy(dtype=float)
        reached.append(np.minimum(first_reached(steps, drawn, share_of_gain(drawn, SHARE_OF_GAIN)), steps[-1]))
    drawn = np.stack(reached)
    return Measured(drawn[:, 0], drawn[:, 1:], int(curve["n"].iloc[0]))


def _similarity(key: Key, data: Data, generator: np.random.Generator) -> Measured:
    blocks = data.similarity[key]
    blocks = blocks[blocks["depth"] >= UPPER_HALF]
    width = 2 * stats.norm.ppf((1 + data.results.study["confidence"]) / 2)
    errors = (blocks["ci_high"] - blocks["ci_low"]) / width
    means = (
        blocks.assign(error=errors).groupby("seeds")[["value", "error"]].agg(lambda column: column.mean(skipna=False))
    )
    values, error = means["value"].to_numpy(), means["error"].to_numpy()
    draws = values[:, None] + error[:, None] * generator.standard_normal((len(values), DRAWS))
    return Measured(values, draws, int(blocks["n"].iloc[0]))


def _share_needed(term: Term, task: str, data: Data, generator: np.random.Generator) -> Compared:
    key, baseline = data.cells([term, BASELINE], task)
    fractions = data.fractions(key[:-1])
    if len(fractions) < 2:
        raise NotJudged("not asked", f"{'/'.join(key[:-1])} was trained with one budget alone.")
    keys = [*((*key[:-1], budget_name(fraction)) for fraction in fractions), baseline]
    data.require(keys)
    parts = sides(Measure(), task, data)
    measured = [tested(each, PRIMARY, parts, data) for each in keys]
    _require_pairs(keys, measured)
    *scores, target = [pooled(one.replicates, one.values, generator) for one in measured]
    curve = Curve(np.array(fractions), np.stack(scores), target)
    note = f"The smallest fraction that was tried is {fractions[0]:g}."
    runs = f"{'; '.join(_name(each, data) for each in keys[:-1])} against {_name(baseline, data)}"
    seeds = min(len(one.values) for one in measured)
    return Compared(curve, runs, seeds, measured[0].n, cohorts(parts), note)


def _interaction(task: str, data: Data) -> Compared:
    runs, adapted = data.results.runs, data.results.study["adapted"]
    scale = runs[["scale" in arms for arms in runs["arms"]]]
    chosen = scale[
        (scale["task"] == task)
        & (scale["initialisation"] == "pretrained")
        & (scale["recipe"] == RULE)
        & (scale["budget"] == FULL)
        & ~scale["upstream"].isin(list(adapted))
    ]
    keys = list(dict.fromkeys(map(tuple, chosen[list(CELL)].values)))
    if not keys:
        raise NotJudged("not asked", f"{task} has no pre-trained cells in the arm scale.")
    sizes = data.upstreams.reindex([(key[2], key[1]) for key in keys])
    axes = {axis: sizes[axis].to_numpy(dtype=float) for axis in ("parameters", "images")}
    try:
        weights = scaling_fit(axes, np.eye(len(keys))).coefficients[COEFFICIENT]
    except UserError as error:
        raise NotJudged("not asked", str(error)) from None
    data.require(keys)
    parts = sides(Measure(), task, data)
    return _sum(list(weights), keys, lambda key: tested(key, PRIMARY, parts, data), cohorts(parts), data)
