"""One run: fine-tune a network, then predict its validation, test and out-of-distribution images."""

import sys
import traceback
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning_fabric import Fabric

from medtransfer.cohorts import select, targets
from medtransfer.compute.staging import staged
from medtransfer.config import Recipe, Resolution, Task, Tracking
from medtransfer.errors import UserError
from medtransfer.files import atomic, file_digest, write_json, write_parquet
from medtransfer.logs import run_log
from medtransfer.models.bit import build
from medtransfer.models.memory import activation_bytes_per_image, micro_batch
from medtransfer.models.weights import load_body, load_network, save_network
from medtransfer.representation.activations import gram_matrices
from medtransfer.training.attempt import FINISHED, RECORD, claimed, clear, crashed_before, finished, write_outcome
from medtransfer.training.examples import Examples, examples, open_store, store_digest
from medtransfer.training.loop import Progress, Setting, fit, look_steps, predict
from medtransfer.training.recipe import Hyperparameters, hyperrule, learning_rate
from medtransfer.training.session import (
    Stopwatch,
    activation_budget,
    digest,
    environment,
    open_fabric,
    place,
)

SIMILARITY_BATCH = 16
"""Images at once while activations are kept."""


def finetune_batch(
    runs: list[dict[str, Any]],
    version: int,
    device: dict[str, Any],
    memory_mb: int,
    checkpoint_seconds: float,
    local_disk: str | None,
) -> None:
    """Carry out runs one after another, in one process, and write what became of each.

    A run that fails says so in its outcome, and the others go on. An error that nobody expected (a broken GPU, a full
    disk) ends the process, so that all of it is tried again; the second time it is that run's failure.

    Args:
        runs: What each is to `finetune`, and `outcome`, the file to write; `log`, its own if it is one of several.
        version: Version of the training recipe.
        device: What `open_fabric` needs, and `recompute`, whether activations are computed twice instead of kept.
        memory_mb: Memory that micro-batches are sized to on a CPU.
        checkpoint_seconds: Least number of seconds between resume checkpoints.
        local_disk: Folder on a disk of this machine that image stores are copied to; None reads them where they lie.
    """
    recompute = device.pop("recompute")
    fabric = open_fabric(**device)
    for number, run in enumerate(runs, start=1):
        scratch = Path(run["scratch"])
        with run_log(run["log"], f"run {number} of {len(runs)}: {scratch}"), ExitStack() as claim:
            if fabric.is_global_zero:
                claim.enter_context(claimed(scratch))
            fabric.barrier()
            try:
                finetune(fabric, run, version, recompute, memory_mb, checkpoint_seconds, local_disk)
            except UserError as error:
                write_outcome(run["outcome"], "failed", str(error))
                print(f"error: {error}", file=sys.stderr)
            except Exception:
                if not crashed_before(scratch):
                    raise
                write_outcome(run["outcome"], "failed", f"It crashed twice.\n{traceback.format_exc()}")
                traceback.print_exc()
            else:
                if fabric.is_global_zero:
                    write_outcome(run["outcome"], "finished")


def finetune(
    fabric: Fabric,
    what: dict[str, Any],
    version: int,
    recompute: bool,
    memory_mb: int,
    checkpoint_seconds: float,
    local_disk: str | None,
) -> None:
    """Carry out one run, unless it was finished before.

    Args:
        fabric: Devices and precision.
        what: `run`, its keys: task, backbone, upstream, initialisation, recipe, budget, seed. `settings`: `task`,
            `recipe`, `resolution` and `tracking`, as the configuration has them. `inputs`: paths of `subset` and
            `weights` (none or one each) and, in the order of the task's cohorts, of `cohorts`; of `images`, in the
            order of `sources`, the datasets whose image stores those cohorts lie in. `goes_on`: whether the weights are
            those of a whole network for the same labels, classifier included. `keep`: whether the network is kept.
            `scratch`: folder of its state and of what it makes; `results`: where that goes afterwards.
        version: Version of the training recipe.
        recompute: Whether activations are computed twice instead of kept.
        memory_mb: Memory that micro-batches are sized to on a CPU.
        checkpoint_seconds: Least number of seconds between resume checkpoints.
        local_disk: Folder on a disk of this machine that image stores are copied to.
    """
    with ExitStack() as copies:
        stores = {
            name: open_store(copies.enter_context(staged(path, local_disk)))
            for name, path in zip(what["sources"], what["inputs"]["images"], strict=True)
        }
        _finetune(fabric, what, version, recompute, memory_mb, checkpoint_seconds, stores)


def _finetune(
    fabric: Fabric,
    what: dict[str, Any],
    version: int,
    recompute: bool,
    memory_mb: int,
    checkpoint_seconds: float,
    stores: dict[str, np.ndarray],
) -> None:
    run, settings, inputs, sources = (what[key] for key in ("run", "settings", "inputs", "sources"))
    scratch = Path(what["scratch"])
    watch = Stopwatch()
    task, tracking = (
        Task.model_validate({"title": "", **settings["task"]}),
        Tracking.model_validate(settings["tracking"]),
    )
    recipe, resolution = Recipe.model_validate(settings["recipe"]), Resolution.model_validate(settings["resolution"])
    names = [task.id_cohort, *task.ood_cohorts]
    cohorts = {name: pd.read_parquet(path) for name, path in zip(names, inputs["cohorts"], strict=True)}
    training = _training_rows(cohorts[task.id_cohort], task, inputs["subset"][0])
    training_examples = examples(training, stores, targets(training, task, training=True))

    hyperparameters = hyperrule(len(training_examples), recipe.hyperrule, recipe.overrides)
    model = build(run["backbone"], len(task.labels), seed=run["seed"])
    model.set_grad_checkpointing(recompute)
    for path in inputs["weights"]:
        if what["goes_on"]:
            load_network(model, path)
        else:
            load_body(model, path, run["initialisation"], run["seed"])
    described = {
        **run,
        "recipe_version": version,
        "task_settings": task.model_dump(),
        "resolution": resolution.model_dump(),
        "hyperrule": recipe.hyperrule,
        "hyperparameters": asdict(hyperparameters),
        "tracking": tracking.model_dump(),
        "precision": str(fabric.strategy.precision.precision),
        "inputs": _hashes(names, sources, inputs),
    }
    identity = digest({**described, "keep": what["keep"]})
    if finished(scratch, identity, Path(what["results"])):
        print(f"finished before: {scratch}", file=sys.stderr)
        return
    bytes_per_image = activation_bytes_per_image(run["backbone"], len(task.labels), resolution.crop, recompute)
    setting = Setting(
        hyperparameters,
        task.kind,
        resolution.crop,
        task.flip,
        run["seed"],
        micro_batch(hyperparameters.batch, bytes_per_image, activation_budget(fabric, memory_mb)),
        scratch,
        checkpoint_seconds,
        identity,
        look_steps(hyperparameters.steps, tracking.looks),
    )
    tracked = one_per_patient(select(cohorts[task.id_cohort], task, "val"), tracking.images)
    looked_at = examples(tracked, stores, targets(tracked, task, training=False))
    compared = _first(looked_at, tracking.similarity_images)
    place(model, fabric)
    before = gram_matrices(model, compared, setting.crop, SIMILARITY_BATCH, fabric)
    preparation = watch.lap()
    progress = fit(
        model,
        training_examples,
        setting,
        fabric,
        look=lambda: predict(model, looked_at, setting.crop, setting.micro_batch, fabric),
    )
    watch.lap()
    predictions = _predictions(model, cohorts, stores, task, setting, fabric)
    after = gram_matrices(model, compared, setting.crop, SIMILARITY_BATCH, fabric)
    evaluation = watch.lap()

    made = scratch / FINISHED
    if what["keep"]:
        save_network(model, made / "weights.safetensors", run)
    if fabric.is_global_zero:
        write_parquet(predictions, made / "predictions.parquet")
        write_parquet(_history(progress, hyperparameters), made / "history.parquet")
        write_parquet(_validation(progress, hyperparameters, tracked, looked_at, task), made / "validation.parquet")
        _write_representation(before, after, made / "representation.npz")
        facts = {
            "images": len(training_examples),
            "patients": int(training["patient_id"].nunique()),
            "images_seen": hyperparameters.steps * hyperparameters.batch,
            "micro_batch": setting.micro_batch,
            "seconds": {
                "preparation": round(preparation, 3),
                "data": round(progress.data_seconds, 3),
                "step": round(progress.step_seconds, 3),
                "looks": round(progress.look_seconds, 3),
                "evaluation": round(evaluation, 3),
            },
        }
        # The record goes last: where it is, all is.
        write_json({**described, "identity": identity, **facts, **environment(fabric)}, made / RECORD)
        clear(scratch)


def one_per_patient(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows, one of each patient, in an order that depends on the ids alone and on no budget or seed."""
    order = pd.util.hash_pandas_object(rows["image_id"], index=False).argsort(kind="stable")
    return rows.iloc[order].drop_duplicates("patient_id").head(most).reset_index(drop=True)


def _first(shown: Examples, most: int) -> Examples:
    return replace(shown, store=shown.store[:most], rows=shown.rows[:most], targets=shown.targets[:most])


def _training_rows(cohort: pd.DataFrame, task: Task, subset: str) -> pd.DataFrame:
    """The rows of a subset, in the order of the cohort."""
    rows = select(cohort, task, "train")
    return rows[rows["image_id"].isin(pd.read_parquet(subset)["image_id"])].reset_index(drop=True)


def _hashes(names: list[str], sources: list[str], inputs: dict[str, list[str]]) -> dict[str, Any]:
    """Content hashes of all inputs."""
    return {
        "subset": file_digest(inputs["subset"][0]),
        "cohorts": {name: file_digest(path) for name, path in zip(names, inputs["cohorts"], strict=True)},
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
            parts.append(_outcomes(rows, logits, shown.targets, task, cohort=name, split=split))
    return pd.concat(parts, ignore_index=True)


def _validation(
    progress: Progress, settings: Hyperparameters, rows: pd.DataFrame, shown: Examples, task: Task
) -> pd.DataFrame:
    """What each look saw: logits and targets of the tracked validation images."""
    return pd.concat(
        [
            _outcomes(rows, logits.numpy(), shown.targets, task, step=step, images_seen=step * settings.batch)
            for step, logits in sorted(progress.looks.items())
        ],
        ignore_index=True,
    )


def _outcomes(rows: pd.DataFrame, logits: np.ndarray, known: np.ndarray, task: Task, **where: Any) -> pd.DataFrame:
    """A row for each image: where it was predicted, its ids, a logit and a target for each label."""
    table = pd.DataFrame({**where, "image_id": rows["image_id"], "patient_id": rows["patient_id"]})
    for name, values in (("logit", logits), ("target", known)):
        table[[f"{name}_{label}" for label in task.labels]] = values
    return table


def _history(progress: Progress, settings: Hyperparameters) -> pd.DataFrame:
    steps = range(settings.steps)
    rates = [learning_rate(settings, step) for step in steps]
    return pd.DataFrame({"step": steps, "learning_rate": rates, "loss": progress.losses})


def _write_representation(before: dict[str, np.ndarray], after: dict[str, np.ndarray], path: Path) -> None:
    arrays = {f"before/{block}": gram for block, gram in before.items()}
    arrays |= {f"after/{block}": gram for block, gram in after.items()}
    with atomic(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
