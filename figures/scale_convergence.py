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
# # Convergence
#
# Do large pre-trained networks converge in fewer steps? On the left, the validation metric while the smallest and the
# largest network are fine-tuned, with a marker where 95 % of the own gain is reached. On the right, for all networks,
# the steps until they are as good as the study's baseline, its `small` network with `narrow` pre-training, at 95 % of
# its gain (dotted). Runs that never get there are censored: they count with the whole schedule.

# %%
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from medtransfer.files import write_csv
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.convergence import BASELINE, LEVEL, OWN, SCORE, convergence_numbers
from medtransfer.plotting.numbers import ALL_SEEDS
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step

DOTTED: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.0}
ROW = 2.8  # mm, for an upstream of a network


# %%
def shown(numbers: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The steps of all networks to the baseline's target, but curves of the small and the large one alone."""
    everywhere = numbers["quantity"].isin([BASELINE, LEVEL])
    ends = numbers["backbone"].isin([study["roles"]["small"], study["roles"]["large"]])
    return numbers[everywhere | (ends & (numbers["seed"] == ALL_SEEDS))]


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A row for each task: curves of the small and of the large network, and steps to the baseline's target."""
    with mpl.rc_context(style.STYLE):
        looks = style.shown_looks(study["upstreams"], numbers["upstream"])
        figure, rows = panels.task_rows(
            numbers, lambda part: 22 + max(30, ROW * len(part[["backbone", "upstream"]].drop_duplicates()))
        )
        for row, part in rows:
            draw_task(row, part, study, looks)
        panels.legend(figure, looks, study)
        explanation = (
            "Curves: markers at 95 % of the own gain. Dotted: the baseline's score at 95 % of its gain. "
            "Triangles: runs that do not reach it, of all; they count with the whole schedule."
        )
        panels.small_print(figure, explanation, study)
    return figure


# %%
def draw_task(row: SubFigure, numbers: pd.DataFrame, study: Study, looks: dict[str, style.Look]) -> None:
    """Curves with one scale, and beside them the steps of every network."""
    facts = study["tasks"][numbers["task"].iloc[0]]
    row.suptitle(facts["title"], **style.HEADING)
    backbones = sorted(numbers["backbone"].unique(), key=lambda name: study["backbones"][name])
    ends = [study["roles"][role] for role in ("small", "large") if study["roles"][role] in backbones]
    curves, steps = row.subfigures(1, 2, squeeze=False, width_ratios=[len(ends), 1.25])[0]
    axes = curves.subplots(1, len(ends), sharey=True, squeeze=False)[0]
    axes[0].set_ylabel(f"{names.METRICS[facts['primary_metric']]}\n{numbers['n'].iloc[0]:,} validation images")
    level = numbers.loc[numbers["quantity"] == LEVEL, "value"].iloc[0]
    for panel, backbone in zip(axes, ends, strict=True):
        panel.set_title(f"{backbone}, {names.parameters(study['backbones'][backbone])}", loc="left")
        draw_curves(panel, numbers[numbers["backbone"] == backbone], looks)
        if np.isfinite(level):
            panel.axhline(level, **DOTTED)
        panels.few_ticks(panel)
    last = steps.subplots()
    last.set_title(
        "Steps to the baseline's target" if np.isfinite(level) else "No target: the baseline gains nothing", loc="left"
    )
    draw_steps(last, numbers[numbers["quantity"] == BASELINE], backbones, looks)
    end = numbers[numbers["quantity"] == SCORE].iloc[-1]
    for panel in (*axes, last):
        panel.set_xlabel(f"optimiser steps, {end['images_seen'] / end['step']:,.0f} images each")
        panel.set_xticks(
            [step for step in MaxNLocator(4, integer=True).tick_values(0, end["step"]) if step <= end["step"]]
        )
        panel.xaxis.set_major_formatter("{x:,.0f}")


# %%
def draw_curves(panel: Axes, numbers: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    """Means over seeds as lines in the band of their intervals, with a marker at their own target."""
    for upstream, look in looks.items():
        part = numbers[(numbers["upstream"] == upstream) & (numbers["seed"] == ALL_SEEDS)]
        curve, own = part[part["quantity"] == SCORE], part[part["quantity"] == OWN]
        panel.fill_between(curve["step"], curve["ci_low"], curve["ci_high"], color=look.colour, alpha=0.15, linewidth=0)
        panel.plot(curve["step"], curve["value"], color=look.colour, marker=look.marker, markersize=2.8, mew=0)
        reached = own["value"][own["n_censored"] < own["n_seeds"]]
        height = np.interp(reached, curve["step"], curve["value"])
        panel.plot(reached, height, look.marker, color=look.colour, markeredgecolor="black", mew=0.8, markersize=6)


# %%
def draw_steps(panel: Axes, numbers: pd.DataFrame, backbones: list[str], looks: dict[str, style.Look]) -> None:
    """Networks from top to bottom, in each a line for every upstream: mean, interval, single seeds, censored runs."""
    horizon = numbers["step"].iloc[0]
    above = panel.transData + ScaledTranslation(0, 3 / 72, panel.figure.dpi_scale_trans)
    for position, (upstream, look) in enumerate(looks.items()):
        part = numbers[numbers["upstream"] == upstream]
        heights = part["backbone"].map(backbones.index) + (position - (len(looks) - 1) / 2) / (len(looks) + 0.5)
        mean = part["seed"] == ALL_SEEDS
        runs, means = part[~mean], part[mean]
        met = runs["n_censored"] == 0
        panel.scatter(
            runs["value"][met], heights[~mean][met], s=2.5, color=look.colour, alpha=0.7, linewidths=0, transform=above
        )
        panel.hlines(heights[mean], means["ci_low"], means["ci_high"], color=look.colour, linewidth=0.9)
        panel.plot(means["value"], heights[mean], look.marker, color=look.colour, markeredgecolor="white", mew=0.3)
        for height, censored, seeds in zip(heights[mean], means["n_censored"], means["n_seeds"], strict=True):
            if censored:
                panel.plot(1.06 * horizon, height, ">", mfc="white", mec=look.colour, mew=0.8, markersize=3.2)
                panel.text(1.10 * horizon, height, f"{censored}/{seeds}", fontsize=5, va="center", color="0.2")
    panel.axvline(horizon, color="0.6", linewidth=0.6)
    panel.set_xlim(0, 1.22 * horizon)
    panel.set_ylim(len(backbones) - 0.5, -0.5)
    panel.set_yticks(range(len(backbones)), backbones)
    panel.grid(visible=False, axis="y")


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    numbers = shown(convergence_numbers(tables["curves"], Results.load(tables, study)), study)
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_convergence", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
