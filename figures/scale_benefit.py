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
# # The benefit of transfer over the size of the target data
#
# What does pre-training add to training from random weights, with the same steps on the same patients, and how does
# that depend on three things at once: how many patients there are, how large the network is, and how much it was
# pre-trained on? Columns are tasks, and so modalities, rows upstreams, lines networks from small (light) to large
# (dark). Above zero transfer helps, below it harms.

# %%
import textwrap

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from medtransfer.config import NO_UPSTREAM
from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.contrasts import SERIES, curves, differences
from medtransfer.plotting.tiles import ZERO
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL

DODGE = 1.05  # factor between lines, so that their intervals do not hide one another
LIGHTEST, DARKEST = 0.72, 0.0  # of the colour map


# %%
def benefits(results: Results, study: Study) -> pd.DataFrame:
    """Pre-trained minus from scratch, on in-distribution test images, of every network that has both at each fraction.

    Raises:
        UserError: No network was trained with several fractions both ways.
    """
    cells = curves(results)
    pairs = []
    for _, series in cells[cells["upstream"] != NO_UPSTREAM].groupby(SERIES, sort=False):
        for cell in series[list(CELL)].itertuples(index=False, name=None):
            task, backbone, _, _, recipe, budget = cell
            other, cohort = (task, backbone, NO_UPSTREAM, "random", recipe, budget), results.cohorts(task)[0]
            if results.seeds(other):
                pairs.append(((cell, cohort), (other, cohort)))
    if not pairs:
        raise UserError(
            f"No network of the study {study['name']!r} was trained from scratch and from an upstream with the same "
            f"fractions of the patients. Add the upstream {NO_UPSTREAM!r} to the arm `efficiency`."
        )
    numbers = differences(results, pairs)
    keys = numbers[list(CELL)].itertuples(index=False, name=None)
    return numbers.assign(patients=[results.patients[key] for key in keys])


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A column of panels for each task, a row for each upstream, a line for each network."""
    with mpl.rc_context(style.STYLE):
        tasks = list(numbers["task"].unique())
        upstreams = sorted(numbers["upstream"].unique(), key=study["upstreams"].index)
        looks = network_looks(numbers["backbone"], study)
        figure = panels.page(height=12 + 50 * len(upstreams))
        axes = figure.subplots(len(upstreams), len(tasks), sharex="col", sharey="col", squeeze=False)
        for column, task in zip(axes.T, tasks, strict=True):
            facts, part = study["tasks"][task], numbers[numbers["task"] == task]
            title = [facts["title"], names.title(facts["id_cohort"], study), f"{part['n'].iloc[0]:,} test images"]
            wrapped = [textwrap.fill(each, 100 // len(tasks)) for each in title]
            column[0].set_title("\n".join(wrapped), loc="left")
            for panel, upstream in zip(column, upstreams, strict=True):
                draw_panel(panel, part[part["upstream"] == upstream], looks)
                panel.set_ylabel(f"benefit ({names.METRICS[facts['primary_metric']]})")
            column[-1].set_xlabel("training patients")
        for row, upstream in zip(axes, upstreams, strict=True):
            row[0].set_ylabel(f"Pre-trained on {names.title(upstream, study)}\n{row[0].get_ylabel()}")
        sizes = study["backbones"]
        handles = panels.handles({f"{name}, {names.parameters(sizes[name])}": look for name, look in looks.items()})
        figure.legend(handles=handles, loc="upper center", ncols=len(handles))
        explanation = (
            "Benefit: pre-trained minus from scratch, with the same steps and patients, in-distribution; zero: none. "
            "Beside networks: parameters. Panels of a column share their scale."
        )
        panels.small_print(figure, explanation, study)
    return figure


# %%
def network_looks(backbones: pd.Series, study: Study) -> dict[str, style.Look]:
    """A look for each network, from light to dark as it grows."""
    ordered = sorted(set(backbones), key=lambda name: study["backbones"][name])
    shades = mpl.colormaps["viridis"](np.linspace(LIGHTEST, DARKEST, len(ordered)))
    markers = style.looks(ordered)
    return {name: style.Look(to_hex(shade), markers[name].marker) for name, shade in zip(ordered, shades, strict=True)}


# %%
def draw_panel(panel: Axes, numbers: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    """Networks as lines over the number of training patients."""
    panel.axhline(0, **ZERO)
    for position, (backbone, look) in enumerate(looks.items()):
        part = numbers[numbers["backbone"] == backbone]
        factor = DODGE ** (position - (len(looks) - 1) / 2)
        panels.line(panel, factor * part["patients"], part, look)
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(sorted(set(numbers["patients"]))))
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.xaxis.set_minor_locator(NullLocator())
    panels.few_ticks(panel)


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study)
    numbers = benefits(results, study)
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_benefit", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
