"""A study's results tables from a made-up law and seeded noise, as the workflow writes them: for figures and claims."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtransfer.config import Study as StudySettings
from medtransfer.files import write_csv, write_parquet
from medtransfer.metrics import calibration
from medtransfer.metrics.diagrams import COVERAGES
from medtransfer.results import Study
from medtransfer.runs import CELL, Run, budget_fraction, run_table

CHEST = ["atelectasis", "effusion"]
STUDY: Study = {
    "name": "scale",
    "tasks": {
        "chest5": {
            "title": "Chest films, five findings",
            "kind": "multilabel",
            "labels": CHEST,
            "primary_metric": "auc",
            "id_cohort": "chexpert",
            "ood_cohorts": ["nih_cxr14", "vindr_cxr"],
        },
        "skin8": {
            "title": "Skin lesions, eight classes",
            "kind": "multiclass",
            "labels": ["mel", "nv"],
            "primary_metric": "balanced_accuracy",
            "id_cohort": "isic_2019",
            "ood_cohorts": ["pad_ufes_20"],
        },
        "nih5": {
            "title": "Chest films of another hospital",
            "kind": "multilabel",
            "labels": CHEST,
            "primary_metric": "auc",
            "id_cohort": "nih_cxr14",
            "ood_cohorts": [],
        },
        "chest5-ones": {
            "title": "Chest films, uncertain is positive",
            "kind": "multilabel",
            "labels": CHEST,
            "primary_metric": "auc",
            "id_cohort": "chexpert",
            "ood_cohorts": ["nih_cxr14", "vindr_cxr"],
        },
    },
    "backbones": {"r14w16": 41_000, "r26w64": 890_000, "r14w32": 160_000},
    "upstreams": ["none", "scenes-small", "scenes-large", "chexpert"],
    "adapted": {"chexpert": {"task": "chest5", "upstream": "scenes-large"}},
    "variants": {"chest5": ["chest5-ones"]},
    "roles": {"small": "r14w16", "large": "r26w64", "none": "none", "narrow": "scenes-small", "broad": "scenes-large"},
    "titles": {"chexpert": "CheXpert", "nih_cxr14": "NIH ChestX-ray14", "vindr_cxr": "VinDr-CXR"},
    "confidence": 0.95,
    "min_group": 20,
    "note": "Synthetic images. These numbers say nothing about medicine.",
}
BOTH, EVERY = ["chest5", "skin8"], ["none", "scenes-small", "scenes-large"]
SEEDS = [0, 1]
ARMS: dict[str, list[dict[str, Any]]] = {
    "scale": [{"tasks": BOTH, "backbones": [*STUDY["backbones"]], "upstreams": EVERY}],
    "efficiency": [{"tasks": BOTH, "backbones": ["r14w16", "r26w64"], "upstreams": EVERY, "fractions": [0.1, 0.3]}],
    "adaptation": [
        {"tasks": ["nih5"], "backbones": ["r26w64"], "upstreams": ["scenes-large", "chexpert"], "fractions": [0.1, 1.0]}
    ],
    "schedule": [{"tasks": BOTH, "backbones": ["r14w16"], "upstreams": ["none"], "recipes": ["long"]}],
    "depth": [
        {"tasks": ["chest5"], "backbones": [one], "upstreams": [other], "initialisations": ["prefix1", "prefix3"]}
        for one, other in (("r14w16", "scenes-small"), ("r26w64", "scenes-large"))
    ],
    "search": [{"tasks": ["chest5"], "backbones": ["r14w16"], "upstreams": ["scenes-large"], "recipes": ["trials"]}],
    "sensitivity": [
        {"tasks": ["chest5-ones"], "backbones": [one], "upstreams": [other]}
        for one, other in (("r14w16", "scenes-small"), ("r26w64", "scenes-large"))
    ],
}
IMAGES = {"chexpert": 480, "nih_cxr14": 1250, "vindr_cxr": 700, "isic_2019": 820, "pad_ufes_20": 310}
IMAGES_OF_UPSTREAM = {"none": 0, "scenes-small": 500, "scenes-large": 1500}
GROUPS = {"sex": {"female": 0.0, "male": -0.02}, "age": {"[0, 40)": 0.01, "[40, 60)": 0.0, "[60, 120)": -0.03}}
BLOCKS = ["stem", "stage1.unit1", "stage2.unit1", "stage3.unit1", "stage4.unit1"]
STEPS = [0, 2, 8, 18, 32, 50]
REPLICATES = 200


def runs(arms: dict[str, list[dict[str, Any]]] = ARMS, seeds: list[int] = SEEDS) -> list[Run]:
    """The runs of these arms, with two trials of the random search."""
    grids = {arm: [{"seeds": seeds, **grid} for grid in grids] for arm, grids in arms.items()}
    return run_table({"scale": StudySettings.model_validate({"arms": grids, "roles": STUDY["roles"]})}, trials=2)


def gain(run: Run) -> float:
    """What a run has over a random start with all patients: size, upstream, patients, depth, recipe."""
    size = sorted(STUDY["backbones"].values()).index(STUDY["backbones"][run.backbone])
    upstream = 3 if run.upstream == "chexpert" else STUDY["upstreams"].index(run.upstream)
    kept = int(run.initialisation[-1]) / 5 if run.initialisation.startswith("prefix") else 1.0
    transfer = 0.02 * upstream * (1 + size) / 2 * kept
    data = np.log10(budget_fraction(run.budget))
    return transfer + 0.01 * size + (0.08 - transfer / 2) * data + 0.01 * (run.recipe == "long")


def tables(folder: Path, chosen: list[Run] | None = None) -> dict[str, str]:
    """Write all results tables; their paths by the names that rules give them."""
    chosen = runs() if chosen is None else chosen
    rng = np.random.default_rng(7)
    metrics, replicates, curves, diagrams, similarity, listed = [], [], [], [], [], []
    for run in chosen:
        keys = run.keys
        task = STUDY["tasks"][run.task]
        listed.append({**keys, "arms": " ".join(run.arms), "status": "present"})
        luck = 0.004 * rng.standard_normal()
        for cohort in [task["id_cohort"], *task["ood_cohorts"]]:
            shift = "id" if cohort == task["id_cohort"] else "ood"
            noise = 0.35 / np.sqrt(IMAGES[cohort]) * np.random.default_rng(IMAGES[cohort]).standard_normal(REPLICATES)
            place = {**keys, "cohort": cohort, "split": "test"}
            for by, group, metric, value, n in _values(run, shift, luck, IMAGES[cohort]):
                where = {**place, "subgroup_by": by, "subgroup": group, "metric": metric}
                drawn = (value + noise).astype(np.float32)
                low, high = np.quantile(drawn, [0.025, 0.975])
                row = {**where, "shift": shift, "label": "mean", "value": value, "ci_low": low, "ci_high": high, "n": n}
                metrics.append(row)
                # What must not get into a figure: another label, another split.
                metrics.append({**row, "label": "edema", "value": -1.0})
                metrics.append({**row, "split": "val", "value": 0.7 + gain(run) + luck if by == "all" else -1.0})
                if by == "all" or group.startswith(("(worst", "(gap")):
                    replicates.append({**where, "replicates": drawn})
        patients: dict[str, Any] = {"cohort": task["id_cohort"], "split": "train", "shift": "id", "label": "mean"}
        patients |= {"subgroup_by": "all", "subgroup": "all", "metric": "patients", "n": 2400}
        patients["value"] = 2000 * budget_fraction(run.budget)
        metrics.append({**keys, **patients})
        curves += _curve(keys, task["primary_metric"], gain(run), rng)
    for cell in dict.fromkeys(tuple(getattr(run, key) for key in CELL) for run in chosen):
        named = dict(zip(CELL, cell, strict=True))
        diagrams += _diagrams(named, STUDY["tasks"][cell[0]])
        similarity += _similarity(named)
    write_csv(pd.DataFrame(listed), folder / "completeness.csv")
    named_tables = {"metrics": metrics, "replicates": replicates, "curves": curves}
    for name, rows in {**named_tables, "diagrams": diagrams, "similarity": similarity}.items():
        write_parquet(pd.DataFrame(rows), folder / f"{name}.parquet")
    write_csv(_upstreams(), folder / "upstreams.csv")
    return {path.stem: str(path) for path in folder.iterdir() if path.suffix in (".parquet", ".csv")}


def _values(run: Run, shift: str, luck: float, n: int) -> list[tuple[str, str, str, float, int]]:
    score = 0.78 + gain(run) - 0.05 * (shift == "ood") + luck
    error = 0.10 - gain(run) / 2 + 0.04 * (shift == "ood") - luck
    metrics = dict.fromkeys(("auc", "average_precision", "accuracy", "balanced_accuracy"), score)
    metrics |= {"sensitivity": score - 0.05, "specificity": score - 0.03, "underdiagnosis": 1.02 - score}
    calibrated = {"nll": error + 0.4, "brier": error + 0.05}
    raw = {metric: calibrated.get(metric, error) for metric in calibration.METRICS}
    overall = metrics | raw | {f"{metric}_scaled": value / 2 for metric, value in raw.items()} | {"aurc": error}
    rows = [("all", "all", metric, value, n) for metric, value in overall.items()]
    for by, groups in GROUPS.items():
        for metric, value in metrics.items():
            shifted = {group: value + shift for group, shift in groups.items()}
            low, high = min(shifted.values()), max(shifted.values())
            rows += [(by, group, metric, each, n // len(groups)) for group, each in shifted.items()]
            rows += [(by, "(worst)", metric, high if metric == "underdiagnosis" else low, n)]
            rows += [(by, "(gap)", metric, high - low, n), (by, "(expected gap)", metric, 0.01, n)]
        rows.append((by, "(gap)", "equalised_odds", 0.03, n))
    rows += [("skin_type", "VI", metric, np.nan, 7) for metric in metrics]
    return rows


def _curve(keys: dict[str, Any], metric: str, gained: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    rate = 0.08 + 2 * max(gained, 0)
    return [
        {
            **keys,
            "step": step,
            "images_seen": 64 * step,
            "metric": name,
            "value": value,
            "n": 200,
            "replicates": (value + 0.02 * rng.standard_normal(REPLICATES)).astype(np.float32),
        }
        for step in STEPS
        for name, value in ((metric, 0.5 + (0.3 + gained) * (1 - np.exp(-rate * step))), ("accuracy", -1.0))
    ]


def _diagrams(cell: dict[str, Any], task: Any) -> list[dict[str, Any]]:
    rows = []
    for cohort, (name, slope) in itertools.product(
        [task["id_cohort"], *task["ood_cohorts"]], [("reliability", 0.7), ("reliability_scaled", 0.95)]
    ):
        place = {**cell, "cohort": cohort, "shift": "id" if cohort == task["id_cohort"] else "ood"}
        for x in np.linspace(0.05, 0.95, 10):
            value = 0.5 + slope * (x - 0.5)
            rows.append({**place, "diagram": name, "x": x, "value": value, "ci_low": value - 0.04})
            rows[-1] |= {"ci_high": value + 0.04, "n": 90}
        if name == "reliability":
            for x in COVERAGES:
                value = 0.05 + 0.2 * x
                rows.append({**place, "diagram": "risk_coverage", "x": x, "value": value, "ci_low": value - 0.02})
                rows[-1] |= {"ci_high": value + 0.02, "n": 900}
    return rows


def _similarity(cell: dict[str, Any]) -> list[dict[str, Any]]:
    size = 0.1 * (cell["backbone"] == "r26w64")
    rows = []
    for comparison, seeds in (("fine-tuning", "0"), ("fine-tuning", "1"), ("seeds", "0-1")):
        for number, block in enumerate(BLOCKS):
            depth = number / (len(BLOCKS) - 1)
            value = 0.95 - 0.5 * depth + size
            rows.append({**cell, "comparison": comparison, "seeds": seeds, "block": block, "depth": depth})
            rows[-1] |= {"value": value, "ci_low": value - 0.05, "ci_high": value + 0.05, "n": 128}
    return rows


def _upstreams() -> pd.DataFrame:
    rows = [
        (upstream, backbone, parameters, images, 100 * images, 10.0 * parameters * 100 * images)
        for upstream, images in IMAGES_OF_UPSTREAM.items()
        for backbone, parameters in STUDY["backbones"].items()
    ]
    return pd.DataFrame(rows, columns=["upstream", "backbone", "parameters", "images", "images_seen", "multiply_adds"])
