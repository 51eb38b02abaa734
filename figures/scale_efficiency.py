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
from functools import partial
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

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
    """A row of panels for each cohort of each task, a panel for each backbone, a line for each upstream."""
    with mpl.rc_context(style.STYLE):
        looks = style.looks(study["upstreams"])
        backbones = sorted(numbers["backbone"].unique(), key=lambda name: study["backbones"][name])
        cohorts = numbers.groupby("task")["cohort"].nunique()
        heights = [24 * cohorts[task] + 16 for task in study["tasks"]]
        figure = panels.page(height=sum(heights))
        blocks = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        for block, (task, facts) in zip(blocks, study["tasks"].items(), strict=True):
            metric = names.METRICS[facts["primary_metric"]]
            block.suptitle(f"{facts['title']}: {metric}", x=0.01, ha="left", fontweight="bold", fontsize=8)
            block.supxlabel("training patients (%)", fontsize=7)
            axes = block.subplots(cohorts[task], len(backbones), sharex=True, sharey="row", squeeze=False)
            for panel, backbone in zip(axes[0], backbones, strict=True):
                panel.set_title(f"{backbone}, {names.parameters(study['backbones'][backbone])}", loc="left")
            parts = numbers[numbers["task"] == task].groupby("cohort", sort=False)
            for row, (cohort, part) in zip(axes, parts, strict=True):
                n, shift = part["n"].iloc[0], part["shift"].iloc[0].upper()
                row[0].set_ylabel(f"{names.title(str(cohort), study)}\n{shift}, {n:,} images", fontsize=6)
                for panel, backbone in zip(row, backbones, strict=True):
                    draw_backbone(panel, part[part["backbone"] == backbone], looks)
                    panel.tick_params(axis="x", rotation=90 if len(backbones) > 4 else 0)
                    for value in baseline(part[part["seed"] == ALL_SEEDS], study)["value"]:
                        panel.axhline(value, **BASELINE)
        small, narrow = study["roles"]["small"], names.title(study["roles"]["narrow"], study)
        panels.legend(figure, looks, study, Line2D([], [], label=f"{small} from {narrow}, all patients", **BASELINE))
        panels.small_print(figure, "Beside backbones: parameters. ID, OOD: in-, out-of-distribution.", study)
    return figure


# %%
def draw_backbone(panel: mpl.axes.Axes, numbers: pd.DataFrame, looks: dict[str, style.Look]) -> None:
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
    """Runs of the networks and upstreams that saw several budgets, and of the baseline."""
    several = runs.groupby(["task", "backbone", "upstream"])["budget"].transform("nunique") > 1
    return runs[several | runs.index.isin(baseline(runs, study).index)]


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
if "snakemake" in globals():
    with step_log(snakemake.log[0]):
        main(
            snakemake.input.metrics,
            snakemake.input.replicates,
            snakemake.input.completeness,
            snakemake.params.study,
            snakemake.output.csv,
            [snakemake.output.svg, snakemake.output.pdf],
        )
