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
import textwrap

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from medtransfer.files import write_csv
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.numbers import study_numbers
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step

DODGE = 0.13  # between lines, so that their intervals do not hide one another


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A row of panels for each task, a panel for each cohort, a line for each upstream."""
    with mpl.rc_context(style.STYLE):
        looks = style.shown_looks(study["upstreams"], numbers["upstream"])
        columns = numbers.groupby("task")["cohort"].nunique().max()
        figure, rows = panels.task_rows(numbers, lambda part: 62)
        for row, part in rows:
            draw_task(row, part, columns, study, looks)
        panels.legend(figure, looks, study)
        panels.small_print(figure, "Under backbones: parameters. ID, OOD: in-, out-of-distribution.", study)
    return figure


# %%
def draw_task(row: SubFigure, numbers: pd.DataFrame, columns: int, study: Study, looks: dict[str, style.Look]) -> None:
    """The cohorts of a task side by side, with one scale; columns that the task does not need stay empty."""
    facts = study["tasks"][numbers["task"].iloc[0]]
    row.suptitle(facts["title"], **style.HEADING)
    cohorts = dict(list(numbers.groupby("cohort", sort=False)))
    axes = row.subplots(1, columns, sharey=True, squeeze=False)[0]
    axes[0].set_ylabel(names.METRICS[facts["primary_metric"]])
    for panel, (cohort, part) in zip(axes, cohorts.items(), strict=False):
        n, shift = part["n"].iloc[0], part["shift"].iloc[0].upper()
        title = textwrap.fill(f"{names.title(cohort, study)} ({shift})", 120 // columns)
        panel.set_title(f"{title}\n{n:,} test images", loc="left")
        draw_cohort(panel, part, study, looks)
    for unused in axes[len(cohorts) :]:
        unused.set_axis_off()


# %%
def draw_cohort(panel: Axes, numbers: pd.DataFrame, study: Study, looks: dict[str, style.Look]) -> None:
    """Upstreams as lines over backbones from small to large."""
    backbones = sorted(numbers["backbone"].unique(), key=lambda name: study["backbones"][name])
    for position, (upstream, look) in enumerate(looks.items()):
        part = numbers[numbers["upstream"] == upstream]
        offset = DODGE * (position - (len(looks) - 1) / 2)
        panels.line(panel, part["backbone"].map(backbones.index).astype(float) + offset, part, look)
    labels = [f"{name}\n{names.parameters(study['backbones'][name])}" for name in backbones]
    crowded = len(backbones) > 4
    panel.set_xticks(range(len(backbones)), labels, rotation=60 if crowded else 0)
    panel.set_xlim(-0.5, len(backbones) - 0.5)
    panels.few_ticks(panel)


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study)
    numbers = study_numbers(results, results.cells("scale"))
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_performance", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
