"""Tiles that fill a page, and the axis of training fractions."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from medtransfer.plotting import panels

ZERO: dict[str, Any] = {"color": "0.35", "linewidth": 0.7, "zorder": 1.5}
"""How a line of no difference looks."""


def tiled(count: int, columns: int, height: float) -> tuple[Figure, list[SubFigure]]:
    """A page of `count` tiles, `height` mm each, row by row, with no more `columns` than there are tiles."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = panels.page(height=height * rows)
    return figure, list(figure.subfigures(rows, columns, squeeze=False, wspace=0.02).flat)[:count]


def fraction_axis(panel: Axes, fractions: Iterable[float], zero: float | None = None) -> None:
    """A logarithmic axis in percent of the training patients, with ticks at the fractions that were trained with.

    Args:
        panel: Whose x axis.
        fractions: Above 0, up to 1.
        zero: Where 0 % stands, which no logarithmic axis has.
    """
    percents = 100 * np.unique(list(fractions))
    ticks = {**({} if zero is None else {zero: "0"}), **{percent: f"{percent:g}" for percent in percents}}
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(list(ticks)))
    panel.xaxis.set_major_formatter(FixedFormatter(list(ticks.values())))
    panel.xaxis.set_minor_locator(NullLocator())
