"""Numbers printed in papers, beside ours where both are of the same thing; nothing is judged by them.

A published number and ours are of the same thing when all of this holds:

- Task and cohort: one of our tasks is trained and tested on the dataset of `COHORTS` that the paper's cohort is a split
  of, and has the labels that the paper's task has. Where the cohort's name ends in the number of its test images, ours
  has as many. Images that the workflow draws are never compared.
- Backbone: of the same name, but for the prefix that says which family it is of.
- Upstream: of the same name; `random` is our `none`. Weights of the same name may come from another training.
- Budget: all training patients, by the recipe `rule`. Shots per class have no counterpart among our runs.
- Metric: those of `METRICS`, as means over labels or of one label, in percent.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from medtransfer.config import NO_UPSTREAM, RULE, Config, Task
from medtransfer.errors import UserError
from medtransfer.metrics.evaluate import ALL, MEAN
from medtransfer.results import FULL

PAPER_OF_STUDY = {"scale": "mustafa2021", "transfusion": "raghu2019", "domain": "cherti2021"}
UNAVAILABLE = {
    "mustafa2021": "No number of Mustafa et al. 2021 (arXiv 2101.05913) is available to this project: none of a table, "
    "none of a figure. What is listed is a range that a blog post gives second-hand; of which task and baseline, is "
    "unknown. It is not a result of the paper that could be reproduced."
}
"""What has to be said of a paper beside its rows."""
COLUMNS = ["paper", "claim_or_table", "task", "cohort", "backbone", "upstream", "budget", "metric", "value", "sd"]
COLUMNS += ["n_seeds", "confidence", "note"]
REQUIRED = [column for column in COLUMNS if column not in ("sd", "n_seeds", "note")]
CONFIDENCES = ("seen", "derived", "second-hand", "recalled")
OURS = ["ours", "ours_sd", "ours_seeds", "ours_cell", "why_not"]

COHORTS = {
    "CheXpert (scored split unknown)": "chexpert",
    "covidx_cxr2_kaggle_v3_test_n400": "covidx_cxr2",
    "cifar10_test_n10000": "cifar10",
    "cifar100_test_n10000": "cifar100",
    "pets_test_n3669": "pets",
    "flowers102_train+val_used_as_test_n2040": "flowers102",
}
"""The dataset that a paper's cohort is a split of."""
LABELS = {"chexpert5": {"atelectasis", "cardiomegaly", "consolidation", "edema", "effusion"}}
"""The labels of a paper's task, where they are not just the classes of its dataset."""
METRICS = {
    "acc": ("accuracy", MEAN),
    "mean_auc": ("auc", MEAN),
    "mean_ap": ("average_precision", MEAN),
    "auc_mean5": ("auc", MEAN),
    "auc_pleural_effusion": ("auc", "effusion"),
    **{f"auc_{label}": ("auc", label) for label in ("atelectasis", "cardiomegaly", "consolidation", "edema")},
}
"""Our metric and label for a paper's metric."""
PERCENT = 100


def read_published(path: Path | str) -> pd.DataFrame:
    """Read config/published.csv, all values as text, just as they stand there.

    Raises:
        UserError: Columns are missing or unknown, a field that has to be filled is empty, a value is no number, or a
            confidence is unknown. Names each line.
    """
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    if list(table) != COLUMNS:
        raise UserError(f"{path}: the columns are {', '.join(table)}; they have to be {', '.join(COLUMNS)}.")
    problems = []
    for number, row in enumerate(table.to_dict("records"), start=2):
        problems += [f"line {number}: {column} is empty" for column in REQUIRED if not row[column]]
        for column in ("value", "sd", "n_seeds"):
            if row[column] and not re.fullmatch(r"-?\d+(\.\d+)?", row[column]):
                problems.append(
                    f"line {number}: {column} is {row[column]!r}; write a number, or nothing for sd, n_seeds"
                )
        if row["confidence"] and row["confidence"] not in CONFIDENCES:
            allowed = ", ".join(CONFIDENCES)
            problems.append(f"line {number}: confidence is {row['confidence']!r}; it is one of {allowed}")
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:10])
        raise UserError(f"{path}: {len(problems)} fields cannot be used:\n{shown}")
    return table


def side_by_side(
    published: pd.DataFrame, metrics: pd.DataFrame, config: Config, studies: Iterable[str]
) -> pd.DataFrame:
    """The numbers of the papers behind some studies, beside ours.

    Args:
        published: Of `read_published`.
        metrics: The tier's metrics.
        config: The tier's configuration.
        studies: Names of studies.

    Returns:
        All columns of `published`, as they are; then `ours`, the mean over seeds in the paper's unit, `ours_sd`, the
        sample standard deviation over seeds, `ours_seeds`, how many, `ours_cell`, the path of their runs, and where
        there is no number of ours `why_not`.
    """
    papers = {PAPER_OF_STUDY[study] for study in studies if study in PAPER_OF_STUDY}
    chosen = published[published["paper"].isin(papers)]
    tested = metrics[(metrics["split"] == "test") & (metrics["subgroup_by"] == ALL)]
    full = tested[(tested["budget"] == FULL) & (tested["recipe"] == RULE)]
    whole = full[full["initialisation"].isin(["random", "pretrained"])]
    ours = [_ours(row, whole, config) for row in chosen.to_dict("records")]
    return pd.concat([chosen.reset_index(drop=True), pd.DataFrame(ours, columns=OURS)], axis=1)


def _ours(row: Mapping[str, str], metrics: pd.DataFrame, config: Config) -> tuple[str, str, str, str, str]:
    dataset = COHORTS.get(row["cohort"])
    if dataset is None:
        return _none(f"no dataset of ours is known to be {row['cohort']}")
    if dataset in config.synthetic:
        return _none(f"{dataset} is drawn in this tier")
    if row["metric"] not in METRICS:
        return _none(f"no metric of ours is {row['metric']}")
    if row["budget"] != "full":
        return _none(f"no run of ours has the budget {row['budget']}")
    metric, label = METRICS[row["metric"]]
    task = _task(config.tasks, dataset, LABELS.get(row["task"], set()))
    if task is None:
        return _none(f"no task of ours is {row['task']} on {dataset}")
    keys = {
        "task": task,
        "backbone": row["backbone"].removeprefix("bit_"),
        "upstream": NO_UPSTREAM if row["upstream"] == "random" else row["upstream"],
        "cohort": dataset,
        "label": label,
        "metric": metric,
    }
    found = metrics[(metrics[list(keys)] == list(keys.values())).all(axis=1)]
    if found.empty:
        return _none(f"no run of {task} with {keys['backbone']} and {keys['upstream']}")
    size = re.search(r"_n(\d+)$", row["cohort"])
    if size and (found["n"] != int(size[1])).any():
        return _none(f"our test images are {found['n'].iloc[0]}, theirs {size[1]}")
    first = found.iloc[0]
    cell = "/".join(str(first[key]) for key in ("task", "backbone", "upstream", "initialisation", "recipe", "budget"))
    values = PERCENT * found["value"]
    sd = f"{values.std():.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}", sd, str(len(values)), cell, ""


def _none(why: str) -> tuple[str, str, str, str, str]:
    return "", "", "", "", why


def _task(tasks: Mapping[str, Task], dataset: str, labels: set[str]) -> str | None:
    """The first task on a dataset, with these labels if any are named."""
    return next(
        (
            name
            for name, task in tasks.items()
            if task.id_cohort == dataset and (not labels or set(task.labels) == labels)
        ),
        None,
    )


def remarks(studies: Sequence[str]) -> list[str]:
    """What has to be said of the papers behind some studies."""
    papers = dict.fromkeys(PAPER_OF_STUDY[study] for study in studies if study in PAPER_OF_STUDY)
    return [UNAVAILABLE[paper] for paper in papers if paper in UNAVAILABLE]
