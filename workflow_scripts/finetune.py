"""Fine-tune one run, then predict its validation, test and out-of-distribution images."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from lightning_fabric import Fabric

from medtransfer.cohorts import select, targets
from medtransfer.config import Recipe, Resolution, Task
from medtransfer.files import write_json, write_parquet
from medtransfer.logs import step_log
from medtransfer.models.bit import build
from medtransfer.models.memory import activation_bytes_per_image, micro_batch
from medtransfer.models.weights import load_body
from medtransfer.training.examples import examples, open_store, store_digest
from medtransfer.training.loop import Progress, Setting, fit, predict
from medtransfer.training.recipe import Hyperparameters, hyperrule, learning_rate
from medtransfer.training.session import (
    Stopwatch,
    activation_budget,
    digest,
    environment,
    file_digest,
    open_fabric,
)

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    run: dict[str, Any],
    task: Task,
    recipe: Recipe,
    resolution: Resolution,
    version: int,
    inputs: dict[str, list[str]],
    sources: list[str],
    fabric: Fabric,
    memory_mb: int,
    scratch: Path,
    checkpoint_seconds: float,
    outputs: dict[str, str],
) -> None:
    """Carry out one run.

    Args:
        run: Its keys: task, backbone, upstream, initialisation, budget, seed.
        task: What is predicted.
        recipe: How it is fine-tuned.
        resolution: Sizes of stored images and crops.
        version: Version of the training recipe.
        inputs: Paths of `subset` and `weights` (none or one each) and, in the order of the task's datasets, of
            `cohorts`; of `images`, in the order of `sources`.
        sources: The datasets whose image stores those cohorts lie in.
        fabric: Devices and precision.
        memory_mb: Memory the job has asked for.
        scratch: Folder of the resume state.
        checkpoint_seconds: Seconds between resume checkpoints.
        outputs: Paths to write: `predictions`, `history`, `record`.
    """
    watch = Stopwatch()
    datasets = [task.id_cohort, *task.ood_cohorts]
    cohorts = {name: pd.read_parquet(path) for name, path in zip(datasets, inputs["cohorts"], strict=True)}
    stores = {name: open_store(path) for name, path in zip(sources, inputs["images"], strict=True)}
    training = _training_rows(cohorts[task.id_cohort], task, inputs["subset"][0])
    training_examples = examples(training, stores, targets(training, task, training=True))

    settings = hyperrule(len(training_examples), recipe.hyperrule, recipe.overrides)
    model = build(run["backbone"], len(task.labels), seed=run["seed"])
    for path in inputs["weights"]:
        load_body(model, Path(path))
    bytes_per_image = activation_bytes_per_image(run["backbone"], len(task.labels), resolution.crop)
    budget = activation_budget(fabric, memory_mb)
    hashes = _hashes(datasets, sources, inputs)
    described = {
        **run,
        "recipe_version": version,
        "task_settings": task.model_dump(),
        "resolution": resolution.model_dump(),
        "hyperrule": recipe.hyperrule,
        "hyperparameters": asdict(settings),
        "precision": str(fabric.strategy.precision.precision),
        "inputs": hashes,
    }
    setting = Setting(
        settings,
        task.kind,
        resolution.crop,
        task.flip,
        run["seed"],
        micro_batch(settings.batch, bytes_per_image, budget),
        scratch / "checkpoint.pt",
        checkpoint_seconds,
        digest(described),
    )
    preparation = watch.lap()
    progress = fit(model, training_examples, setting, fabric)
    watch.lap()
    predictions = _predictions(model, cohorts, stores, task, setting, fabric)
    evaluation = watch.lap()

    if fabric.is_global_zero:
        write_parquet(predictions, outputs["predictions"])
        write_parquet(_history(progress, settings), outputs["history"])
        seconds = {
            "preparation": preparation,
            "data": progress.data_seconds,
            "step": progress.step_seconds,
            "evaluation": evaluation,
        }
        facts = {
            "images": len(training_examples),
            "patients": int(training["patient_id"].nunique()),
            "images_seen": settings.steps * settings.batch,
            "micro_batch": setting.micro_batch,
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
        }
        write_json({**described, **facts, **environment(fabric)}, outputs["record"])
        setting.checkpoint.unlink(missing_ok=True)


def _training_rows(cohort: pd.DataFrame, task: Task, subset: str) -> pd.DataFrame:
    """The rows of a subset, in the order of the cohort."""
    rows = select(cohort, task, "train")
    return rows[rows["image_id"].isin(pd.read_parquet(subset)["image_id"])].reset_index(drop=True)


def _hashes(datasets: list[str], sources: list[str], inputs: dict[str, list[str]]) -> dict[str, Any]:
    """Content hashes of all inputs."""
    return {
        "subset": file_digest(inputs["subset"][0]),
        "cohorts": {name: file_digest(path) for name, path in zip(datasets, inputs["cohorts"], strict=True)},
        "images": {name: store_digest(path) for name, path in zip(sources, inputs["images"], strict=True)},
        "weights": [file_digest(path) for path in inputs["weights"]],
    }


def _predictions(
    model: Any,
    cohorts: dict[str, pd.DataFrame],
    stores: dict[str, np.ndarray],
    task: Task,
    setting: Setting,
    fabric: Fabric,
) -> pd.DataFrame:
    """Logits and targets of the validation and test images of the training cohort, and of the others' test images."""
    parts = []
    for name, cohort in cohorts.items():
        for split in ["val", "test"] if name == task.id_cohort else ["test"]:
            rows = select(cohort, task, split)
            if rows.empty:
                continue
            shown = examples(rows, stores, targets(rows, task, training=False))
            logits = predict(model, shown, setting.crop, setting.micro_batch, fabric)
            part = rows[["image_id", "patient_id"]].copy()
            part.insert(0, "cohort", name)
            part.insert(1, "split", split)
            for number, label in enumerate(task.labels):
                part[f"logit_{label}"] = logits[:, number]
            for number, label in enumerate(task.labels):
                part[f"target_{label}"] = shown.targets[:, number]
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _history(progress: Progress, settings: Hyperparameters) -> pd.DataFrame:
    steps = range(settings.steps)
    rates = [learning_rate(settings, step) for step in steps]
    return pd.DataFrame({"step": steps, "learning_rate": rates, "loss": progress.losses})


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        wildcards, params = snakemake.wildcards, snakemake.params
        main(
            run={**dict(wildcards.items()), "seed": int(wildcards.seed)},
            task=Task.model_validate({"title": "", **params.task}),
            recipe=Recipe.model_validate(params.recipe_settings),
            resolution=Resolution.model_validate(params.resolution),
            version=params.recipe,
            inputs={
                "subset": [snakemake.input.subset],
                "weights": [str(path) for path in snakemake.input.weights],
                **{name: list(snakemake.input[name]) for name in ("cohorts", "images")},
            },
            sources=list(params.sources),
            fabric=open_fabric(**params.training, threads=snakemake.threads),
            memory_mb=snakemake.resources.mem_mb,
            scratch=Path(snakemake.output.record.replace("/runs/", "/scratch/")).parent,
            checkpoint_seconds=snakemake.resources.checkpoint_seconds,
            outputs=dict(snakemake.output.items()),
        )
