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
# # Verdicts on the claims of the scale study
#
# For each claim and task its contrasts, each with effect, interval, what the claim expects and the verdict of that
# interval alone; then what they say together, adjusted for all decisions of the study; then the verdict over tasks. As
# CSV for programs, with the runs and what would have changed a verdict; as Markdown and LaTeX for readers.

# %%
from typing import Any

import pandas as pd

from medtransfer.plotting.tables import write_table
from medtransfer.results import Study
from medtransfer.review.notebook import step

EXPLANATION = (
    "Contrasts are judged by their own intervals; the rows “together” and “all tasks” are verdicts after Holm's method "
    "over all claims and tasks. “not asked”: the study has no such runs in this task."
)


# %%
def readable(verdicts: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names and three significant digits."""
    tasks = {name: facts["title"] for name, facts in study["tasks"].items()}
    return pd.DataFrame(
        {
            "Claim": verdicts["claim"],
            "Task": verdicts["task"].replace({**tasks, "all": "all tasks"}),
            "Contrast": verdicts["contrast"].replace("all", "together").str.replace("_", " "),
            f"Effect [{100 * study['confidence']:g} % interval]": [effect(row) for row in verdicts.itertuples()],
            "Expected": [expectation(row) for row in verdicts.itertuples()],
            "Seeds": [whole(count) for count in verdicts["n_seeds"]],
            "Images": [whole(count) for count in verdicts["n"]],
            "p": [probability(p) for p in verdicts["p"]],
            "Adjusted p": [probability(p) for p in verdicts["p_adjusted"]],
            "Verdict": verdicts["verdict"],
        }
    )


# %%
def effect(row: Any) -> str:
    """An effect with its interval; "not reached" where it is infinite."""
    if pd.isna(row.effect):
        return "–"
    numbers = [f"{number:.3g}".replace("inf", "not reached") for number in (row.effect, row.ci_low, row.ci_high)]
    return numbers[0] if pd.isna(row.ci_low) else f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


# %%
def expectation(row: Any) -> str:
    """What a claim expects of a contrast, in signs."""
    low, high = row.threshold_low, row.threshold_high
    signs = {"greater": f"> {low:g}", "less": f"< {high:g}", "within": f"{low:g} to {high:g}"}
    return {**signs, "differs": f"not 0 (±{high:g} is none)"}.get(row.expected, "")


# %%
def whole(count: float) -> str:
    """A count, or nothing."""
    return "" if pd.isna(count) else f"{int(count):,}"


def probability(p: float) -> str:
    """A p-value, or nothing."""
    return "" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


# %%
def main(verdicts: str, study: Study, paths: dict[str, str]) -> None:
    """Write the table in its three formats."""
    rows = pd.read_csv(verdicts)
    rows = rows[rows["study"] == study["name"]].reset_index(drop=True)
    write_table(rows, readable(rows, study), EXPLANATION, study, f"{study['name']}-claims", paths)


# %%
if __name__ == "__main__":
    with step("scale_claims", globals().get("snakemake")) as job:
        main(job.input.claims, job.params.study, dict(job.output.items()))
