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
# # Performance against training data
#
# How many training patients does a network need? Rows are cohorts, columns networks from small to large; panels of
# one row share their scale. The dotted line is what the study's baseline, its `small` network with `narrow`
# pre-training, reaches with all training patients: where a curve crosses it, fewer patients do as well. Networks and
# upstreams that were trained with one budget alone are not shown, but for the baseline.

# %%
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, NullLocator

from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.logs import step_log
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.numbers import ALL_SEEDS, Study, full_budget, study_numbers
from medtransfer.runs import budget_fraction

if TYPE_CHECKING:
    from snakemake.script import snakemake

DODGE = 1.05  # factor between lines, so that their intervals do not hide one another
BASELINE: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.0}


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A block of panels for each task, in it a row for each cohort and a column for each backbone."""
    with mpl.rc_context(style.STYLE):
        looks = style.looks(study["upstreams"])
        tasks = list(numbers["task"].unique())
        cohorts = numbers.groupby("task")["cohort"].nunique()
        heights = [24 * cohorts[task] + 16 for task in tasks]
        figure = panels.page(height=sum(heights))
        blocks = figure.subfigures(len(tasks), 1, squeeze=False, height_ratios=heights)[:, 0]
        for block, task in zip(blocks, tasks, strict=True):
            draw_task(block, numbers[numbers["task"] == task], study, looks)
        small, narrow = study["roles"]["small"], names.title(study["roles"]["narrow"], study)
        panels.legend(figure, looks, study)
        dotted = f"Dotted: {small} from {narrow}, all patients."
        panels.small_print(figure, f"{dotted} Beside backbones: parameters. ID, OOD: in-, out-of-distribution.", study)
    return figure


# %%
def draw_task(block: SubFigure, numbers: pd.DataFrame, study: Study, looks: dict[str, style.Look]) -> None:
    """Cohorts over backbones from small to large, with the baseline of each cohort."""
    facts = study["tasks"][numbers["task"].iloc[0]]
    block.suptitle(f"{facts['title']}: {names.METRICS[facts['primary_metric']]}", **style.HEADING)
    block.supxlabel("training patients (%)", fontsize=7)
    cohorts = dict(list(numbers.groupby("cohort", sort=False)))
    budgets = numbers.groupby("backbone")["budget"].nunique()
    backbones = sorted(budgets.index[budgets > 1], key=lambda name: study["backbones"][name])
    axes = block.subplots(len(cohorts), len(backbones), sharex=True, sharey="row", squeeze=False)
    for panel, backbone in zip(axes[0], backbones, strict=True):
        panel.set_title(f"{backbone}, {names.parameters(study['backbones'][backbone])}", loc="left")
    for row, (cohort, part) in zip(axes, cohorts.items(), strict=True):
        n, shift = part["n"].iloc[0], part["shift"].iloc[0].upper()
        title = textwrap.fill(names.title(cohort, study), 20)
        row[0].set_ylabel(f"{title}\n{shift}, {n:,} images", fontsize=6)
        reference = baseline(part[part["seed"] == ALL_SEEDS], study)["value"]
        for panel, backbone in zip(row, backbones, strict=True):
            draw_backbone(panel, part[part["backbone"] == backbone], looks)
            panel.tick_params(axis="x", rotation=90 if len(backbones) > 4 else 0)
            for value in reference:
                panel.axhline(value, **BASELINE)


# %%
def draw_backbone(panel: Axes, numbers: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    """Upstreams as lines over the share of training patients."""
    percent = 100 * numbers["budget"].map(budget_fraction)
    for position, (upstream, look) in enumerate(looks.items()):
        rows = numbers["upstream"] == upstream
        factor = DODGE ** (position - (len(looks) - 1) / 2)
        panels.line(panel, factor * percent[rows], numbers[rows], look)
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(sorted(set(percent))))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:g}")
    panels.few_ticks(panel)


# %%
def needed(runs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Runs of the networks and upstreams that saw several budgets, and of the baseline, of each task that has any.

    Raises UserError when there are none, or when the study does not say what its baseline is.
    """
    if not {"small", "narrow"} <= set(study["roles"]):
        raise UserError(f"studies.{study['name']}.roles: name a `small` backbone and a `narrow` upstream.")
    several = runs.groupby(["task", "backbone", "upstream"])["budget"].transform("nunique") > 1
    if not several.any():
        raise UserError(
            f"The study {study['name']!r} trains no network with more than one share of the patients, and this figure "
            f"has nothing to show. Add `fractions` such as [0.1, 0.3, 1.0] to studies.{study['name']}.grids."
        )
    studied = runs[runs["task"].isin(runs["task"][several])]
    return runs[several | runs.index.isin(baseline(studied, study).index)]


def baseline(runs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Runs of the `small` backbone with `narrow` pre-training and the largest budget, if any is asked for."""
    small, narrow = study["roles"]["small"], study["roles"]["narrow"]
    runs = full_budget(runs)
    return runs[(runs["backbone"] == small) & (runs["upstream"] == narrow)]


# %%
def main(metrics: str, replicates: str, completeness: str, study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    numbers = study_numbers(metrics, replicates, completeness, study, choose=partial(needed, study=study))
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.input.metrics,
            snakemake.input.replicates,
            snakemake.input.completeness,
            snakemake.params.study,
            snakemake.output.csv,
            [snakemake.output.svg, snakemake.output.pdf],
        )
