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
# # What is gained by leaving the unsure cases to somebody else
#
# Risk-coverage curves of three networks: how often decisions are wrong when only the surest ones are taken, on the
# cohort they were fine-tuned on (left) and on cohorts they have never seen; and the area under each curve (AURC).

# %%
import textwrap
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from medtransfer.files import write_csv
from medtransfer.plotting import names, networks, panels, style
from medtransfer.plotting.diagrams import diagram_numbers
from medtransfer.plotting.numbers import means, study_numbers
from medtransfer.plotting.tables import interval
from medtransfer.results import PRIMARY, Results, Study
from medtransfer.review.notebook import step

AREA = "aurc"
STEPS = MaxNLocator(5, steps=[1, 2, 5, 10])


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A row of panels for each task, a panel for each cohort, a line for each network."""
    with mpl.rc_context(style.STYLE):
        columns = numbers.groupby("task")["cohort"].nunique().max()
        figure, boxes = panels.task_rows(numbers, lambda part: 58)
        for box, part in boxes:
            draw_task(box, part, columns, study)
        networks.legend(figure, study)
        panels.print_below(
            figure,
            f"Bands: {100 * study['confidence']:g} % bootstrap intervals over patients, seeds pooled. AURC: means over "
            "seeds, intervals over patients and seeds.",
            study,
        )
    return figure


# %%
def draw_task(box: SubFigure, numbers: pd.DataFrame, columns: int, study: Study) -> None:
    """The cohorts of a task side by side, with one scale; columns that the task does not need stay empty."""
    box.suptitle(study["tasks"][numbers["task"].iloc[0]]["title"], **style.HEADING)
    axes = box.subplots(1, columns, sharey=True, squeeze=False)[0]
    axes[0].set_ylabel("share of wrong decisions")
    cohorts = dict(list(numbers.groupby("cohort", sort=False)))
    for panel, (cohort, part) in zip(axes, cohorts.items(), strict=False):
        title = f"{names.title(cohort, study)} ({part['shift'].iloc[0].upper()})"
        panel.set_title(f"{textwrap.fill(title, 105 // columns)}\n{part['n_images'].iloc[0]:,} images", loc="left")
        draw_cohort(panel, part, study)
    # Room for the areas: above the curves, which rise to the right.
    highest = numbers["ci_high"].max()
    axes[0].set_ylim(0, 1.5 * highest)
    axes[0].set_yticks([tick for tick in STEPS.tick_values(0, highest) if tick <= min(1, 1.2 * highest)])
    for unused in axes[len(cohorts) :]:
        unused.set_axis_off()


# %%
def draw_cohort(panel: Axes, numbers: pd.DataFrame, study: Study) -> None:
    """The networks' curves with their bands, and the areas under them."""
    handles = []
    for network, look in networks.network_looks(study).items():
        rows = numbers[numbers["network"] == network]
        curve, area = rows[rows["diagram"] != AREA], rows[rows["diagram"] == AREA].iloc[0]
        panel.fill_between(curve["x"], curve["ci_low"], curve["ci_high"], color=look.colour, alpha=0.15, linewidth=0)
        style_of_line: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markeredgecolor": "white"}
        panel.plot(curve["x"], curve["value"], markevery=4, mew=0.3, **style_of_line)
        label = interval(area["value"], area["ci_low"], area["ci_high"])
        handles.append(Line2D([], [], linestyle="", label=label, **style_of_line))
    areas = panel.legend(handles=handles, title="AURC", fontsize=5, title_fontsize=5, loc="upper left", borderpad=0)
    areas.set_alignment("left")
    panel.set(xlim=(0, 1.03), xticks=[0, 0.5, 1], xlabel="share of decisions taken")
    panel.yaxis.set_major_formatter("{x:.2f}")


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study, (PRIMARY, AREA))
    cells = networks.compared_cells(results)
    curves = diagram_numbers(tables, results, cells, ["risk_coverage"])
    areas = means(study_numbers(results, cells, AREA)).rename(columns={"metric": "diagram", "n": "n_images"})
    areas = areas.assign(network=networks.which(areas, study))
    numbers = pd.concat([curves, areas[[column for column in curves if column in areas]]], ignore_index=True)
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_selective", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
