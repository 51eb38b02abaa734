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
# # Out-of-distribution: level and loss
#
# How do networks do on cohorts they have never seen, without any retraining? On the left of each tile the level there
# against the level on the cohort they were fine-tuned on; networks of one upstream are joined from small to large. On
# the right what is lost on the way, the difference of the two: at zero nothing is. Both, since a network can gain in
# level and lose more all the same.

# %%
import textwrap

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.contrasts import differences
from medtransfer.plotting.numbers import means, study_numbers
from medtransfer.plotting.tiles import ZERO, tiled
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL

DODGE = 0.13  # between lines, so that their intervals do not hide one another
SMALLEST, LARGEST = 2.5, 6.0  # markers of networks, in points
LEVEL, DIFFERENCE = "level", "ood - id"


# %%
def shift_numbers(results: Results, study: Study) -> pd.DataFrame:
    """Levels of the cells with all patients, and OOD minus ID of each: `quantity` says which.

    Raises:
        UserError: No task has an out-of-distribution cohort.
    """
    cells = results.cells("scale", task=[task for task, facts in study["tasks"].items() if facts["ood_cohorts"]])
    if cells.empty:
        raise UserError(
            f"No task in the arm `scale` of the study {study['name']!r} has an out-of-distribution cohort. Add such a "
            "task to the arm, or `ood_cohorts` to its task."
        )
    levels = means(study_numbers(results, cells))
    pairs = [
        ((cell, cohort), (cell, study["tasks"][cell[0]]["id_cohort"]))
        for cell in cells[list(CELL)].itertuples(index=False, name=None)
        for cohort in study["tasks"][cell[0]]["ood_cohorts"]
    ]
    change = differences(results, pairs).assign(shift="ood")
    return pd.concat([levels.assign(quantity=LEVEL), change.assign(quantity=DIFFERENCE)], ignore_index=True)


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A tile for each task and out-of-distribution cohort: level against level, and the difference."""
    with mpl.rc_context(style.STYLE):
        looks = style.shown_looks(study["upstreams"], numbers["upstream"])
        change = numbers[numbers["quantity"] == DIFFERENCE]
        cohorts = change[["task", "cohort"]].drop_duplicates()
        figure, tiles = tiled(len(cohorts), columns=2, height=54)
        for tile, (task, cohort) in zip(tiles, cohorts.itertuples(index=False, name=None), strict=True):
            draw_tile(tile, numbers[numbers["task"] == task], cohort, study, looks)
        panels.legend(figure, looks, study)
        explanation = (
            "ID, OOD: in-, out-of-distribution. Left: larger markers are larger networks; diagonal: no difference. "
            "Right: the difference of each network, from small to large, with one scale for all cohorts of a task."
        )
        panels.small_print(figure, explanation, study)
    return figure


# %%
def draw_tile(tile: SubFigure, numbers: pd.DataFrame, cohort: str, study: Study, looks: dict[str, style.Look]) -> None:
    """One task on one out-of-distribution cohort."""
    facts = study["tasks"][numbers["task"].iloc[0]]
    tile.suptitle(textwrap.fill(f"{facts['title']}: {names.title(cohort, study)}", 44), **style.HEADING)
    left, right = tile.subplots(1, 2)
    change, levels = (numbers[numbers["quantity"] == each] for each in (DIFFERENCE, LEVEL))
    inside, outside = (levels[levels["cohort"] == each] for each in (facts["id_cohort"], cohort))
    metric = names.METRICS[facts["primary_metric"]]
    draw_levels(left, inside, outside, study, looks)
    trained_on = textwrap.fill(f"{metric}, ID: {names.title(facts['id_cohort'], study)}", 34)
    left.set_xlabel(f"{trained_on}\n({inside['n'].iloc[0]:,} test images)")
    left.set_ylabel(f"{metric}, OOD\n({outside['n'].iloc[0]:,} test images)")
    draw_difference(right, change[change["cohort"] == cohort], study, looks)
    right.set_ylabel(f"OOD minus ID\n({metric})")
    low, high = change[["value", "ci_low"]].min(axis=None), change[["value", "ci_high"]].max(axis=None)
    margin = 0.05 * (high - low)
    right.set_ylim(min(low, 0) - margin, max(high, 0) + margin)


# %%
def draw_levels(
    panel: Axes, inside: pd.DataFrame, outside: pd.DataFrame, study: Study, looks: dict[str, style.Look]
) -> None:
    """The level out of distribution over that in distribution, a point for each network and upstream."""
    sizes = marker_sizes(inside["backbone"], study)
    for upstream, look in looks.items():
        x, y = (part[part["upstream"] == upstream] for part in (inside, outside))
        panel.plot(x["value"], y["value"], color=look.colour, linewidth=0.8, alpha=0.45)
        panel.hlines(y["value"], x["ci_low"], x["ci_high"], color=look.colour, linewidth=0.6, alpha=0.45)
        panel.vlines(x["value"], y["ci_low"], y["ci_high"], color=look.colour, linewidth=0.6, alpha=0.45)
        for backbone, across, up in zip(x["backbone"], x["value"], y["value"], strict=True):
            panel.plot(across, up, look.marker, color=look.colour, ms=sizes[backbone], mec="white", mew=0.3)
    x0, x1 = panel.get_xlim()
    panel.plot([x0, x1], [x0, x1], scalex=False, scaley=False, **ZERO)
    panel.grid(axis="both")
    panel.xaxis.set_major_locator(MaxNLocator(4))
    panels.few_ticks(panel)


def marker_sizes(backbones: pd.Series, study: Study) -> dict[str, float]:
    """The size of each backbone's marker: even steps from the smallest network to the largest."""
    ordered = sorted(set(backbones), key=lambda name: study["backbones"][name])
    step = (LARGEST - SMALLEST) / max(1, len(ordered) - 1)
    return {name: SMALLEST + step * position for position, name in enumerate(ordered)}


# %%
def draw_difference(panel: Axes, numbers: pd.DataFrame, study: Study, looks: dict[str, style.Look]) -> None:
    """Upstreams as lines over backbones from small to large."""
    backbones = sorted(numbers["backbone"].unique(), key=lambda name: study["backbones"][name])
    panel.axhline(0, **ZERO)
    for position, (upstream, look) in enumerate(looks.items()):
        part = numbers[numbers["upstream"] == upstream]
        offset = DODGE * (position - (len(looks) - 1) / 2)
        panels.line(panel, part["backbone"].map(backbones.index).astype(float) + offset, part, look)
    panel.set_xticks(range(len(backbones)), backbones, rotation=90 if len(backbones) > 3 else 0)
    panel.set_xlim(-0.5, len(backbones) - 0.5)
    panels.few_ticks(panel)


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study)
    numbers = shift_numbers(results, study)
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_shift", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
