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
# # Data efficiency: the share of patients that suffices
#
# With what share of the training patients does each network do as well as the study's baseline, its `small` network
# with `narrow` pre-training, does with all of them? Read off a monotone fit of its curve, with an interval, on every
# test cohort. It may never do as well, or already with the fewest patients that were tried.

# %%
import numpy as np
import pandas as pd

from medtransfer.plotting import names
from medtransfer.plotting.contrasts import fractions_needed
from medtransfer.plotting.tables import write_table
from medtransfer.results import Results, Study
from medtransfer.review.notebook import step


# %%
def share(fraction: float, smallest: float) -> str:
    """A share of the patients in words where it is none: beyond all of them, or below the fewest that were tried."""
    if np.isnan(fraction):
        return "–"
    if np.isinf(fraction):
        return "not reached"
    return f"at most {100 * smallest:g} %" if fraction <= smallest else f"{100 * fraction:.3g} %"


# %%
def readable(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names, and shares in percent or words."""
    value, low, high = (
        [share(*each) for each in zip(rows[column], rows["smallest"], strict=True)]
        for column in ("needed", "needed_low", "needed_high")
    )
    return pd.DataFrame(
        {
            "Task": [study["tasks"][task]["title"] for task in rows["task"]],
            "Cohort": [names.title(cohort, study) for cohort in rows["cohort"]],
            "Shift": rows["shift"].str.upper(),
            "Backbone": rows["backbone"],
            "Pre-trained on": [names.title(upstream, study) for upstream in rows["upstream"]],
            "Baseline": [f"{target:.3f}" for target in rows["target"]],
            "Patients needed": value,
            f"{100 * study['confidence']:g} % interval": [
                " to ".join(dict.fromkeys(e)) for e in zip(low, high, strict=True)
            ],
            "Reached in": ["–" if np.isnan(each) else f"{100 * each:.0f} %" for each in rows["reached"]],
            "Seeds": rows["n_seeds"],
            "Images": rows["n"],
        }
    )


# %%
def main(tables: dict[str, str], study: Study, paths: dict[str, str]) -> None:
    """Write the table in its three formats."""
    rows = fractions_needed(Results.load(tables, study))
    small, narrow = study["roles"]["small"], names.title(study["roles"]["narrow"], study)
    explanation = (
        f"Patients needed: the share of the training patients at which a network meets the baseline, {small} from "
        f"{narrow} with all of them. Reached in: share of the bootstrap's draws in which it does with all or less."
    )
    write_table(rows.round(6), readable(rows, study), explanation, study, f"{study['name']}-needed", paths)


# %%
if __name__ == "__main__":
    with step("scale_needed", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, dict(job.output.items()))
