"""Metrics, row by row: to float32 rounding where predictions are the same bits, within chance where they are not."""

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from medtransfer.config import Config
from medtransfer.metrics.evaluate import ALL, MEAN, VALUES
from medtransfer.review import tolerance
from medtransfer.review.tolerance import FAMILY_ERROR, Spread
from medtransfer.review.verify_rows import Row
from medtransfer.runs import CELL, KEYS

PLACE = ["cohort", "split", "subgroup_by", "subgroup", "label", "metric"]
COUNTS = ("n", "n_positive")
POOL = ["pool", "cohort", "metric"]
QUANTITY = [*CELL, *POOL]
"""What a cell's runs share that differ by their seed alone, and within which of it one spread is taken to hold."""
ROUNDING = float(np.finfo(np.float32).eps)
ROUNDED = f"frozen as float32: {ROUNDING:.3g}, of numbers above 1 that share"
REPEATED = " (frozen)", " (regenerated)"


class Context(NamedTuple):
    """What the comparison of metrics rests on.

    Attributes:
        bits: Paths of the runs whose predictions are the same bits.
        same_images: Tasks and cohorts that were tested on the same images.
        confidence: Of the bootstrap intervals.
        pools: For each task the one that stands for all that learn the same labels from the same cohort.
        primary: For each task its primary metric and its in-distribution cohort.
    """

    bits: Collection[str]
    same_images: Collection[tuple[str, str]]
    confidence: float
    pools: Mapping[str, str]
    primary: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, config: Config, bits: Collection[str], same_images: Collection[tuple[str, str]]) -> "Context":
        tasks = config.tasks
        alike: dict[tuple[str, ...], str] = {}
        pools = {name: alike.setdefault((task.id_cohort, *task.labels), name) for name, task in tasks.items()}
        primary = {name: (task.primary_metric, task.id_cohort) for name, task in tasks.items()}
        return cls(bits, same_images, config.metrics.confidence, pools, primary)


def paired(frozen: pd.DataFrame, regenerated: pd.DataFrame) -> pd.DataFrame:
    """Both tables side by side: a row for each metric, with `run`, `found` (both, left_only, right_only) and `told`.

    Rows that are told singly are those of the primary and the other replicated metrics: of all test images, as means
    over labels. A row that stands in a table twice has no partner the second time.
    """
    where = [*KEYS, *PLACE]
    one, other = (
        table[[*where, *VALUES, *COUNTS]].assign(nth=table.groupby(where).cumcount()) for table in (frozen, regenerated)
    )
    pairs = one.merge(other, on=[*where, "nth"], how="outer", suffixes=REPEATED, indicator="found", sort=False)
    told = (pairs["split"] == "test") & (pairs["subgroup_by"] == ALL) & (pairs["label"] == MEAN)
    path = pairs[CELL[0]].str.cat(pairs[list(CELL[1:])], sep="/") + "/seed" + pairs["seed"].astype(str)
    return pairs.assign(run=path, told=told)


def bit_rows(pairs: pd.DataFrame, context: Context) -> list[Row]:
    """The metrics of runs whose predictions are the same bits: each that is told, each that differs, a sum per run."""
    pairs = pairs[pairs["run"].isin(context.bits)]
    rows, worst, wrong = [], pd.Series(0.0, index=pairs.index), pd.Series(pairs["found"] != "both", index=pairs.index)
    for column in (*VALUES, *COUNTS):
        expected, observed = (pairs[column + side].astype("Float64").to_numpy(float, np.nan) for side in REPEATED)
        gap = np.where(np.isnan(expected) & np.isnan(observed), 0.0, np.abs(expected - observed))
        gap = np.where(np.isnan(gap), np.inf, gap)
        allowed = ROUNDING * np.fmax(1, np.abs(expected)) if column in VALUES else np.zeros(len(pairs))
        off = (gap > allowed) & (pairs["found"] == "both")
        for at in np.flatnonzero(off | (pairs["told"] & (column == "value") & (pairs["found"] == "both"))):
            row = pairs.iloc[at]
            rows.append(
                Row(
                    "metrics",
                    row["run"],
                    _quantity(row, column),
                    float(expected[at]),
                    float(observed[at]),
                    "deviates" if off.iloc[at] else "identical",
                    "bit-equality",
                    float(gap[at]),
                    float(allowed[at]),
                    basis=ROUNDED if column in VALUES else "a count",
                    reason="its predictions are the same bits, so its metrics should be" if off.iloc[at] else "",
                )
            )
        if column in VALUES:
            worst = np.fmax(worst, gap)
        wrong |= off
    rows += [_absent(row) for _, row in pairs[pairs["found"] != "both"].iterrows()]
    return [*_sums(pairs.assign(worst=worst, wrong=wrong)), *rows]


def _sums(pairs: pd.DataFrame) -> list[Row]:
    """For each run how many of its metrics there are and are alike, and the one that differs most."""
    rows = []
    for run, own in pairs.groupby("run", sort=False):
        both = own[own["found"] == "both"]
        top = both.loc[both["worst"].idxmax()] if len(both) else None
        rows.append(
            Row(
                "metrics",
                str(run),
                "all its metrics",
                len(own),
                len(own) - int(own["wrong"].sum()),
                "deviates" if own["wrong"].any() else "identical",
                "bit-equality",
                math.nan if top is None else float(top["worst"]),
                basis=ROUNDED,
                reason="" if top is None or not top["worst"] else f"the largest difference is in {_quantity(top)}",
            )
        )
    return rows


def chance_pairs(pairs: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Of runs whose predictions are not the same bits, what is told."""
    return pairs[pairs["told"] & ~pairs["run"].isin(context.bits)]


def chance_rows(pairs: pd.DataFrame, frozen: pd.DataFrame, context: Context, level: float) -> list[Row]:
    """What chance explains of the metrics of `chance_pairs`, at the level of each, and how many lie outside in all."""
    spreads = seed_spreads(frozen, context)
    rows, usual = [], []
    for row in pairs.to_dict("records"):
        if row["found"] != "both":
            rows.append(_absent(row))
            continue
        expected, observed = (float(row[f"value{side}"]) for side in REPEATED)
        if math.isnan(expected) and math.isnan(observed):
            continue
        key = (row["task"], row["cohort"])
        images = key in context.same_images and len({row[f"n{side}"] for side in REPEATED}) == 1
        spread = spreads.get((context.pools[row["task"]], row["cohort"], row["metric"]))
        low, high = (row[end + REPEATED[0]] for end in VALUES[1:])
        patients = tolerance.patient_sd(low, high, context.confidence)
        allowed, common = (tolerance.run_tolerance(spread, patients, images, at) for at in (level, FAMILY_ERROR))
        gap = abs(expected - observed)
        within = gap <= allowed.width
        rows.append(
            Row(
                "metrics",
                row["run"],
                _quantity(row),
                expected,
                observed,
                "agrees" if within else "deviates",
                "agreement",
                gap,
                allowed.width,
                allowed.freedom,
                allowed.basis,
                "" if within else "it differs by more than chance in training explains",
            )
        )
        if (row["metric"], row["cohort"]) == context.primary[row["task"]]:
            usual.append(gap <= common.width)
    return [*rows, *_together(usual, level)]


def _together(within: list[bool], level: float) -> list[Row]:
    """One comparison of each run, its primary metric in distribution: these are independent, and so can be counted."""
    if not within:
        return []
    outside, expected = len(within) - sum(within), FAMILY_ERROR * len(within)
    most = tolerance.most_outside(len(within), FAMILY_ERROR, level)
    return [
        Row(
            "metrics",
            "all runs",
            f"runs outside what chance leaves with probability {FAMILY_ERROR:g}",
            expected,
            outside,
            "agrees" if outside <= most else "deviates",
            "agreement",
            basis=f"binomial, {len(within)} runs: at most {most}",
            reason="" if outside <= most else "many runs differ a little more than chance explains",
        )
    ]


def seed_spreads(frozen: pd.DataFrame, context: Context) -> dict[tuple[str, ...], Spread]:
    """The spread over seeds of the frozen runs, by pool of tasks, cohort and metric."""
    return tolerance.pooled_spread(told_values(frozen, context), QUANTITY, POOL)


def told_values(metrics: pd.DataFrame, context: Context) -> pd.DataFrame:
    """The metrics of all test images, as means over labels, with the `pool` of their task."""
    told = metrics[(metrics["split"] == "test") & (metrics["subgroup_by"] == ALL) & (metrics["label"] == MEAN)]
    return told.assign(pool=told["task"].map(context.pools))


def _quantity(row: Mapping[str, object] | pd.Series, column: str = "value") -> str:
    label = "" if row["label"] == MEAN else f" of {row['label']}"
    group = "" if row["subgroup_by"] == ALL else f", {row['subgroup_by']} {row['subgroup']}"
    split = "" if row["split"] == "test" else f", {row['split']}"
    return f"{row['metric']}{label} on {row['cohort']}{split}{group}" + ("" if column == "value" else f": {column}")


def _absent(row: Mapping[str, object] | pd.Series) -> Row:
    missing = row["found"] == "left_only"
    expected, observed = (str(row[f"value{side}"]) for side in REPEATED)
    return Row("metrics", str(row["run"]), _quantity(row), expected, observed, "missing" if missing else "extra")
