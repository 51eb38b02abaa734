"""A small invented tier whose runs can be repeated: its predictions, records and tables, frozen, thawed or run anew."""

import hashlib
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtransfer import plan, versions
from medtransfer.claims.schema import read_claims
from medtransfer.claims.verdict import judge
from medtransfer.config import Config, load
from medtransfer.config import Task as TaskSettings
from medtransfer.files import file_digest, write_csv, write_json, write_parquet
from medtransfer.metrics.cell import measure_predictions, measure_validation
from medtransfer.review.freeze import freeze
from medtransfer.review.frozen import RECORD
from medtransfer.review.records import records
from medtransfer.review.thaw import thaw_cells
from medtransfer.runs import CELL, Run, run_table
from medtransfer.training.recipe import hyperrule, resolution

LABELS = ["atelectasis", "effusion"]
IMAGES = {("chexpert", "val"): 40, ("chexpert", "test"): 120, ("nih_cxr14", "test"): 100}
CONTENT: dict[str, Any] = {
    "tier": "tiny",
    "note": "Invented.",
    "tasks": {
        "chest": {
            "title": "Chest films",
            "kind": "multilabel",
            "labels": LABELS,
            "id_cohort": "chexpert",
            "ood_cohorts": ["nih_cxr14"],
            "flip": False,
            "subgroups": {"sex": None},
        }
    },
    "upstreams": {
        name: {"source": "pretrain", "dataset": "scenes", "resolution": {"resize": 48, "crop": 40}, "steps": steps}
        | {"batch": 64, "learning_rate": 0.8}
        for name, steps in (("narrow", 10), ("broad", 100))
    },
    "metrics": {"replicates": 100, "min_group": 10},
    "studies": {
        "scale": {
            "roles": {"small": "r14w16", "large": "r26w32", "none": "none", "narrow": "narrow", "broad": "broad"},
            "arms": {
                "scale": [
                    {"tasks": ["chest"], "backbones": [backbone], "upstreams": [upstream], "seeds": [0, 1, 2]}
                    for backbone, upstream in (("r14w16", "none"), ("r14w16", "narrow"), ("r26w32", "broad"))
                ]
            },
        }
    },
}
CONFIG: Config = load(CONTENT, "tests/repeated.py")
RUNS = run_table(CONFIG.studies)
SETTINGS = CONFIG.metrics.model_dump()
MEASURED = CONFIG.tasks["chest"].model_dump(include={"kind", "labels", "id_cohort", "subgroups", "intersections"})
CLAIMS = """
claims:
  - id: S2
    study: scale
    source: "[seen: abstract] invented"
    text: Scale helps.
    contrasts:
      - name: scaled_gain
        text: A large network with broad pre-training beats a small one with narrow pre-training.
        terms:
          - {weight: 1, backbone: large, upstream: broad}
          - {weight: -1, backbone: small, upstream: narrow}
        expect: {greater: 0.0}
"""


def run_results(
    folder: Path,
    disturbed: float = 0.0,
    torch: str = "2.13.0",
    processor: str = "x86_64, one model",
    runs: list[Run] = RUNS,
) -> Path:
    """Write the results of these runs as the workflow does.

    Args:
        folder: Where to.
        disturbed: How much logits differ from those that all who ask for the same runs get, as if trained elsewhere.
        torch: The version they say they were trained with.
        processor: What they say they were trained on.
        runs: Some of RUNS.
    """
    machine = _environment(torch, processor)
    targets = _images()
    predictions = {}
    for run in runs:
        place = folder / "runs" / run.path
        predictions[run] = _predict(run, targets, np.random.default_rng([7, RUNS.index(run)]), disturbed)
        write_parquet(predictions[run], place / "predictions.parquet")
        write_parquet(_looks(predictions[run]), place / "validation.parquet")
        write_json({**_record(run), **machine}, place / "run.json")
    for (upstream, backbone), weights in _networks().items():
        path = folder / "upstream" / upstream / f"{backbone}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(weights)
        settings = CONFIG.upstreams[upstream].model_dump()
        record = {"upstream": upstream, "backbone": backbone, "settings": settings, **machine}
        write_json(record, path.with_suffix(".json"))
    for cohort, part in targets.groupby("cohort"):
        write_parquet(part[["image_id", "sex"]], folder / "cohorts" / f"{cohort}.parquet")
        write_csv(pd.DataFrame({"section": ["size"], "count": [len(part)]}), folder / "quality" / f"{cohort}.csv")
    write_parquet(records(runs, folder, _networks()), folder / "provenance.parquet")
    write_csv(pd.DataFrame([{**run.keys, "arms": " ".join(run.arms)} for run in runs]), folder / "runs.csv")
    listed = pd.read_csv(folder / "runs.csv").assign(status="present")
    write_csv(listed, folder / "completeness.csv")
    _measure(folder, predictions, targets)
    _other_tables(folder)
    judge_claims(folder)
    return folder


def freeze_results(results: Path, folder: Path) -> Path:
    """Freeze results of `run_results`, as this configuration made them."""
    groups = {"chexpert": ["sex"], "nih_cxr14": ["sex"]}
    freeze(results, folder, "tiny", CONTENT, list(groups), groups, derived=False)
    return folder


def thaw_results(frozen: Path, folder: Path) -> Path:
    """Results measured from frozen predictions, as the workflow makes them."""
    kinds = ("metrics", "replicates", "diagrams", "curves")
    cells: dict[str, list[int]] = {}
    for run in RUNS:
        cells.setdefault(run.cell, []).append(run.seed)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {kind: str(folder / f"{kind}.parquet") for kind in kinds}
    thaw_cells(str(frozen), cells, {"chest": MEASURED}, SETTINGS, outputs)
    for name in ("completeness.csv", "upstreams.csv", "similarity.parquet", "provenance.parquet"):
        (folder / name).write_bytes((frozen / name).read_bytes())
    judge_claims(folder)
    return folder


def sign(frozen: Path) -> None:
    """Write the checksums of frozen results anew, as one would who wants to hide what was changed."""
    record = json.loads((frozen / RECORD).read_text())
    files = {
        str(path.relative_to(frozen)): path for path in frozen.rglob("*") if path.is_file() and path.name != RECORD
    }
    record["files"] = {name: file_digest(path) for name, path in files.items()}
    write_json(record, frozen / RECORD)


def judge_claims(folder: Path) -> None:
    """Write claims.csv from the other tables."""
    (folder / "claims.yaml").write_text(CLAIMS)
    names = ("metrics", "replicates", "curves", "similarity")
    tables = {name: str(folder / f"{name}.parquet") for name in names}
    tables |= {name: str(folder / f"{name}.csv") for name in ("completeness", "upstreams")}
    study: Any = plan.study_facts(CONFIG, RUNS, "scale", {"chexpert": "CheXpert", "nih_cxr14": "NIH"})
    write_csv(judge(read_claims(str(folder / "claims.yaml")), tables, study, 0), folder / "claims.csv")


def _images() -> pd.DataFrame:
    rng, parts = np.random.default_rng(1), []
    for (cohort, split), n in IMAGES.items():
        names = [f"{split}{number}" for number in range(n)]
        part = {"cohort": cohort, "split": split, "image_id": names, "patient_id": names}
        targets = {f"target_{label}": (rng.random(n) < 0.4).astype(np.float32) for label in LABELS}
        parts.append(pd.DataFrame({**part, **targets, "sex": rng.choice(["female", "male"], n)}))
    return pd.concat(parts, ignore_index=True)


def _predict(run: Run, images: pd.DataFrame, luck: np.random.Generator, disturbed: float) -> pd.DataFrame:
    """Logits of the size that the network and its upstream make them, seeds by their luck; disturbed, when repeated."""
    skill = 0.4 + 0.6 * ["none", "narrow", "broad"].index(run.upstream) + 0.3 * (run.backbone == "r26w32")
    shared = np.random.default_rng(2).standard_normal((len(images), len(LABELS)))
    targets = images[[f"target_{label}" for label in LABELS]].to_numpy()
    noise = shared + 0.5 * luck.standard_normal(shared.shape)
    noise += disturbed * np.random.default_rng([3, *luck.bytes(4)]).standard_normal(shared.shape)
    logits = (skill * (2 * targets - 1) + noise).astype(np.float32)
    columns = pd.DataFrame(logits, columns=[f"logit_{label}" for label in LABELS])
    return pd.concat([images.drop(columns=["sex"]), columns], axis=1)


def _looks(predictions: pd.DataFrame) -> pd.DataFrame:
    seen = predictions[predictions["split"] == "val"]
    return pd.concat([seen.assign(step=step, images_seen=64 * step) for step in (0, 10)], ignore_index=True)


def _networks() -> dict[tuple[str, str], bytes]:
    names = [("narrow", "r14w16"), ("broad", "r26w32")]
    return {name: f"weights of {name}".encode() for name in names}


def _environment(torch: str, processor: str) -> dict[str, Any]:
    packages = {"python": platform.python_version(), "torch": torch, "numpy": "2.4.6", "timm": "1.0.31"}
    device = {"processor": processor, "device": "cpu", "devices": 1, "threads": 1, "precision": "32-true"}
    return {**device, "packages": packages}


def _record(run: Run) -> dict[str, Any]:
    task = CONFIG.tasks[run.task]
    settings = {"title": "", **task.model_dump(exclude={"title", "subgroups", "intersections", "primary_metric"})}
    weights = [hashlib.sha256(_networks()[run.upstream, run.backbone]).hexdigest()] if run.upstream != "none" else []
    described = {
        **run.keys,
        "recipe_version": versions.TRAINING,
        "task_settings": TaskSettings.model_validate(settings).model_dump(),
        "resolution": resolution(CONFIG.recipe.hyperrule, run.backbone).model_dump(),
        "hyperrule": CONFIG.recipe.hyperrule,
        "hyperparameters": asdict(hyperrule(500, CONFIG.recipe.hyperrule, CONFIG.recipe.overrides)),
        "tracking": CONFIG.tracking.model_dump(),
        "inputs": {"subset": "5", "cohorts": {"chexpert": "1"}, "images": {"chexpert": "2"}, "weights": weights},
    }
    return {**described, "images": 500, "patients": 400, "micro_batch": 64}


def _measure(folder: Path, predictions: dict[Run, pd.DataFrame], images: pd.DataFrame) -> None:
    tables: dict[str, list[pd.DataFrame]] = {}
    for cell in dict.fromkeys(run.cell for run in predictions):
        own = {run.seed: table for run, table in predictions.items() if run.cell == cell}
        keys = dict(zip(CELL, cell.split("/"), strict=True))
        records = {seed: {"patients": 400, "images": 500} for seed in own}
        people = images[["cohort", "image_id", "sex"]]
        measured = measure_predictions(keys, own, records, people, MEASURED, SETTINGS)
        looks = {seed: _looks(table) for seed, table in own.items()}
        measured["curves"] = measure_validation(keys, looks, MEASURED, SETTINGS)
        for kind, table in measured.items():
            tables.setdefault(kind, []).append(table)
    for kind, parts in tables.items():
        write_parquet(pd.concat(parts, ignore_index=True), folder / f"{kind}.parquet")


def _other_tables(folder: Path) -> None:
    text, numbers = [*CELL, "comparison", "seeds", "block"], ["depth", "value", "ci_low", "ci_high", "n"]
    similar = pd.DataFrame({**{name: ["x"] for name in text}, **dict.fromkeys(numbers, 0.0)})
    write_parquet(similar.head(0), folder / "similarity.parquet")
    rows = [{"upstream": upstream, "backbone": backbone, "images": 1} for upstream, backbone in _networks()]
    columns = {"parameters": 1, "images_seen": 1, "multiply_adds": 1}
    write_csv(pd.DataFrame(rows).assign(**columns), folder / "upstreams.csv")
