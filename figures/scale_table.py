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
# # All numbers of the scale study
#
# One row for each task, backbone, upstream, initialisation, recipe, budget and test cohort: the primary metric's mean
# over seeds, its interval, the spread over seeds, and how many seeds and images stand behind it. As CSV for programs,
# as Markdown for readers, as LaTeX (booktabs, longtable) for papers.

# %%
import pandas as pd

from medtransfer.plotting import names
from medtransfer.plotting.numbers import means, study_numbers
from medtransfer.plotting.tables import interval, write_table
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step


# %%
def readable(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names and three decimals."""
    bounds = zip(rows["value"], rows["ci_low"], rows["ci_high"], strict=True)
    return pd.DataFrame(
        {
            "Task": [study["tasks"][task]["title"] for task in rows["task"]],
            "Backbone": rows["backbone"],
            "Pre-trained on": [names.title(upstream, study) for upstream in rows["upstream"]],
            "Start": rows["initialisation"],
            "Recipe": rows["recipe"],
            "Patients / %": [f"{100 * fraction:g}" for fraction in rows["fraction"]],
            "Cohort": [names.title(cohort, study) for cohort in rows["cohort"]],
            "Shift": rows["shift"].str.upper(),
            "Metric": rows["metric"].map(names.METRICS),
            f"Mean [{100 * study['confidence']:g} % interval]": [interval(*each) for each in bounds],
            "Seed SD": ["–" if pd.isna(sd) else f"{sd:.3f}" for sd in rows["seed_sd"]],
            "Seeds": rows["n_seeds"],
            "Images": rows["n"],
        }
    )


# %%
def main(tables: dict[str, str], study: Study, paths: dict[str, str]) -> None:
    """Write the table in its three formats."""
    results = Results.load(tables, study)
    rows = means(study_numbers(results, results.cells())).drop(columns=["seed", "subgroup_by", "subgroup"])
    numbers = rows.rename(columns={"value": "mean", "n": "n_images"}).round(6)
    write_table(numbers, readable(rows, study), "", study, study["name"], paths)


# %%
if __name__ == "__main__":
    with step("scale_table", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, dict(job.output.items()))
