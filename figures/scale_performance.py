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
# # Performance against scale
#
# Does a larger network, pre-trained on more data, do better on medical images: on the cohort it was fine-tuned on
# (left) and on cohorts it has never seen? Networks stand in the order of their size; each line is what they were
# pre-trained on. All runs saw the whole training cohort.

# %%
from typing import TYPE_CHECKING

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from medtransfer.files import write_csv
from medtransfer.logs import step_log
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.numbers import Study, full_budget, study_numbers

if TYPE_CHECKING:
    from snakemake.script import snakemake

DODGE = 0.13  # between lines, so that their intervals do not hide one another


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A row of panels for each task, a panel for each cohort, a line for each upstream."""
    with mpl.rc_context(style.STYLE):
        looks = style.looks(study["upstreams"])
        figure = panels.page(height=62 * len(study["tasks"]))
        columns = numbers.groupby("task")["cohort"].nunique().max()
        rows = figure.subfigures(len(study["tasks"]), 1, squeeze=False)[:, 0]
        for row, (task, facts) in zip(rows, study["tasks"].items(), strict=True):
            row.suptitle(facts["title"], x=0.01, ha="left", fontweight="bold", fontsize=8)
            axes = row.subplots(1, columns, sharey=True, squeeze=False)[0]
            cohorts = numbers[numbers["task"] == task].groupby("cohort", sort=False)
            for panel, (cohort, part) in zip(axes, cohorts, strict=False):
                n, shift = part["n"].iloc[0], part["shift"].iloc[0].upper()
                panel.set_title(f"{names.title(str(cohort), study)} ({shift})\n{n:,} test images", loc="left")
                draw_cohort(panel, part, study, looks)
            axes[0].set_ylabel(names.METRICS[facts["primary_metric"]])
            for unused in axes[len(cohorts) :]:
                unused.set_axis_off()
        panels.legend(figure, looks, study)
        panels.small_print(figure, "Under backbones: parameters. ID, OOD: in-, out-of-distribution.", study)
    return figure


# %%
def draw_cohort(panel: mpl.axes.Axes, numbers: pd.DataFrame, study: Study, looks: dict[str, style.Look]) -> None:
    """Upstreams as lines over backbones from small to large."""
    backbones = sorted(study["backbones"], key=lambda name: study["backbones"][name])
    for position, (upstream, look) in enumerate(looks.items()):
        part = numbers[numbers["upstream"] == upstream]
        offset = DODGE * (position - (len(looks) - 1) / 2)
        panels.line(panel, part["backbone"].map(backbones.index) + offset, part, look)
    labels = [f"{name}\n{names.parameters(study['backbones'][name])}" for name in backbones]
    crowded = len(backbones) > 4
    panel.set_xticks(range(len(backbones)), labels, rotation=60 if crowded else 0)
    panel.set_xlim(-0.5, len(backbones) - 0.5)
    panels.few_ticks(panel)


# %%
def main(metrics: str, replicates: str, completeness: str, study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    numbers = study_numbers(metrics, replicates, completeness, study, choose=full_budget)
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
