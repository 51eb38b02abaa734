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
# # Steps to convergence
#
# For every network with all training patients: the steps to 95 % of its own gain, and to the target of the study's
# baseline, with the number of runs that never got there.

# %%
import pandas as pd

from medtransfer.plotting import names
from medtransfer.plotting.convergence import BASELINE, OWN, convergence_numbers
from medtransfer.plotting.numbers import means
from medtransfer.plotting.tables import write_table
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL

WHAT = {OWN: "own", BASELINE: "baseline"}


# %%
def side_by_side(numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell: `own_` and `baseline_` steps, ci_low, ci_high, censored; horizon, images_per_step, n_..."""
    rows = means(numbers)
    parts = [
        rows[rows["quantity"] == quantity]
        .set_index([*CELL, "metric"])[["value", "ci_low", "ci_high", "n_censored"]]
        .rename(columns={"value": "steps", "n_censored": "censored"})
        .add_prefix(f"{name}_")
        for quantity, name in WHAT.items()
    ]
    facts = rows[rows["quantity"] == OWN].set_index([*CELL, "metric"])
    ends = pd.DataFrame(
        {
            "horizon": facts["step"],
            "images_per_step": facts["images_seen"] / facts["step"],
            "n_seeds": facts["n_seeds"],
            "n_images": facts["n"],
        }
    )
    return pd.concat([*parts, ends], axis=1).reset_index()


# %%
def readable(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names and whole steps."""
    named = {"own": "Steps to 95 % of own gain", "baseline": "Steps to baseline's target"}
    columns = {
        "Task": [study["tasks"][task]["title"] for task in rows["task"]],
        "Backbone": rows["backbone"],
        "Pre-trained on": [names.title(upstream, study) for upstream in rows["upstream"]],
        "Metric": rows["metric"].map(names.METRICS),
    }
    for name, title in named.items():
        bounds = zip(*(rows[f"{name}_{column}"] for column in ("steps", "ci_low", "ci_high")), strict=True)
        censored = zip(rows[f"{name}_censored"], rows["n_seeds"], strict=True)
        columns[f"{title} [{100 * study['confidence']:g} % interval]"] = [whole(*each) for each in bounds]
        columns[f"Censored, {name}"] = [f"{runs} of {seeds}" for runs, seeds in censored]
    columns["Horizon / steps"] = [f"{steps:,.0f}" for steps in rows["horizon"]]
    columns["Images a step"] = [f"{images:,.0f}" for images in rows["images_per_step"]]
    columns["Validation images"] = rows["n_images"]
    return pd.DataFrame(columns)


# %%
def whole(steps: float, low: float, high: float) -> str:
    """Whole steps with their interval."""
    return f"{steps:,.0f}" if pd.isna(low) else f"{steps:,.0f} [{low:,.0f}, {high:,.0f}]"


# %%
def main(tables: dict[str, str], study: Study, paths: dict[str, str]) -> None:
    """Write the table in its three formats."""
    rows = side_by_side(convergence_numbers(tables["curves"], Results.load(tables, study)))
    explanation = (
        "Steps are restricted means: runs that do not reach their target are censored and count with the horizon, all "
        "steps they had. The baseline's target is 95 % of the gain of "
        f"{study['roles']['small']} from {names.title(study['roles']['narrow'], study)}."
    )
    write_table(rows.round(6), readable(rows, study), explanation, study, f"{study['name']}-convergence", paths)


# %%
if __name__ == "__main__":
    with step("scale_convergence_table", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, dict(job.output.items()))
