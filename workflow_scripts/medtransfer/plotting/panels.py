"""What the figures share: the page, a line with intervals, the legend, the small print."""

import textwrap
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from medtransfer.plotting import names
from medtransfer.plotting.numbers import ALL_SEEDS
from medtransfer.plotting.style import LOOKS, MM, PAGE_WIDTH, Look
from medtransfer.results import Study

HEAD, FOOT = 6.0, 10.0  # mm, for the legend and the small print


def page(height: float) -> Figure:
    """An empty figure as wide as a page, with `height` mm for its panels."""
    whole = height + HEAD + FOOT
    figure = Figure(figsize=(PAGE_WIDTH * MM, whole * MM))
    figure.set_layout_engine("constrained", rect=(0, FOOT / whole, 1, height / whole), w_pad=1 * MM, h_pad=1 * MM)
    return figure


def task_rows(
    numbers: pd.DataFrame, height: Callable[[pd.DataFrame], float]
) -> tuple[Figure, list[tuple[SubFigure, pd.DataFrame]]]:
    """A page with a row for each task of `numbers`, `height` mm of its part: the page, and each row with its part."""
    parts = [part for _, part in numbers.groupby("task", sort=False)]
    heights = [height(part) for part in parts]
    figure = page(height=sum(heights))
    rows = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    return figure, list(zip(rows, parts, strict=True))


def line(axes: Axes, x: pd.Series, numbers: pd.DataFrame, look: Look) -> None:
    """Means over seeds as a line with markers, their intervals as bars, single seeds as small points beside them.

    Args:
        axes: Panel to draw into; its figure is part of a page.
        x: Where each row of `numbers` stands.
        numbers: Rows of `study_numbers` that make one line.
        look: Colour and marker.
    """
    mean = numbers["seed"] == ALL_SEEDS
    means, runs = numbers[mean], numbers[~mean]
    beside = axes.transData + ScaledTranslation(-4 / 72, 0, axes.figure.dpi_scale_trans)
    # Points that are shifted by a transform do not count for the limits by themselves.
    axes.update_datalim(np.column_stack([x[~mean], runs["value"]]))
    axes.scatter(x[~mean], runs["value"], s=2.5, color=look.colour, alpha=0.7, linewidths=0, transform=beside)
    axes.vlines(x[mean], means["ci_low"], means["ci_high"], color=look.colour, linewidth=0.9)
    axes.plot(x[mean], means["value"], color=look.colour, marker=look.marker, markeredgecolor="white", mew=0.3)


def few_ticks(axes: Axes) -> None:
    """At most five ticks on the y axis, at round numbers."""
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def legend(figure: Figure, looks: dict[str, Look], study: Study) -> None:
    """One legend above all panels: what the networks were pre-trained on."""
    heading = Line2D([], [], linestyle="", label="Pre-trained on:")
    upstreams = handles({names.title(name, study): look for name, look in looks.items()})
    figure.legend(handles=[heading, *upstreams], loc="upper center", ncols=len(LOOKS))


def handles(labels: Mapping[str, Look]) -> list[Line2D]:
    """What stands for lines in a legend: for each label the look of its line."""
    return [
        Line2D([], [], color=look.colour, marker=look.marker, markeredgecolor="white", label=label)
        for label, look in labels.items()
    ]


def small_print(figure: Figure, explanation: str, study: Study) -> None:
    """How to read a figure of `line`s, and below it what its numbers cannot tell."""
    print_below(figure, f"{names.method(study['confidence'])} Small points: single seeds. {explanation}", study)


def print_below(figure: Figure, explanation: str, study: Study) -> None:
    """How to read the figure, and below it what its numbers cannot tell."""
    texts = (explanation, study["note"])
    wrapped = [line for text in texts for line in textwrap.wrap(text, 158, break_on_hyphens=False)]
    figure.text(0.01, 0.005, "\n".join(wrapped), fontsize=6, color="0.3", va="bottom")
