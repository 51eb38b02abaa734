"""Which networks figures compare, and how they look: all by size, or three: from scratch, the baseline, the largest."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.plotting import names, panels
from medtransfer.plotting.style import Look, looks
from medtransfer.results import FULL, Results, Study

COMPARED = (("small", "none"), ("small", "narrow"), ("large", "broad"))
"""Roles of their backbones and upstreams."""


def compared_cells(results: Results) -> pd.DataFrame:
    """The cells of the three networks, of each task that has them all: rows of `results.cells("scale")`.

    Raises:
        UserError: No task has them, a role is not filled, or a run is missing.
    """
    study, roles = results.study, results.study["roles"]
    if unfilled := sorted({role for pair in COMPARED for role in pair} - set(roles)):
        raise UserError(f"Nobody plays {', '.join(unfilled)} in study {study['name']!r}. Add them to its `roles`.")
    cells = pd.concat(
        results.cells("scale", backbone=roles[size], upstream=roles[data], budget=FULL, recipe=RULE)
        for size, data in COMPARED
    )
    cells = cells[cells.groupby("task")["task"].transform("size") == len(COMPARED)]
    if cells.empty:
        raise UserError(
            f"No task of study {study['name']!r} was learnt by all of {'; '.join(network_names(study))} from all "
            "patients. Add them to the study's arm `scale`, or give its `roles` to networks that it has."
        )
    rank = cells["task"].map(list(study["tasks"]).index)
    return cells.iloc[rank.argsort(kind="stable")].reset_index(drop=True)


def which(cells: pd.DataFrame, study: Study) -> list[str]:
    """Which of the three each row is."""
    roles = study["roles"]
    known = {
        (roles[size], roles[data]): name for (size, data), name in zip(COMPARED, network_names(study), strict=True)
    }
    return [known[row] for row in zip(cells["backbone"], cells["upstream"], strict=True)]


def network_names(study: Study) -> list[str]:
    """What the three are called: backbone and upstream."""
    roles = study["roles"]
    return [f"{roles[size]}, {names.title(roles[data], study)}" for size, data in COMPARED]


def network_looks(study: Study) -> dict[str, Look]:
    """The look of each of the three: that of its upstream, as in all other figures."""
    of_upstream = looks(study["upstreams"])
    upstreams = [study["roles"][data] for _, data in COMPARED]
    return {name: of_upstream[upstream] for name, upstream in zip(network_names(study), upstreams, strict=True)}


def backbone_axis(panel: Axes, numbers: pd.DataFrame, study: Study) -> pd.Series:
    """Makes an axis of the backbones, from small to large, with their parameters; the place of each row on it."""
    backbones = sorted(numbers["backbone"].unique(), key=lambda name: study["backbones"][name])
    labels = [f"{name}\n{names.parameters(study['backbones'][name])}" for name in backbones]
    panel.set_xticks(range(len(backbones)), labels, rotation=60 if len(backbones) > 3 else 0)
    panel.set_xlim(-0.5, len(backbones) - 0.5)
    return numbers["backbone"].map(backbones.index).astype(float)


def legend(figure: Figure, study: Study) -> None:
    """One legend above all panels: the three networks."""
    handles = panels.handles(network_looks(study))
    figure.legend(handles=handles, loc="upper center", ncols=len(handles))
