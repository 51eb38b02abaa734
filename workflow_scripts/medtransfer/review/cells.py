"""Which cells a row of a figure's or table's CSV rests on: those whose runs' measurements went into it."""

import re
from collections.abc import Mapping

import pandas as pd

from medtransfer.config import NO_UPSTREAM, RULE
from medtransfer.plotting.contrasts import SERIES, baseline
from medtransfer.plotting.convergence import BASELINE
from medtransfer.results import FULL, Key, Study
from medtransfer.runs import CELL

Parts = dict[str, list[Key]]
"""Cells by the part that they play."""
OF_ALL_SEEDS = ("its curve", "baseline", "fitted")
"""Parts that all seeds of a cell play together, in rows of a single seed, too."""
WEIGHED = re.compile(r"(?:([+-][\d.e+-]+) )?(\S+) \[seeds [\d ]+\](?: (against)(?: |$))?")


def compared(runs: str) -> Parts:
    """The cells of a contrast, each with its weight, from the column `runs` of the table of claims."""
    parts: Parts = {}
    target = False
    for weight, cell, against in WEIGHED.findall(runs):
        parts.setdefault("against" if target else weight or "curve", []).append(tuple(cell.split("/")))
        target = bool(against)
    return parts


def behind(name: str, row: Mapping[str, str], runs: pd.DataFrame, study: Study) -> Parts:
    """The cells that a row of a figure or table rests on.

    Args:
        name: Of the figure or table.
        row: A row of its CSV, all values as they stand there.
        runs: The completeness table.
        study: The study that it belongs to.

    Returns:
        Cells by the part that they play. A figure that this module does not know of rests on the cell that the row
        names, or on all cells with the keys that it does name.
    """
    own = tuple(row.get(key, "") for key in CELL)
    task, backbone, upstream = own[:3]
    match name.removeprefix(f"{study['name']}_"):
        case "benefit":
            return {"pre-trained": [own], "minus from scratch": [(task, backbone, NO_UPSTREAM, "random", *own[4:])]}
        case "adaptation" if row["quantity"] == "adapted - alone":
            start = study["adapted"][upstream]["upstream"]
            alone = _cells(runs, study, "adaptation", task=task, backbone=backbone, upstream=start, recipe=RULE)
            return {"adapted": [own], "minus alone": [cell for cell in alone if cell[-1] == own[-1]]}
        case "efficiency" | "needed":
            series = {key: row[key] for key in SERIES}
            curve = _cells(runs, study, "scale", "efficiency", **series)
            measured = {"measured": [own]} if row.get("budget") else {}
            return {**measured, "its curve": curve, "baseline": [baseline(task, study)]}
        case "convergence" if row["quantity"] == BASELINE:
            return {"measured": [own], "baseline": [baseline(task, study)]}
        case "convergence_table":
            return {"measured": [own], "baseline": [baseline(task, study)]}
        case "fits" | "fits_table" if not all(own):
            cells = _cells(runs, study, "scale", task=task, recipe=RULE, budget=FULL)
            return {"fitted": [cell for cell in cells if cell[2] != NO_UPSTREAM]}
        case "sensitivity":
            decided, otherwise = _scaled_gain(task, study), _scaled_gain(row["variant"], study)
            return (
                otherwise if row["variant"] == task else otherwise | {f"{k}, as decided": v for k, v in decided.items()}
            )
        case "verdicts" | "claims":
            return compared(row["runs"])
    return {"measured": [own]} if all(own) else {"measured": _named(row, runs, study)}


def _scaled_gain(task: str, study: Study) -> Parts:
    roles = study["roles"]
    large, small = (
        (task, roles[size], roles[data], "pretrained", RULE, FULL)
        for size, data in (("large", "broad"), ("small", "narrow"))
    )
    return {"large, broad": [large], "minus small, narrow": [small]}


def _cells(runs: pd.DataFrame, study: Study, *arms: str, **keys: str) -> list[Key]:
    """The cells of some arms of a study, all if none is named, with these keys."""
    wanted = {f"{study['name']}/{arm}" for arm in arms}
    users = runs["arms"].map(str.split)
    chosen = users.map(
        lambda each: bool(wanted & set(each)) if arms else any(arm.startswith(f"{study['name']}/") for arm in each)
    )
    for key, value in keys.items():
        chosen &= runs[key] == value
    return list(runs.loc[chosen, list(CELL)].drop_duplicates().itertuples(index=False, name=None))


def _named(row: Mapping[str, str], runs: pd.DataFrame, study: Study) -> list[Key]:
    return _cells(runs, study, **{key: row[key] for key in CELL if row.get(key)})
