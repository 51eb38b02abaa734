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
# # Errors at an operating point, by sub-group
#
# Are the errors of larger networks, pre-trained on more data, spread more evenly? Decisions are taken at the operating
# point that was chosen on in-distribution validation images. Rows are error rates, columns what patients are grouped
# by; each panel shows the largest gap between two groups, and as a dash the gap that noise alone would give. Equalised
# odds asks for no gap in sensitivity and none in specificity.

# %%
import textwrap
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.metrics.evaluate import EXPECTED_GAP, GAP, RATES
from medtransfer.plotting import names, networks, panels, style
from medtransfer.plotting.numbers import ALL_SEEDS
from medtransfer.plotting.subgroups import column_order, column_title, subgroup_numbers
from medtransfer.results import FULL, Results, Study
from medtransfer.review.notebook import step

DODGE = 0.17  # between lines, so that their intervals do not hide one another
EXPECTED: dict[str, Any] = {"linestyle": "", "marker": "_", "markersize": 6, "markeredgewidth": 1.1}


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """For each task a row of panels for each rate, a panel for each column of groups, a line for each upstream."""
    with mpl.rc_context(style.STYLE):
        columns = numbers.groupby("task")["subgroup_by"].nunique().max()
        figure, boxes = panels.task_rows(numbers, lambda part: 22 * part["metric"].nunique() + 19)
        for box, part in boxes:
            draw_task(box, part, columns, study)
        panels.legend(figure, style.shown_looks(study["upstreams"], numbers["upstream"]), study)
        panels.print_below(
            figure,
            f"{names.method(study['confidence'])} Dashes: gap expected of equal groups. Under backbones: parameters.",
            study,
        )
    return figure


# %%
def draw_task(box: SubFigure, numbers: pd.DataFrame, columns: int, study: Study) -> None:
    """Rates over columns of groups; panels of one rate share their scale, places that are not needed stay empty."""
    first = numbers.iloc[0]
    cohort = f"{names.title(first['cohort'], study)} ({first['shift'].upper()}), {numbers['n'].max():,} images"
    box.suptitle(f"{study['tasks'][first['task']]['title']}: {cohort}", **style.HEADING)
    rates, compared = list(numbers["metric"].unique()), column_order(numbers)
    axes = box.subplots(len(rates), columns, sharex=True, sharey="row", squeeze=False)
    for panel, by in zip(axes[0], compared, strict=False):
        panel.set_title(f"by {column_title(by)}", loc="left")
    for row, rate in zip(axes, rates, strict=True):
        row[0].set_ylabel(textwrap.fill(f"gap in {names.METRICS[rate]}", 16, break_on_hyphens=False), fontsize=6)
        for panel, by in zip(row, compared, strict=False):
            draw_gaps(panel, numbers[(numbers["metric"] == rate) & (numbers["subgroup_by"] == by)], study)
        row[0].set_ylim(0, min(1, row[0].get_ylim()[1]))
        for unused in row[len(compared) :]:
            unused.set_axis_off()


# %%
def draw_gaps(panel: Axes, numbers: pd.DataFrame, study: Study) -> None:
    """Upstreams as lines over backbones from small to large, with what is expected of equal groups."""
    place = networks.backbone_axis(panel, numbers, study)
    looks = style.shown_looks(study["upstreams"], numbers["upstream"])
    for position, (upstream, look) in enumerate(looks.items()):
        x = place + DODGE * (position - (len(looks) - 1) / 2)
        gap, expected = (
            (numbers["upstream"] == upstream) & (numbers["subgroup"] == summary) for summary in (GAP, EXPECTED_GAP)
        )
        panels.line(panel, x[gap], numbers[gap].assign(seed=ALL_SEEDS), look)
        panel.plot(x[expected], numbers.loc[expected, "value"], color=look.colour, **EXPECTED)
    panels.few_ticks(panel)


# %%
def drawn(numbers: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Gaps and expected gaps; under-diagnosis of several labels alone, since that of one is 1 - sensitivity."""
    several = numbers["task"].map({name: len(task["labels"]) > 1 for name, task in study["tasks"].items()})
    return numbers[numbers["subgroup"].isin([GAP, EXPECTED_GAP]) & ((numbers["metric"] != RATES[2]) | several)]


def first_cohorts(numbers: pd.DataFrame) -> pd.DataFrame:
    """Of each task the in-distribution cohort, or, where that has no gaps, the first that has; tasks in order."""
    tasks = [part for _, part in numbers.groupby("task", sort=False)]
    return pd.concat([part[part["cohort"] == part["cohort"].iloc[0]] for part in tasks] or [numbers])


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study, RATES)
    cells = results.cells("scale", budget=FULL, recipe=RULE)
    measured = [subgroup_numbers(tables, results, cells, rate) for rate in RATES]
    numbers = first_cohorts(drawn(pd.concat(measured), study))
    if numbers.empty:
        raise UserError(
            f"No task of study {study['name']!r} has two sub-groups to compare. Name columns of its cohorts under the "
            "tasks' `subgroups`, or lower `min_group`."
        )
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_equity", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
