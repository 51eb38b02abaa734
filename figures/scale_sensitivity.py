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
# # Sensitivity to decisions that the paper leaves open
#
# The scaled gain, of a large network with broad pre-training over a small one with narrow, once as the study decides
# and once for each decision taken otherwise, and what the other decision changes in it.

# %%
from typing import NamedTuple

import numpy as np
import pandas as pd

from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.metrics.bootstrap import percentile_interval
from medtransfer.metrics.seeds import pooled
from medtransfer.plotting import names
from medtransfer.plotting.tables import interval, write_table
from medtransfer.results import FULL, Results, Study
from medtransfer.review.notebook import step

COLUMNS = ["task", "variant", "cohort", "shift", "metric", "gain", "gain_low", "gain_high"]
COLUMNS += ["difference", "difference_low", "difference_high", "paired", "n_seeds", "n_images"]


# %%
class Gain(NamedTuple):
    """The scaled gain of a task on a cohort."""

    drawn: np.ndarray  # [1 + B], on all images, then under each draw of patients and seeds
    n_seeds: int  # of the cell that has fewer
    n: int  # images


# %%
def scaled_gain(results: Results, task: str, cohort: str) -> Gain | None:
    """Large and broad minus small and narrow, paired over patients; None where a task has not both on that cohort."""
    generator = np.random.default_rng([0, *task.encode()])  # the seeds of different tasks are different runs
    roles = results.study["roles"]
    pairs = [(roles["large"], roles["broad"]), (roles["small"], roles["narrow"])]
    large, small = (results.measured((task, *pair, "pretrained", RULE, FULL), cohort) for pair in pairs)
    if large is None or small is None:
        return None
    gain = pooled(large.replicates, large.values, generator) - pooled(small.replicates, small.values, generator)
    return Gain(gain, min(len(large.values), len(small.values)), small.n)


# %%
def compared(results: Results) -> pd.DataFrame:
    """For each task with variants and each of its cohorts the gain as decided, then that of every variant.

    In distribution is where a variant itself is: trained on another cohort, it is tested on that one. The difference is
    that of the variant's gain and the gain as decided. It is paired where both were tested on equally many images of
    one cohort, which are then the same. Where they were not, the variant's replicates are put into another order: as if
    the patients had been drawn independently, which makes the interval rather too wide.
    """
    study = results.study
    results.cells("sensitivity")  # complete, or an error
    rows = []
    for task, variants in study["variants"].items():
        for number, cohort in enumerate(results.cohorts(task)):
            place = ("ood" if number else "id", study["tasks"][task]["primary_metric"])
            decided = scaled_gain(results, task, cohort)
            tested = {variant: cohort if number else results.cohorts(variant)[0] for variant in variants}
            others = {variant: scaled_gain(results, variant, tested[variant]) for variant in variants}
            measured = {variant: gain for variant, gain in others.items() if gain is not None}
            if decided is None or not measured:
                continue
            alone = (*[np.nan] * 3, None, decided.n_seeds, decided.n)
            rows.append((task, task, cohort, *place, *_gain(decided, study), *alone))
            for variant, gain in measured.items():
                paired = tested[variant] == cohort and gain.n == decided.n
                replicates = gain.drawn[1:] if paired else np.random.default_rng(0).permutation(gain.drawn[1:])
                interval_of = percentile_interval(replicates - decided.drawn[1:], study["confidence"])
                difference = (gain.drawn[0] - decided.drawn[0], *interval_of, paired)
                where = (task, variant, tested[variant], *place)
                rows.append((*where, *_gain(gain, study), *difference, gain.n_seeds, gain.n))
    if not rows:
        raise UserError(
            f"The study {study['name']} has no decision taken otherwise. Name under its `variants` the tasks that do, "
            "and add them to an arm `sensitivity`: small with narrow pre-training and large with broad."
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _gain(gain: Gain, study: Study) -> tuple[float, float, float]:
    return (gain.drawn[0], *percentile_interval(gain.drawn[1:], study["confidence"]))


# %%
def readable(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names and three decimals."""
    percent = f"[{100 * study['confidence']:g} % interval]"
    gains = zip(rows["gain"], rows["gain_low"], rows["gain_high"], strict=True)
    differences = zip(rows["difference"], rows["difference_low"], rows["difference_high"], strict=True)
    return pd.DataFrame(
        {
            "Task": [study["tasks"][task]["title"] for task in rows["task"]],
            "Decision": [
                "as decided" if variant == task else study["tasks"][variant]["title"]
                for task, variant in zip(rows["task"], rows["variant"], strict=True)
            ],
            "Cohort": [names.title(cohort, study) for cohort in rows["cohort"]],
            "Shift": rows["shift"].str.upper(),
            "Metric": rows["metric"].map(names.METRICS),
            f"Scaled gain {percent}": [interval(*each) for each in gains],
            f"Change {percent}": [interval(*each) for each in differences],
            "Paired": rows["paired"].map({True: "yes", False: "no"}).fillna("–"),
            "Seeds": rows["n_seeds"],
            "Images": rows["n_images"],
        }
    )


# %%
def main(tables: dict[str, str], study: Study, paths: dict[str, str]) -> None:
    """Write the table in its three formats."""
    rows = compared(Results.load(tables, study))
    roles = study["roles"]
    explanation = (
        f"Scaled gain: {roles['large']} from {names.title(roles['broad'], study)} minus {roles['small']} from "
        f"{names.title(roles['narrow'], study)}. Change: the gain with the other decision minus the gain as decided; "
        "paired where both were tested on the same images."
    )
    write_table(rows.round(6), readable(rows, study), explanation, study, f"{study['name']}-sensitivity", paths)


# %%
if __name__ == "__main__":
    with step("scale_sensitivity", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, dict(job.output.items()))
