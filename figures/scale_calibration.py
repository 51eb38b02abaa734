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
# # Do forecasts come true?
#
# Reliability diagrams of three networks: how often what was forecast with some probability came true, as they are and
# after temperature scaling on in-distribution validation images, on the cohort they were fine-tuned on (left) and on
# cohorts they have never seen. Calibrated forecasts lie on the diagonal; below it, they are too sure.

# %%
import textwrap

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from medtransfer.files import write_csv
from medtransfer.metrics.evaluate import SCALED
from medtransfer.plotting import names, networks, panels, style
from medtransfer.plotting.diagrams import diagram_numbers
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step

DIAGRAMS = {"reliability": "as they are", f"reliability{SCALED}": "temperature-scaled"}


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """For each task a row of panels without and one with temperature scaling, a panel for each cohort."""
    with mpl.rc_context(style.STYLE):
        columns = numbers.groupby("task")["cohort"].nunique().max()
        figure, boxes = panels.task_rows(numbers, lambda part: 80)
        for box, part in boxes:
            draw_task(box, part, columns, study)
        networks.legend(figure, study)
        panels.print_below(
            figure,
            f"Markers: bins of equally many forecasts; bars: {100 * study['confidence']:g} % bootstrap intervals over "
            "patients, seeds pooled. Dotted: calibrated. Strips below: where the bins lie.",
            study,
        )
    return figure


# %%
def draw_task(box: SubFigure, numbers: pd.DataFrame, columns: int, study: Study) -> None:
    """The cohorts of a task side by side; columns that the task does not need stay empty."""
    box.suptitle(study["tasks"][numbers["task"].iloc[0]]["title"], **style.HEADING)
    axes = box.subplots(len(DIAGRAMS), columns, sharex=True, sharey=True, squeeze=False)
    cohorts = dict(list(numbers.groupby("cohort", sort=False)))
    for row, (diagram, title) in zip(axes, DIAGRAMS.items(), strict=True):
        row[0].set_ylabel(f"{title}\nobserved frequency")
        for panel, part in zip(row, cohorts.values(), strict=False):
            draw_diagram(panel, part[part["diagram"] == diagram], study)
    for panel, (cohort, part) in zip(axes[0], cohorts.items(), strict=False):
        title = f"{names.title(cohort, study)} ({part['shift'].iloc[0].upper()})"
        panel.set_title(f"{textwrap.fill(title, 105 // columns)}\n{part['n_images'].iloc[0]:,} images", loc="left")
    surest, highest = numbers["x"].max(), numbers[["value", "ci_high"]].max(axis=None)
    axes[0, 0].set(xlim=(0, 1.03 * surest), ylim=(-0.24 * highest, 1.03 * highest))
    # Below zero stand the strips, which are no frequencies.
    axes[0, 0].set_yticks([tick for tick in axes[0, 0].get_yticks() if 0 <= tick <= highest])
    for panel in axes[-1, : len(cohorts)]:
        panel.set_xlabel("forecast")
    for unused in axes[:, len(cohorts) :].flat:
        unused.set_axis_off()


# %%
def draw_diagram(panel: Axes, numbers: pd.DataFrame, study: Study) -> None:
    """The networks' lines over the forecast, and below the diagram where their forecasts lie."""
    panel.axline((0, 0), slope=1, color="0.3", linestyle=":", linewidth=0.9)
    for position, (network, look) in enumerate(networks.network_looks(study).items()):
        rows = numbers[numbers["network"] == network]
        panel.vlines(rows["x"], rows["ci_low"], rows["ci_high"], color=look.colour, linewidth=0.5)
        panel.plot(
            rows["x"], rows["value"], color=look.colour, marker=look.marker, mec="white", mew=0.3, ms=3.4, lw=0.6
        )
        # In parts of the panel's height, below zero.
        strip = [0.145 - 0.05 * position] * len(rows)
        panel.plot(
            rows["x"],
            strip,
            color=look.colour,
            marker="|",
            linestyle="",
            ms=2.5,
            mew=0.6,
            transform=panel.get_xaxis_transform(),
        )
    panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study)
    numbers = diagram_numbers(tables, results, networks.compared_cells(results), list(DIAGRAMS))
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_calibration", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
