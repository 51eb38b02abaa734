"""Whether anything was trained, looked at or tuned on what it was tested on, as far as files tell."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import pandas as pd

from medtransfer import plan
from medtransfer.config import Config, Finetuned
from medtransfer.review.checks import LEAKS, Check, found
from medtransfer.review.frozen import Frozen
from medtransfer.runs import Run, budget_fraction

TUNED = ("temperature", "threshold")
"""What is chosen on validation images and stands among the metrics."""


def audit_leaks(config: Config, folder: Path, frozen: Frozen, runs: Sequence[Run], table: Sequence[Run]) -> list[Check]:
    """Look for leaks in some runs, and in what was chosen for all.

    Args:
        config: The configuration.
        folder: Results that hold cohorts, subsets and lists of leaks of these runs' tasks.
        frozen: The record.
        runs: Runs whose inputs are in `folder`.
        table: All runs of the configuration.
    """
    checks = []
    groups = plan.task_groups(config, table)
    tasks = dict.fromkeys(run.task for run in runs)
    cohorts = dict.fromkeys(cohort for task in tasks for cohort in plan.cohort_names(config, task))
    for cohort in cohorts:
        checks.append(split_check(cohort, read_people(folder, cohort)))
    for run in runs:
        trained = {each: pd.read_parquet(subset_path(folder, each)) for each in lineage(config, run)}
        homes = {each: read_people(folder, config.tasks[each.task].id_cohort) for each in trained}
        people = set().union(*(persons(subset, homes[each]) for each, subset in trained.items()))
        predicted = {
            str(cohort): persons(rows, read_people(folder, str(cohort)))
            for cohort, rows in frozen.predictions(run).groupby("cohort")
        }
        listed = pd.read_csv(folder / "quality" / f"{groups[run.task]}.leaks.csv", dtype="str")
        checks += [
            apart_check(run, people, predicted),
            images_check(run, trained[run], homes[run], listed),
            looks_check(run, frozen.validation(run), homes[run]),
        ]
    checks += [nesting_check(folder, task, seed) for task, seed in dict.fromkeys((r.task, r.seed) for r in runs)]
    tuned = pd.read_parquet(frozen.path("metrics.parquet"), filters=[("metric", "in", TUNED)])
    return [*checks, tuning_check(tuned, {name: task.id_cohort for name, task in config.tasks.items()})]


def subset_path(folder: Path, run: Run) -> Path:
    """Where the patients that a run is trained on are listed."""
    return folder / "subsets" / run.task / run.budget / f"seed{run.seed}.parquet"


def lineage(config: Config, run: Run) -> list[Run]:
    """A run and those whose networks it goes on from."""
    upstream = config.upstreams.get(run.upstream)
    if not isinstance(upstream, Finetuned):
        return [run]
    return [run, *lineage(config, plan.origin(upstream, run.backbone, run.seed))]


@cache
def read_people(folder: Path, cohort: str) -> pd.DataFrame:
    """Whom the images of a cohort show: `image_id`, `patient_id`, `dataset` and `split`."""
    return pd.read_parquet(
        folder / "cohorts" / f"{cohort}.parquet", columns=["image_id", "patient_id", "dataset", "split"]
    )


def persons(rows: pd.DataFrame, cohort: pd.DataFrame) -> set[str]:
    """The patients of some images of a cohort, as dataset/patient, so that they can be told apart over cohorts.

    The images' own `patient_id` counts, which in a cohort of several datasets bears the dataset's name already.
    """
    datasets = rows["image_id"].map(cohort.set_index("image_id")["dataset"]).fillna("unknown")
    return {
        patient if patient.startswith(f"{dataset}/") else f"{dataset}/{patient}"
        for dataset, patient in zip(datasets, rows["patient_id"].astype(str), strict=True)
    }


def split_check(cohort: str, people: pd.DataFrame) -> Check:
    """No patient stands in two splits of a cohort."""
    splits = people.groupby("patient_id")["split"].unique()
    problems = [f"{cohort} {who}: in {' and '.join(sorted(each))}" for who, each in splits.items() if len(each) > 1]
    return found(LEAKS, cohort, "no patient in two splits", len(splits), problems)


def apart_check(run: Run, trained: set[str], predicted: dict[str, set[str]]) -> Check:
    """No patient was trained on and predicted, also where a network goes on from another."""
    both = [f"{cohort} {who}: trained on, too" for cohort, some in predicted.items() for who in sorted(some & trained)]
    return found(LEAKS, run.path, "no predicted patient trained on", sum(map(len, predicted.values())), both)


def images_check(run: Run, subset: pd.DataFrame, people: pd.DataFrame, listed: pd.DataFrame) -> Check:
    """Every training image is of the training split, and none is listed as a copy of a test image."""
    images = subset[["image_id"]].merge(people[["image_id", "dataset", "split"]], "left", "image_id")
    strange = images.loc[images["split"] != "train", "image_id"]
    copies = images.merge(listed, "inner", ["dataset", "image_id"])
    problems = [f"{image}: trained on, but not of the training split" for image in strange]
    problems += [
        f"{image}: trained on, but {why}" for image, why in zip(copies["image_id"], copies["reason"], strict=True)
    ]
    return found(LEAKS, run.path, "training images are of the training split, and no copies", len(images), problems)


def looks_check(run: Run, validation: pd.DataFrame, people: pd.DataFrame) -> Check:
    """While a network was trained, it was looked at on validation images alone."""
    splits = validation["image_id"].drop_duplicates()
    splits = pd.Series(splits.map(people.set_index("image_id")["split"]).to_numpy(), index=splits)
    problems = [f"{image}: looked at, but not of the validation split" for image in splits.index[splits != "val"]]
    return found(LEAKS, run.path, "looks at validation images alone", len(splits), problems)


def nesting_check(folder: Path, task: str, seed: int) -> Check:
    """Each budget of a task and seed holds the images of all smaller ones."""
    paths = sorted(
        (folder / "subsets" / task).glob(f"*/seed{seed}.parquet"), key=lambda path: budget_fraction(path.parent.name)
    )
    images = {path.parent.name: set(pd.read_parquet(path, columns=["image_id"])["image_id"]) for path in paths}
    problems = [
        f"{image}: in {small}, but not in {large}"
        for (small, some), (large, more) in pairwise(images.items())
        for image in sorted(some - more)
    ]
    return found(LEAKS, f"{task}, seed {seed}", f"budgets nested: {', '.join(images)}", len(images), problems)


def tuning_check(tuned: pd.DataFrame, id_cohorts: dict[str, str]) -> Check:
    """All temperatures and thresholds were chosen on in-distribution validation images."""
    astray = tuned[(tuned["split"] != "val") | (tuned["cohort"] != tuned["task"].map(id_cohorts))]
    problems = [
        f"{row.task}/{row.backbone}/{row.upstream}/{row.initialisation}/{row.recipe}/{row.budget}/seed{row.seed}: "
        f"{row.metric} chosen on {row.cohort} {row.split}"
        for row in astray.itertuples()
    ]
    return found(LEAKS, "all runs", "temperatures and thresholds chosen on validation images", len(tuned), problems)
