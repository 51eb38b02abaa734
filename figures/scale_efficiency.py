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
# pre-training, reaches with all training patients: where a curve meets it, fewer patients do as well. At the foot of
# each panel stands where that is, on a monotone fit of the curve and with an interval; on the grey ground to the right
# it is not reached. Networks and upstreams that were trained with one budget alone are not shown, but for the baseline.

# %%
import textwrap
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from medtransfer.files import write_csv
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.contrasts import SERIES, baseline, curves, fractions_needed
from medtransfer.plotting.numbers import study_numbers
from medtransfer.plotting.tiles import fraction_axis
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL

DODGE = 1.05  # factor between lines, so that their intervals do not hide one another
BASELINE: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.0}
OPEN: dict[str, Any] = {"facecolors": "white", "linewidths": 0.8, "s": 11, "zorder": 3}
FOOT = 0.085  # of a panel's height, for each mark at its foot
BEYOND = 1.7  # times all patients: where a baseline that is not reached is marked


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A block of panels for each task, in it a row for each cohort and a column for each backbone."""
    with mpl.rc_context(style.STYLE):
        looks = style.shown_looks(study["upstreams"], numbers["upstream"])
        figure, blocks = panels.task_rows(numbers, lambda part: 27 * part["cohort"].nunique() + 16)
        for block, part in blocks:
            draw_task(block, part, study, looks)
        small, narrow = study["roles"]["small"], names.title(study["roles"]["narrow"], study)
        panels.legend(figure, looks, study)
        explanation = (
            f"Dotted: {small} from {narrow}, all patients. Open markers: where a curve meets it; on grey: not reached. "
            "Beside backbones: parameters. ID, OOD: in-, out-of-distribution."
        )
        panels.small_print(figure, explanation, study)
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
        [target] = part["target"].dropna().unique()
        for panel, backbone in zip(row, backbones, strict=True):
            draw_backbone(panel, part[part["backbone"] == backbone], looks)
            panel.tick_params(axis="x", rotation=90 if len(backbones) > 4 else 0)
            panel.axhline(target, **BASELINE)
        needs = part.dropna(subset="needed")
        marked = {name: look for name, look in looks.items() if name in set(needs["upstream"])}
        low, high = row[0].get_ylim()
        row[0].set_ylim(low - (high - low) * FOOT * (len(marked) + 1), high)
        for panel, backbone in zip(row, backbones, strict=True):
            draw_needed(panel, needs[needs["backbone"] == backbone], marked)


# %%
def draw_backbone(panel: Axes, numbers: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    """Upstreams as lines over the share of training patients."""
    percent = 100 * numbers["fraction"]
    for position, (upstream, look) in enumerate(looks.items()):
        rows = numbers["upstream"] == upstream
        factor = DODGE ** (position - (len(looks) - 1) / 2)
        panels.line(panel, factor * percent[rows], numbers[rows], look)
    fraction_axis(panel, numbers["fraction"])
    panels.few_ticks(panel)


# %%
def draw_needed(panel: Axes, numbers: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    """At the foot, for each upstream, the share of patients at which it meets the baseline."""
    foot, beyond = panel.get_xaxis_transform(), 100 * BEYOND
    panel.axvspan(100 * BEYOND**0.5, 100 * BEYOND**1.5, color="0.93", linewidth=0, zorder=0)
    panel.set_xlim(right=100 * BEYOND**1.5)
    for position, (upstream, look) in enumerate(reversed(looks.items())):
        height = FOOT * (position + 0.7)
        once = numbers[numbers["upstream"] == upstream].head(1)
        for needed in 100 * once[["needed", "needed_low", "needed_high"]].to_numpy():
            value, low, high = needed.clip(max=beyond)
            panel.plot([low, high], [height, height], color=look.colour, linewidth=0.9, transform=foot)
            panel.scatter(value, height, marker=look.marker, edgecolors=look.colour, transform=foot, **OPEN)


# %%
def efficiency_numbers(results: Results, study: Study) -> pd.DataFrame:
    """Performance of the cells with several budgets and of the baseline; what each curve needs stands in its rows."""
    cells = curves(results)
    baselines = pd.DataFrame([baseline(task, study) for task in cells["task"].unique()], columns=list(CELL))
    shown = pd.concat([cells, baselines.assign(fraction=1.0)]).drop_duplicates(list(CELL))
    columns = [*SERIES, "cohort", "target", "needed", "needed_low", "needed_high", "reached"]
    return study_numbers(results, shown).merge(fractions_needed(results)[columns], "left", [*SERIES, "cohort"])


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study)
    numbers = efficiency_numbers(results, study)
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_efficiency", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
