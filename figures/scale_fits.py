# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Scaling fits
#
# How much does a tenfold of parameters, of upstream images or of pre-training compute gain? Straight lines over their
# logarithms, fitted to the networks that have an upstream, each cell weighing the same. Whether the gain of more
# images grows with the network is the interaction of a fit over both at once. Networks from scratch are shown for
# reference and not fitted.

# %%
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import EngFormatter, LogFormatterSciNotation, LogLocator, NullLocator

from medtransfer.files import write_csv
from medtransfer.metrics.bootstrap import percentile_interval
from medtransfer.metrics.scaling import INTERACTION
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.fits import AXES, Fitted, coefficient_rows, fits, nothing_to_fit, sized_cells
from medtransfer.plotting.numbers import study_numbers
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL

CELL_ROW, LINE, COEFFICIENT = "cell", "line", "coefficient"
POINTS = 41  # of a line and its band
SMALLEST, LARGEST = 2.6, 6.0  # marker sizes of the smallest and the largest network
DODGE = 0.025  # of an axis, between cells of one size
SHOWN: dict[str, Callable[[float], str]] = {
    "parameters": lambda size: names.parameters(round(size)),
    "images": EngFormatter(sep=" "),
    "multiply_adds": LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(9, 9)),
}


# %%
def numbers_of(results: Results, upstreams: str) -> pd.DataFrame:
    """Cells, lines and coefficients, one row each: `drawn` says which, `axis` over what, at the sizes of AXES.

    A line is that of the fit over one axis; the coefficient of name "interaction" is that of the fit over two.
    """
    study, sized = results.study, sized_cells(results, upstreams)
    parts = []
    for task, facts in study["tasks"].items():
        cohort = facts["id_cohort"]
        fitted = fits(results, sized, task, cohort) if task in set(sized["task"]) else []
        if not fitted:
            continue
        own = sized[sized["task"] == task]
        cells = study_numbers(results, own.drop(columns=list(AXES)))
        cells = cells[cells["cohort"] == cohort].merge(own[[*CELL, *AXES]], on=list(CELL), validate="many_to_one")
        parts.append(cells.assign(drawn=CELL_ROW))
        parts += [fit_rows(each, study["confidence"]).assign(task=task, cohort=cohort) for each in fitted]
    if not parts:
        raise nothing_to_fit(study["name"])
    first = ["drawn", "axis", "coefficient", "task", "cohort"]
    table = pd.concat(parts, ignore_index=True)
    return table[[*first, *(column for column in table if column not in first)]]


# %%
def fit_rows(fitted: Fitted, confidence: float) -> pd.DataFrame:
    """The coefficient and the line of a fit over one axis; the interaction of a fit over two."""
    axis = "+".join(fitted.axes)
    rows = [
        {"drawn": COEFFICIENT, "axis": axis, "coefficient": name, "value": value, "ci_low": low, "ci_high": high}
        for name, value, low, high in coefficient_rows(fitted, confidence)
        if len(fitted.axes) == 1 or name == INTERACTION
    ]
    if len(fitted.axes) == 1:
        grid = np.geomspace(fitted.sizes[axis].min(), fitted.sizes[axis].max(), POINTS)
        for size, drawn in zip(grid, fitted.fit.predict({axis: grid}), strict=True):
            low, high = percentile_interval(drawn[1:], confidence)
            rows.append({"drawn": LINE, "axis": axis, axis: size, "value": drawn[0], "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A row for each task, a panel for each axis that it has a fit over."""
    with mpl.rc_context(style.STYLE):
        looks = style.shown_looks(study["upstreams"], numbers["upstream"])
        figure, rows = panels.task_rows(numbers, lambda part: 56)
        for row, part in rows:
            draw_task(row, part, study, looks)
        panels.legend(figure, looks, study)
        explanation = (
            "Lines: least squares over networks with an upstream, with their intervals; above each, the gain per "
            "tenfold. Larger markers: larger networks."
        )
        panels.small_print(figure, explanation, study)
    return figure


# %%
def draw_task(row: SubFigure, numbers: pd.DataFrame, study: Study, looks: dict[str, style.Look]) -> None:
    """The axes of a task side by side, with one scale; the interaction stands in the heading."""
    facts = study["tasks"][numbers["task"].iloc[0]]
    cells, coefficients = numbers[numbers["drawn"] == CELL_ROW], numbers[numbers["drawn"] == COEFFICIENT]
    both = coefficients[coefficients["coefficient"] == INTERACTION]
    row.suptitle(facts["title"], **style.HEADING)
    if len(both):
        tested = f"Interaction of parameters and images: {gain(both)} per tenfold of both"
        row.text(0.99, 0.985, tested, ha="right", va="top", fontsize=7)
    shown = [axis for axis in AXES if axis in set(coefficients["axis"])]
    axes = row.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    cohort, n = names.title(cells["cohort"].iloc[0], study), cells["n"].iloc[0]
    axes[0].set_ylabel(f"{names.METRICS[facts['primary_metric']]}\n{cohort}\nID, {n:,.0f} images")
    for panel, axis in zip(axes, shown, strict=True):
        panel.set_title(f"{gain(coefficients[coefficients['axis'] == axis])} per tenfold", loc="left")
        draw_axis(panel, cells, numbers[(numbers["drawn"] == LINE) & (numbers["axis"] == axis)], axis, study, looks)
        panels.few_ticks(panel)


# %%
def draw_axis(
    panel: Axes, cells: pd.DataFrame, line: pd.DataFrame, axis: str, study: Study, looks: dict[str, style.Look]
) -> None:
    """Cells over one axis, those without any of it at the left, and the line with its band."""
    panel.fill_between(line[axis], line["ci_low"], line["ci_high"], color="0.3", alpha=0.18, linewidth=0)
    panel.plot(line[axis], line["value"], color="0.3", linestyle="--", linewidth=0.9)
    sizes = cells.loc[cells[axis] > 0, axis]
    span = sizes.max() / sizes.min()
    zero = sizes.min() / span**0.28
    backbones = sorted(cells["backbone"].unique(), key=lambda name: study["backbones"][name])
    markers = dict(zip(backbones, np.linspace(SMALLEST, LARGEST, len(backbones)), strict=True))
    for (upstream, backbone), part in cells.groupby(["upstream", "backbone"], sort=False):
        x = part[axis].replace(0, zero)
        if axis == "parameters":
            x *= span ** (DODGE * (list(looks).index(upstream) - (len(looks) - 1) / 2))
        elif axis == "images" or x.iloc[0] == zero:
            x *= span ** (DODGE * (backbones.index(backbone) - (len(backbones) - 1) / 2))
        with mpl.rc_context({"lines.markersize": markers[backbone]}):
            panels.line(panel, x, part, looks[upstream])
    panel.set_xscale("log")
    panel.set_xlabel(AXES[axis])
    around = LogLocator(subs=subdivisions(span)).tick_values(sizes.min(), sizes.max())
    ticks = [tick for tick in around if sizes.min() / 1.2 < tick < sizes.max() * 1.2]
    if (cells[axis] == 0).any():
        panel.axvline(np.sqrt(zero * sizes.min()), color="0.7", linewidth=0.6)
        ticks = [zero, *ticks]
    panel.set_xticks(ticks, ["0" if tick == zero else SHOWN[axis](tick) for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())


# %%
def subdivisions(span: float) -> tuple[int, ...]:
    """Which multiples of powers of ten are labelled on an axis whose largest value is `span` times the smallest."""
    if span < 10:
        return (1, 2, 5)
    return (1, 3) if span < 100 else (1,)


# %%
def gain(rows: pd.DataFrame) -> str:
    """A coefficient with its sign and interval."""
    value, low, high = rows[["value", "ci_low", "ci_high"]].iloc[0]
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−")


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    numbers = numbers_of(Results.load(tables, study), tables["upstreams"])
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_fits", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
