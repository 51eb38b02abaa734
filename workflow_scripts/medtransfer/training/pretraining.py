"""Pre-training: a backbone on an upstream of named classes."""

import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning_fabric import Fabric

from medtransfer.compute.staging import staged
from medtransfer.config import PretrainedHere
from medtransfer.errors import UserError
from medtransfer.files import file_digest, write_json
from medtransfer.models.bit import build
from medtransfer.models.memory import activation_bytes_per_image, micro_batch
from medtransfer.models.weights import save_body
from medtransfer.training.attempt import FINISHED, RECORD, claimed, clear, finished, give
from medtransfer.training.examples import examples, open_store, store_digest
from medtransfer.training.loop import Setting, fit, predict
from medtransfer.training.recipe import upstream_rule
from medtransfer.training.session import activation_budget, digest, environment, open_fabric

WEIGHTS = "weights.safetensors"
SEED = 0
"""Upstream weights are made once; the seeds of runs vary what comes after."""


def pretrain(
    upstream: str,
    backbone: str,
    settings: dict[str, Any],
    version: int,
    inputs: dict[str, str],
    device: dict[str, Any],
    memory_mb: int,
    scratch: str,
    checkpoint_seconds: float,
    local_disk: str | None,
    outputs: dict[str, str],
) -> None:
    """Pre-train a backbone and write its weights and their record, unless it was done before.

    Args:
        upstream: Name of the upstream.
        backbone: Name of the backbone.
        settings: The upstream's configuration.
        version: Version of the training recipe.
        inputs: Paths of `cohort` and `images`.
        device: What `open_fabric` needs, and `recompute`, whether activations are computed twice instead of kept.
        memory_mb: Memory that micro-batches are sized to on a CPU.
        scratch: Folder of its state and of what it makes.
        checkpoint_seconds: Least number of seconds between resume checkpoints.
        local_disk: Folder on a disk of this machine that the image store is copied to; None reads it where it lies.
        outputs: Paths to write: `weights`, `record`.
    """
    recompute = device.pop("recompute")
    fabric = open_fabric(**device)
    with ExitStack() as held:
        if fabric.is_global_zero:
            held.enter_context(claimed(Path(scratch)))
        fabric.barrier()
        store = open_store(held.enter_context(staged(inputs["images"], local_disk)))
        made = _pretrain(
            fabric,
            upstream,
            backbone,
            settings,
            version,
            inputs,
            store,
            recompute,
            memory_mb,
            Path(scratch),
            checkpoint_seconds,
        )
        if fabric.is_global_zero:
            for kind, name in (("weights", WEIGHTS), ("record", RECORD)):
                give(made / name, Path(outputs[kind]))


def _pretrain(
    fabric: Fabric,
    upstream: str,
    backbone: str,
    settings: dict[str, Any],
    version: int,
    inputs: dict[str, str],
    store: np.ndarray,
    recompute: bool,
    memory_mb: int,
    scratch: Path,
    checkpoint_seconds: float,
) -> Path:
    """Pre-train, unless that is done; the folder of what was made."""
    chosen = PretrainedHere.model_validate(settings)
    cohort, stores = pd.read_parquet(inputs["cohort"]), {chosen.dataset: store}
    classes, training = choose(cohort[cohort["split"] == "train"], chosen)
    validation = cohort[(cohort["split"] == "val") & cohort["class_name"].isin(classes)]
    shown, held_out = (examples(rows, stores, _one_hot(rows, classes)) for rows in (training, validation))
    hyperparameters = upstream_rule(chosen)
    crop = chosen.resolution.crop
    described = {
        "upstream": upstream,
        "backbone": backbone,
        "recipe_version": version,
        "settings": chosen.model_dump(),
        "hyperparameters": asdict(hyperparameters),
        "precision": str(fabric.strategy.precision.precision),
        "inputs": {
            "cohort": file_digest(inputs["cohort"]),
            "images": store_digest(inputs["images"]),
        },
    }
    identity = digest(described)
    if done := finished(scratch, identity):
        print(f"finished before: {scratch}", file=sys.stderr)
        return done
    bytes_per_image = activation_bytes_per_image(backbone, len(classes), crop, recompute)
    setting = Setting(
        hyperparameters,
        "multiclass",
        crop,
        chosen.flip,
        SEED,
        micro_batch(chosen.batch, bytes_per_image, activation_budget(fabric, memory_mb)),
        scratch,
        checkpoint_seconds,
        identity,
    )
    made = scratch / FINISHED
    model = build(backbone, len(classes), seed=SEED)
    model.set_grad_checkpointing(recompute)
    progress = fit(model, shown, setting, fabric)
    accuracy = None
    if len(held_out):
        logits = predict(model, held_out, crop, setting.micro_batch, fabric)
        accuracy = float((logits.argmax(axis=1) == held_out.targets.argmax(axis=1)).mean())
    save_body(model, made / WEIGHTS, {"upstream": upstream, "backbone": backbone})
    if fabric.is_global_zero:
        facts = {
            "classes": len(classes),
            "images": len(shown),
            "images_seen": chosen.steps * chosen.batch,
            "final_loss": float(np.mean(progress.losses[-20:])),
            "validation_images": len(held_out),
            "validation_accuracy": accuracy,
            "seconds": {"data": round(progress.data_seconds, 3), "step": round(progress.step_seconds, 3)},
        }
        write_json({**described, "identity": identity, **facts, **environment(fabric)}, made / RECORD)
        clear(scratch)
    return made


def choose(rows: pd.DataFrame, settings: PretrainedHere) -> tuple[list[str], pd.DataFrame]:
    """The classes of an upstream and its training rows: the first classes, the first images of each.

    Raises:
        UserError: The dataset has fewer classes, or a class fewer images, than the configuration asks for.
    """
    names = sorted(rows["class_name"].unique())
    if settings.classes is not None and settings.classes > len(names):
        raise UserError(f"{settings.dataset} has {len(names)} classes; the upstream asks for {settings.classes}.")
    classes = names[: settings.classes]
    rows = rows[rows["class_name"].isin(classes)]
    if settings.per_class is not None:
        fewest = rows["class_name"].value_counts()
        if fewest.min() < settings.per_class:
            raise UserError(
                f"{settings.dataset}: class {fewest.idxmin()} has {fewest.min()} training images; the upstream asks "
                f"for {settings.per_class} of each class."
            )
        rows = rows.groupby("class_name", sort=False).head(settings.per_class)
    return classes, rows


def _one_hot(rows: pd.DataFrame, classes: list[str]) -> np.ndarray:
    numbers = pd.Index(classes).get_indexer(pd.Index(rows["class_name"]))
    return np.eye(len(classes), dtype=np.float32)[numbers]
