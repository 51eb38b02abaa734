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
# One row for each task, backbone, upstream, budget and test cohort: the primary metric's mean over seeds, its
# interval, the spread over seeds, and how many seeds and images stand behind it. As CSV for programs, as Markdown for
# readers, as LaTeX (booktabs, longtable) for papers.

# %%
import re
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.files import write_csv, write_text
from medtransfer.logs import step_log
from medtransfer.plotting import names
from medtransfer.plotting.numbers import ALL_SEEDS, Study, study_numbers
from medtransfer.runs import budget_fraction

if TYPE_CHECKING:
    from snakemake.script import snakemake


# %%
def readable(means: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names and three decimals."""
    bounds = zip(means["value"], means["ci_low"], means["ci_high"], strict=True)
    return pd.DataFrame(
        {
            "Task": [study["tasks"][task]["title"] for task in means["task"]],
            "Backbone": means["backbone"],
            "Pre-trained on": [names.title(upstream, study) for upstream in means["upstream"]],
            "Patients / %": [f"{100 * budget_fraction(budget):g}" for budget in means["budget"]],
            "Cohort": [names.title(cohort, study) for cohort in means["cohort"]],
            "Shift": means["shift"].str.upper(),
            "Metric": means["metric"].map(names.METRICS),
            f"Mean [{100 * study['confidence']:g} % interval]": [
                f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in bounds
            ],
            "Seed SD": ["–" if pd.isna(sd) else f"{sd:.3f}" for sd in means["seed_sd"]],
            "Seeds": means["n_seeds"],
            "Images": means["n"],
        }
    )


# %%
def notes(study: Study) -> str:
    """How to read the table, and what its numbers cannot tell."""
    return " ".join([names.method(study["confidence"]), study["note"]]).strip()


# %%
def pipe_table(means: pd.DataFrame, study: Study) -> str:
    """The table in Markdown, its notes below."""
    return f"{readable(means, study).to_markdown(index=False, disable_numparse=True)}\n\n{notes(study)}\n"


# %%
def longtable(means: pd.DataFrame, study: Study) -> str:
    """The table in LaTeX, its notes as caption; needs the packages booktabs and longtable."""
    caption = re.sub(r"([%&_#$])", r"\\\1", notes(study))
    return readable(means, study).to_latex(
        index=False, escape=True, longtable=True, caption=caption, label=f"tab:{study['name']}"
    )


# %%
def main(metrics: str, replicates: str, completeness: str, study: Study, csv: str, markdown: str, latex: str) -> None:
    """Write the table in its three formats."""
    numbers = study_numbers(metrics, replicates, completeness, study)
    means = numbers[numbers["seed"] == ALL_SEEDS].drop(columns="seed")
    write_csv(means.rename(columns={"value": "mean", "n": "n_images"}).round(6), csv)
    write_text(pipe_table(means, study), markdown)
    write_text(longtable(means, study), latex)


# %%
if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.input.metrics,
            snakemake.input.replicates,
            snakemake.input.completeness,
            snakemake.params.study,
            snakemake.output.csv,
            snakemake.output.markdown,
            snakemake.output.latex,
        )
