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
# # Scaling fits in numbers
#
# What the primary metric gains per tenfold of parameters, upstream images and pre-training compute, on every test
# cohort, and whether the gains of parameters and images interact.

# %%
import pandas as pd

from medtransfer.metrics.scaling import INTERACTION
from medtransfer.plotting import names
from medtransfer.plotting.fits import AXES, Fitted, coefficient_rows, fits, nothing_to_fit, sized_cells
from medtransfer.plotting.tables import interval, write_table
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step

COLUMNS = ["task", "cohort", "shift", "metric", "fit", "coefficient", "value", "ci_low", "ci_high"]
COLUMNS += ["n_cells", "n_seeds", "n_images"]


# %%
def coefficients(results: Results, upstreams: str) -> pd.DataFrame:
    """A row for each task, cohort, fit and coefficient; `fit` names the axes of the fit, joined by "+".

    Where parameters and images are fitted together, they are not reported of fits by themselves as well.
    """
    study, sized = results.study, sized_cells(results, upstreams)
    rows = [
        (
            task,
            cohort,
            "ood" if number else "id",
            study["tasks"][task]["primary_metric"],
            "+".join(fitted.axes),
            *row,
            *n,
        )
        for task in sized["task"].unique()
        for number, cohort in enumerate(results.cohorts(task))
        for fitted in without_parts(fits(results, sized, task, cohort))
        for n in [(len(fitted.sizes[fitted.axes[0]]), fitted.n_seeds, fitted.n)]
        for row in coefficient_rows(fitted, study["confidence"])
    ]
    if not rows:
        raise nothing_to_fit(study["name"])
    return pd.DataFrame(rows, columns=COLUMNS)


# %%
def without_parts(fitted: list[Fitted]) -> list[Fitted]:
    """The fits without those over a part of another one's axes."""
    return [one for one in fitted if not any(set(one.axes) < set(other.axes) for other in fitted)]


# %%
def readable(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names and three decimals."""
    bounds = zip(rows["value"], rows["ci_low"], rows["ci_high"], strict=True)
    return pd.DataFrame(
        {
            "Task": [study["tasks"][task]["title"] for task in rows["task"]],
            "Cohort": [names.title(cohort, study) for cohort in rows["cohort"]],
            "Shift": rows["shift"].str.upper(),
            "Metric": rows["metric"].map(names.METRICS),
            "Fit over": [" and ".join(AXES[axis] for axis in fit.split("+")) for fit in rows["fit"]],
            "Tenfold of": rows["coefficient"].map({**AXES, INTERACTION: "both: interaction"}),
            f"Gain [{100 * study['confidence']:g} % interval]": [interval(*each) for each in bounds],
            "Cells": rows["n_cells"],
            "Seeds": rows["n_seeds"],
            "Images": rows["n_images"],
        }
    )


# %%
def main(tables: dict[str, str], study: Study, paths: dict[str, str]) -> None:
    """Write the table in its three formats."""
    rows = coefficients(Results.load(tables, study), tables["upstreams"])
    explanation = (
        "Least squares of scores on the logarithm of size, over networks with an upstream. In a fit over two sizes, "
        "the gain of one holds at the middle of the other, and the interaction is by how much a tenfold of the other "
        "adds to it."
    )
    write_table(rows.round(6), readable(rows, study), explanation, study, f"{study['name']}-fits", paths)


# %%
if __name__ == "__main__":
    with step("scale_fits_table", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, dict(job.output.items()))
