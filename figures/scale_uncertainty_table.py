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
# # Calibration in numbers
#
# One row for each task, network, cohort and metric of forecasts: its mean over seeds and interval, as the networks are
# and after temperature scaling. As CSV for programs, as Markdown for readers, as LaTeX (booktabs, longtable) for
# papers.

# %%
import numpy as np
import pandas as pd

from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.metrics import calibration
from medtransfer.metrics.evaluate import ALL, SCALED
from medtransfer.plotting import names
from medtransfer.plotting.numbers import means, study_numbers
from medtransfer.plotting.tables import interval, write_table
from medtransfer.results import FULL, Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL, KEYS

AREA, TEMPERATURE = "aurc", "temperature"
# Chance lifts these, in each draw of patients once more: their percentile intervals lie above them.
NO_INTERVAL = ("ece", "brier_reliability", "brier_resolution")
VALUES = ["value", "ci_low", "ci_high"]
SCALED_VALUES = [f"{name}{SCALED}" for name in VALUES]
EXPLANATION = (
    "Scaled: after temperature scaling on in-distribution validation images, with the temperature of that row. The "
    "expected calibration errors (ECE) are of bins of equal mass. Chance lifts ECE, reliability and resolution, and "
    "once more in each draw of patients, so that they have no interval here; near perfect calibration that of the "
    "debiased ECE lies too high as well. Brier score = reliability - resolution + uncertainty."
)


# %%
def rows(tables: dict[str, str], results: Results) -> pd.DataFrame:
    """All rows, in the order of networks, cohorts and metrics."""
    cells = results.cells("scale", budget=FULL, recipe=RULE)
    if cells.empty:
        raise UserError(f"Study {results.study['name']!r} has no networks to compare. Add an arm `scale` to it.")
    measured = [means(study_numbers(results, cells, metric)) for metric in calibration.METRICS]
    scaled = [means(study_numbers(results, cells, f"{metric}{SCALED}"))[VALUES] for metric in calibration.METRICS]
    joined = [
        raw.assign(**dict(zip(SCALED_VALUES, other.to_numpy().T, strict=True)))
        for raw, other in zip(measured, scaled, strict=True)
    ]
    table = pd.concat([*joined, means(study_numbers(results, cells, AREA)), temperatures(tables, results, cells)])
    bounds = [name for name in (*VALUES, *SCALED_VALUES) if "ci" in name]
    table.loc[table["metric"].isin(NO_INTERVAL), bounds] = np.nan
    places = list(dict.fromkeys(zip(*(joined[0][key] for key in (*CELL, "cohort")), strict=True)))
    rank = pd.Series(list(zip(*(table[key] for key in (*CELL, "cohort")), strict=True))).map(places.index)
    table = table.iloc[rank.argsort(kind="stable")].reset_index(drop=True)
    return table[[*CELL, "cohort", "shift", "metric", *VALUES, *SCALED_VALUES, "n_seeds", "n"]]


# %%
def temperatures(tables: dict[str, str], results: Results, cells: pd.DataFrame) -> pd.DataFrame:
    """The mean temperature over seeds of each cell, as a row of the in-distribution cohort."""
    chosen = [("metric", "==", TEMPERATURE), ("split", "==", "val"), ("subgroup_by", "==", ALL)]
    fitted = pd.read_parquet(tables["metrics"], filters=chosen)
    fitted = results.runs[list(KEYS)].merge(cells[list(CELL)]).merge(fitted)
    of_cell = fitted.groupby([*CELL, "cohort", "shift", "metric"], sort=False)
    return of_cell.agg(
        **{f"value{SCALED}": ("value", "mean")}, n_seeds=("seed", "size"), n=("n", "first")
    ).reset_index()


# %%
def readable(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names and three decimals."""
    confidence = f"[{100 * study['confidence']:g} % interval]"
    raw, scaled = (
        [interval(*bounds) for bounds in table[columns].itertuples(index=False)] for columns in (VALUES, SCALED_VALUES)
    )
    return pd.DataFrame(
        {
            "Task": [study["tasks"][task]["title"] for task in table["task"]],
            "Backbone": table["backbone"],
            "Pre-trained on": [names.title(upstream, study) for upstream in table["upstream"]],
            "Cohort": [names.title(cohort, study) for cohort in table["cohort"]],
            "Shift": table["shift"].str.upper(),
            "Metric": table["metric"].map(names.METRICS),
            f"As they are {confidence}": raw,
            f"Scaled {confidence}": scaled,
            "Seeds": table["n_seeds"],
            "Images": table["n"],
        }
    )


# %%
def main(tables: dict[str, str], study: Study, paths: dict[str, str]) -> None:
    """Write the table in its three formats."""
    scaled = [f"{metric}{SCALED}" for metric in calibration.METRICS]
    table = rows(tables, Results.load(tables, study, (*calibration.METRICS, *scaled, AREA)))
    write_table(table.round(6), readable(table, study), EXPLANATION, study, f"{study['name']}-uncertainty", paths)


# %%
if __name__ == "__main__":
    with step("scale_uncertainty_table", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, dict(job.output.items()))
