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
# # Fairness in numbers
#
# One row for each task, cohort, column of sub-groups, network and metric: the group that is worst off, the largest gap
# between two groups with its interval, the gap that noise alone would give, and the size of each group. As CSV for
# programs, as Markdown for readers, as LaTeX (booktabs, longtable) for papers.

# %%
from typing import Any

import pandas as pd

from medtransfer.errors import UserError
from medtransfer.metrics.evaluate import EXPECTED_GAP, GAP, LOWER_IS_BETTER, RATES, WORST
from medtransfer.plotting import names, networks
from medtransfer.plotting.numbers import means, study_numbers
from medtransfer.plotting.subgroups import PLACE, column_title, subgroup_numbers
from medtransfer.plotting.tables import interval, write_table
from medtransfer.results import PRIMARY, Results, Study
from medtransfer.review.notebook import step

ODDS = "equalised_odds"
EXPLANATION = (
    "Worst: the group that is worst off, and the value of the one that is worst off in each draw of patients. Gaps are "
    "biased upwards, and their intervals with them: a gap no larger than the expected one, that of groups which differ "
    "by noise alone, is no sign of a difference. Equalised odds: the larger of the gaps in sensitivity and specificity "
    "of each label, mean over labels. Decisions are taken at the operating point of the validation images. Groups are "
    "counted, with the images of the smallest and the largest; those of too few images have no values, those that lack "
    "what the metric needs are undefined. The CSV names them."
)


# %%
def summarised(groups: pd.DataFrame, study: Study) -> dict[str, Any]:
    """One row of the table from the rows that `subgroup_numbers` has of it."""
    by_name = groups.set_index("subgroup")
    single = by_name.drop(index=[WORST, GAP, EXPECTED_GAP], errors="ignore")
    shown = single[single["value"].notna()]
    too_small = single[single["value"].isna() & (single["n"] < study["min_group"])]
    undefined = single.drop(index=[*shown.index, *too_small.index])
    row: dict[str, Any] = {"worst_group": None}
    if len(shown) > 1:
        lowest = by_name["metric"].iloc[0] not in LOWER_IS_BETTER
        row["worst_group"] = shown["value"].idxmin() if lowest else shown["value"].idxmax()
    for name, summary in (("worst", WORST), ("gap", GAP), ("expected_gap", EXPECTED_GAP)):
        bounds = by_name[["value", "ci_low", "ci_high"]].reindex([summary]).iloc[0]
        row |= {name: bounds["value"], f"{name}_low": bounds["ci_low"], f"{name}_high": bounds["ci_high"]}
    del row["expected_gap_low"], row["expected_gap_high"]
    lists = {"groups": shown, "too_small": too_small, "undefined": undefined}
    row |= {name: "; ".join(f"{group}: {n}" for group, n in part["n"].items()) for name, part in lists.items()}
    return {**row, "n_seeds": by_name["n_seeds"].iloc[0]}


# %%
def rows(tables: dict[str, str], results: Results) -> pd.DataFrame:
    """All rows, in the order of tasks, cohorts, columns, networks and metrics."""
    cells = networks.compared_cells(results)
    measured = [subgroup_numbers(tables, results, cells, metric) for metric in (PRIMARY, *RATES)]
    place = [column for column in PLACE if column != "subgroup"]
    found = [
        dict(zip(place, at, strict=True)) | summarised(part, results.study)
        for numbers in measured
        for at, part in numbers.groupby(place, sort=False)
    ]
    if not found:
        raise UserError(
            f"No task of study {results.study['name']!r} has sub-groups. Name columns of its cohorts under the tasks' "
            "`subgroups`."
        )
    table = pd.DataFrame(found)
    odds = pd.concat(
        means(study_numbers(results, cells, ODDS, by, GAP)) for by in dict.fromkeys(table["subgroup_by"])
    ).rename(columns={"value": "gap", "ci_low": "gap_low", "ci_high": "gap_high"})
    table = pd.concat([table, odds[[*place, "gap", "gap_low", "gap_high", "n_seeds"]]])
    table.insert(0, "network", networks.which(table, results.study))
    return ordered(table, results)


# %%
def ordered(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Rows by task, cohort, column, network and metric."""
    tasks, columns = list(results.study["tasks"]), list(dict.fromkeys(table["subgroup_by"]))
    shown, metrics = networks.network_names(results.study), list(dict.fromkeys(table["metric"]))
    ranks = pd.DataFrame(
        {
            "task": table["task"].map(tasks.index),
            "cohort": [
                results.cohorts(task).index(cohort) for task, cohort in zip(table["task"], table["cohort"], strict=True)
            ],
            "column": table["subgroup_by"].map(columns.index),
            "network": table["network"].map(shown.index),
            "metric": table["metric"].map(metrics.index),
        }
    ).reset_index(drop=True)
    return table.iloc[ranks.sort_values(list(ranks), kind="stable").index].reset_index(drop=True)


# %%
def readable(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table with titles for names and three decimals."""

    def bounds(name: str) -> list[str]:
        return [interval(*each) for each in zip(*(table[f"{name}{end}"] for end in ("", "_low", "_high")), strict=True)]

    confidence = f"[{100 * study['confidence']:g} % interval]"
    return pd.DataFrame(
        {
            "Task": [study["tasks"][task]["title"] for task in table["task"]],
            "Cohort": [names.title(cohort, study) for cohort in table["cohort"]],
            "Shift": table["shift"].str.upper(),
            "Groups by": table["subgroup_by"].map(column_title),
            "Network": table["network"],
            "Metric": table["metric"].map(names.METRICS),
            "Worst group": table["worst_group"].fillna("–"),
            f"Worst {confidence}": bounds("worst"),
            f"Gap {confidence}": bounds("gap"),
            "Expected gap": [interval(each, float("nan"), float("nan")) for each in table["expected_gap"]],
            "Groups (images)": table["groups"].map(sizes),
            f"Below {study['min_group']} images": table["too_small"].map(sizes),
            "Undefined": table["undefined"].map(sizes),
        }
    )


# %%
def sizes(groups: str) -> str:
    """How many groups there are, and how many images they have: "female: 52; male: 60" is "2 (52–60)"."""
    if pd.isna(groups) or not groups:
        return "–"
    images = sorted({int(group.rpartition(": ")[2]) for group in groups.split("; ")})
    return f"{groups.count('; ') + 1} ({'–'.join(map(str, dict.fromkeys([images[0], images[-1]])))})"


# %%
def main(tables: dict[str, str], study: Study, paths: dict[str, str]) -> None:
    """Write the table in its three formats."""
    table = rows(tables, Results.load(tables, study, (PRIMARY, *RATES, ODDS)))
    write_table(table.round(6), readable(table, study), EXPLANATION, study, f"{study['name']}-fairness", paths)


# %%
if __name__ == "__main__":
    with step("scale_fairness_table", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, dict(job.output.items()))
