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
# # Performance by sub-group
#
# Whom does scale serve? The primary metric of three networks in each sub-group of patients, on the cohort they were
# fine-tuned on (left) and on cohorts they have never seen; the worst off of the groups that are compared; and below,
# how far these lie apart, beside the gap that noise alone would give. Of groups of too few images the size is listed.

# %%
import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.metrics.evaluate import EXPECTED_GAP, GAP, WORST
from medtransfer.plotting import names, networks, panels, style
from medtransfer.plotting.subgroups import column_order, column_title, group_order, subgroup_numbers
from medtransfer.results import PRIMARY, Results, Study
from medtransfer.review.notebook import step

LINE = 3.0  # mm, a group's
SPACE = 0.5  # lines between the groups of two columns
DODGE = 0.27  # lines between the networks of a group
MARKS: dict[str, Any] = {"linestyle": "", "markersize": 3.4, "markeredgecolor": "white", "markeredgewidth": 0.3}
REMARK: dict[str, Any] = {"fontsize": 5, "color": "0.3", "fontstyle": "italic"}
EXPECTED: dict[str, Any] = {"linestyle": "", "marker": "|", "markersize": 4, "markeredgewidth": 1.2}


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """For each task the groups over the gaps, a panel for each cohort that has any."""
    with mpl.rc_context(style.STYLE):
        figure, boxes = panels.task_rows(
            numbers, lambda part: LINE * (last_line(places(part)) + last_line(columns(part))) + 29
        )
        for box, part in boxes:
            draw_task(box, part, study)
        networks.legend(figure, study)
        panels.print_below(
            figure,
            f"Means over seeds, {100 * study['confidence']:g} % intervals over patients and seeds. Right of panels: "
            "images. Shaded: the worst off. Upright dashes: gap expected of equal groups. Ages: years.",
            study,
        )
    return figure


# %%
def places(numbers: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Where each group stands, in lines from above."""
    found, line = {}, 0.0
    for by in column_order(numbers):
        groups = set(numbers.loc[numbers["subgroup_by"] == by, "subgroup"]) - {GAP, EXPECTED_GAP}
        for group in sorted(groups, key=group_order):
            found[by, group] = line
            line += 1
        line += SPACE
    return found


def columns(numbers: pd.DataFrame) -> dict[str, float]:
    """Where the gap of each column stands, in lines from above."""
    return {by: float(line) for line, by in enumerate(column_order(numbers[numbers["subgroup"] == GAP]))}


def last_line(lines: dict[Any, float]) -> float:
    """Where a panel ends, in lines from above."""
    return max(lines.values(), default=0.0) + 0.6


# %%
def draw_task(box: SubFigure, numbers: pd.DataFrame, study: Study) -> None:
    """The cohorts of a task side by side, groups above and gaps below."""
    facts = study["tasks"][numbers["task"].iloc[0]]
    metric = names.METRICS[facts["primary_metric"]]
    box.suptitle(f"{facts['title']}: {metric}", **style.HEADING)
    cohorts = dict(list(numbers.groupby("cohort", sort=False)))
    of_group, of_column = places(numbers), columns(numbers)
    lines = [last_line(of_group), last_line(of_column)]
    axes = box.subplots(2, len(cohorts), sharex="row", sharey="row", squeeze=False, height_ratios=lines)
    for panel, below, (cohort, part) in zip(*axes, cohorts.items(), strict=True):
        title = f"{names.title(cohort, study)} ({part['shift'].iloc[0].upper()})"
        panel.set_title(textwrap.fill(title, 90 // len(cohorts)), loc="left")
        draw_groups(panel, part, of_group, study)
        draw_gaps(below, part, of_column, study)
        below.set_xlabel(f"largest gap in {metric}", fontsize=6)
    name_groups(axes[0, 0], of_group, box)
    axes[1, 0].set_yticks(list(of_column.values()), [column_title(by) for by in of_column])
    for first, bottom in zip(axes[:, 0], lines, strict=True):
        first.set_ylim(bottom, -0.6)
    axes[1, 0].set_xlim(left=0)


def name_groups(panel: Axes, of_group: dict[tuple[str, str], float], box: SubFigure) -> None:
    """Groups as tick labels, and beside those of each column its title."""
    panel.set_yticks(list(of_group.values()), [{WORST: "worst"}.get(group, group) for _, group in of_group])
    panel.set_ylabel(" ")  # keeps room for the titles
    edge = blended_transform_factory(box.transSubfigure, panel.transData)
    for by in dict.fromkeys(by for by, _ in of_group):
        lines = [line for (column, _), line in of_group.items() if column == by]
        title = textwrap.fill(column_title(by), 2 * len(lines), break_long_words=False)
        middle = (lines[0] + lines[-1]) / 2
        panel.text(
            0.018, middle, title, transform=edge, rotation=90, ha="center", va="center", fontsize=6, weight="bold"
        )


# %%
def draw_groups(panel: Axes, numbers: pd.DataFrame, of_group: dict[tuple[str, str], float], study: Study) -> None:
    """The networks in each group with n beside; why there are none, where it is not shown."""
    finish(panel)
    groups = numbers[~numbers["subgroup"].isin([GAP, EXPECTED_GAP])]
    for (by, group), line in of_group.items():
        rows = groups[(groups["subgroup_by"] == by) & (groups["subgroup"] == group)]
        if group == WORST:
            panel.axhspan(line - 0.5, line + 0.5, color="0.94" if len(rows) else "none", linewidth=0)
            continue
        beside = panel.get_yaxis_transform()
        n = "–" if rows.empty else f"{rows['n'].iloc[0]:,}"
        panel.text(1.02, line, n, transform=beside, fontsize=5, color="0.3", va="center")
        if rows["value"].isna().any():
            reason = "not shown" if rows["n"].iloc[0] < study["min_group"] else "undefined"
            panel.text(0.03, line, reason, transform=beside, va="center", **REMARK)
    line = pd.Series([of_group[place] for place in zip(groups["subgroup_by"], groups["subgroup"], strict=True)])
    draw_networks(panel, groups.dropna(subset="value"), line[groups["value"].notna().to_numpy()].to_numpy(), study)


def draw_gaps(panel: Axes, numbers: pd.DataFrame, of_column: dict[str, float], study: Study) -> None:
    """The gap of each column of groups, and the one to be expected."""
    finish(panel)
    gaps, expected = (numbers[numbers["subgroup"] == name].dropna(subset="value") for name in (GAP, EXPECTED_GAP))
    if gaps.empty:
        panel.text(0.03, 0.5, "no groups to compare", transform=panel.transAxes, va="center", **REMARK)
    draw_networks(panel, gaps, gaps["subgroup_by"].map(of_column).to_numpy(dtype=float), study)
    for position, (network, look) in enumerate(networks.network_looks(study).items()):
        rows = expected[expected["network"] == network]
        y = rows["subgroup_by"].map(of_column).astype(float) + dodge(position)
        panel.plot(rows["value"], y, color=look.colour, **EXPECTED)


def draw_networks(panel: Axes, numbers: pd.DataFrame, line: np.ndarray, study: Study) -> None:
    """Means with their intervals, one network above the other."""
    for position, (network, look) in enumerate(networks.network_looks(study).items()):
        chosen = (numbers["network"] == network).to_numpy()
        rows, y = numbers[chosen], line[chosen] + dodge(position)
        panel.hlines(y, rows["ci_low"], rows["ci_high"], color=look.colour, linewidth=0.8)
        panel.plot(rows["value"], y, color=look.colour, marker=look.marker, **MARKS)


def dodge(position: int) -> float:
    """How far below its group's line a network stands."""
    return DODGE * (position - (len(networks.COMPARED) - 1) / 2)


def finish(panel: Axes) -> None:
    """Lines across for reading values, no marks at the groups."""
    panel.grid(axis="x")
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)
    panel.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    panel.xaxis.set_major_formatter("{x:.2f}")


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study)
    numbers = subgroup_numbers(tables, results, networks.compared_cells(results), PRIMARY)
    if numbers.empty:
        raise UserError(
            f"No task of study {study['name']!r} has sub-groups. Name columns of its cohorts under the tasks' "
            "`subgroups`."
        )
    numbers = numbers.assign(network=networks.which(numbers, study))
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_fairness", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
