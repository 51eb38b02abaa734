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
# # Calibration against scale
#
# Are the probabilities of larger networks, pre-trained on more data, better? Networks stand in the order of their size;
# each line is what they were pre-trained on. Columns: the cohort they were fine-tuned on and the mean over cohorts they
# have never seen, without and with temperature scaling on in-distribution validation images. Lower is better.

# %%
import textwrap

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.metrics.evaluate import SCALED
from medtransfer.metrics.seeds import mean_over_seeds
from medtransfer.plotting import names, networks, panels, style
from medtransfer.plotting.numbers import ALL_SEEDS, study_numbers
from medtransfer.results import FULL, Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL

METRICS = ("ece_debiased", "brier", "nll")
MEASURED = tuple(f"{metric}{suffix}" for metric in METRICS for suffix in ("", SCALED))
DODGE = 0.17  # between lines, so that their intervals do not hide one another


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """For each task a row of panels for each metric, a line for each upstream."""
    with mpl.rc_context(style.STYLE):
        figure, boxes = panels.task_rows(numbers, lambda part: 22 * len(METRICS) + 18)
        for box, part in boxes:
            draw_task(box, part, study)
        panels.legend(figure, style.shown_looks(study["upstreams"], numbers["upstream"]), study)
        panels.small_print(figure, "Under backbones: parameters.", study)
    return figure


# %%
def draw_task(box: SubFigure, numbers: pd.DataFrame, study: Study) -> None:
    """Metrics over cohorts without and with scaling; panels of one metric share their scale."""
    first = numbers.iloc[0]
    box.suptitle(study["tasks"][first["task"]]["title"], **style.HEADING)
    axes = box.subplots(len(METRICS), 4, sharex=True, sharey="row", squeeze=False)
    for row, metric in zip(axes, METRICS, strict=True):
        row[0].set_ylabel(textwrap.fill(names.METRICS[metric], 16, break_on_hyphens=False), fontsize=6)
    cohorts = list(numbers["cohort"].unique())
    columns = [(cohort, suffix) for cohort in cohorts for suffix in ("", SCALED)]
    for column, (cohort, suffix) in zip(axes.T, columns, strict=False):
        part = numbers[numbers["cohort"] == cohort]
        place = textwrap.fill(cohort_title(part.iloc[0], study), 30)
        scaling = "temperature-scaled" if suffix else "as they are"
        column[0].set_title(f"{place}\n{part['n'].iloc[0]:,} images, {scaling}", loc="left", fontsize=6)
        for panel, metric in zip(column, METRICS, strict=True):
            draw_metric(panel, part[part["metric"] == f"{metric}{suffix}"], study)
    axes[0, 0].set_ylim(bottom=0)
    for unused in axes[:, len(columns) :].flat:
        unused.set_axis_off()


# %%
def cohort_title(row: pd.Series, study: Study) -> str:
    """The cohort or, where there are several, the number of cohorts that a row is about."""
    cohorts = row["cohort"].split()
    name = names.title(cohorts[0], study) if len(cohorts) == 1 else f"mean of {len(cohorts)} cohorts"
    return f"{name} ({row['shift'].upper()})"


# %%
def draw_metric(panel: Axes, numbers: pd.DataFrame, study: Study) -> None:
    """Upstreams as lines over backbones from small to large."""
    place = networks.backbone_axis(panel, numbers, study)
    looks = style.shown_looks(study["upstreams"], numbers["upstream"])
    for position, (upstream, look) in enumerate(looks.items()):
        rows = numbers["upstream"] == upstream
        panels.line(panel, place[rows] + DODGE * (position - (len(looks) - 1) / 2), numbers[rows], look)
    panels.few_ticks(panel)


# %%
def over_ood_cohorts(results: Results, cells: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The mean of a metric over the OOD cohorts, whose names stand in `cohort`, in the columns of `study_numbers`.

    Every cohort counts the same. Draws of different cohorts are independent, so that column b of one cohort's
    replicates may be joined with column b of another's. n is the number of images of all of them.
    """
    rows = []
    for *keys, fraction in cells.itertuples(index=False, name=None):
        cell, cohorts = tuple(keys), results.study["tasks"][keys[0]]["ood_cohorts"]
        if not cohorts:
            continue
        found = [each for cohort in cohorts if (each := results.measured(cell, cohort, metric))]
        values = np.mean([each.values for each in found], axis=0)
        replicates = np.mean([each.replicates for each in found], axis=0)
        bounds = mean_over_seeds(replicates, values, results.study["confidence"], np.random.default_rng(0))
        place = {**dict(zip(CELL, cell, strict=True)), "fraction": fraction, "cohort": " ".join(cohorts)}
        place |= {"shift": "ood", "metric": metric, "n": sum(each.n for each in found)}
        single = zip(map(str, results.seeds(cell)), values, strict=True)
        rows += [{**place, "seed": seed, "value": value} for seed, value in single]
        rows.append({**place, "seed": ALL_SEEDS, **dict(zip(("value", "ci_low", "ci_high"), bounds, strict=True))})
    return pd.DataFrame(rows)


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study, MEASURED)
    cells = results.cells("scale", budget=FULL, recipe=RULE)
    if cells.empty:
        raise UserError(f"Study {study['name']!r} has no networks to compare. Add an arm `scale` to it.")
    parts = []
    for metric in MEASURED:
        numbers = study_numbers(results, cells, metric)
        parts += [numbers[numbers["shift"] == "id"], over_ood_cohorts(results, cells, metric)]
    columns = [*parts[0].columns.drop(["subgroup_by", "subgroup", "seed_sd", "n_seeds"])]
    numbers = pd.concat(parts, ignore_index=True)[columns]
    numbers = numbers.iloc[numbers["task"].map(list(study["tasks"]).index).argsort(kind="stable")]
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_uncertainty", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
