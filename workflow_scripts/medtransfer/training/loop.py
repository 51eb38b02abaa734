"""The training loop and the prediction pass: what happens between a model with weights and its logits.

Every random choice of a step is a function of the seed and the step's number, so the state to resume from is the
weights, the optimiser and the number of steps done; on a CPU a resumed run ends bit-identical to an undisturbed one.
GroupNorm has no batch statistics, so a batch may be computed in micro-batches without changing what is computed.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from medtransfer.errors import UserError
from medtransfer.files import write_json
from medtransfer.models.weights import WHOLE
from medtransfer.processes import this_process
from medtransfer.training import checkpoint
from medtransfer.training.attempt import CHECKPOINT, PROGRESS
from medtransfer.training.augment import Choices, crop_and_flip, draw, for_evaluation, normalise
from medtransfer.training.examples import Examples, batch_indices
from medtransfer.training.losses import LOSSES, count_terms
from medtransfer.training.recipe import Hyperparameters, learning_rate
from medtransfer.training.session import device_name, is_sharded, over_processes, peak_memory

REPORT_SECONDS = 10
SAVING_SHARE = 0.02
"""Checkpoints take at most this share of the time: the longer one takes, the rarer they are."""
CHECK_STEPS = 10
"""Losses are looked at every so many steps: each look makes the CPU wait for the device."""


@dataclass(frozen=True)
class Setting:
    """What a training run needs besides model and data."""

    hyperparameters: Hyperparameters
    kind: str
    crop: int
    flip: bool
    seed: int
    micro_batch: int
    scratch: Path
    """Folder of the resume checkpoint and of what is told while training."""
    checkpoint_seconds: float
    identity: str
    looks: tuple[int, ...] = ()
    """After how many steps the network is looked at."""


@dataclass
class Progress:
    """What a training run has done so far."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    looks: dict[int, torch.Tensor] = field(default_factory=dict)
    """What each look saw."""
    data_seconds: float = 0.0
    step_seconds: float = 0.0
    look_seconds: float = 0.0


def look_steps(steps: int, looks: int) -> tuple[int, ...]:
    """When to look at a network: at the start and `looks` times more, at squares of even spacing.

    Early looks are close together, the last is at the last step. Fewer where there are fewer steps.
    """
    return tuple(sorted({round(steps * (number / looks) ** 2) for number in range(looks + 1)}))


def fit(
    model: torch.nn.Module,
    examples: Examples,
    setting: Setting,
    fabric: Fabric,
    look: Callable[[], np.ndarray] | None = None,
) -> Progress:
    """Train a model in place, resuming from the scratch checkpoint of the same run if there is one.

    Args:
        model: Network from [batch, 3, crop, crop] to logits; moved to the fabric's device.
        examples: Training examples.
        setting: Hyper-parameters, seed, micro-batch and checkpoint.
        fabric: Devices and precision. With several processes each takes its share of every batch.
        look: Called after the steps that `setting.looks` names; what it returns stands in the progress.

    Raises:
        UserError: A loss is not finite; the last good checkpoint is kept.
        checkpoint.Interrupted: SIGTERM came; the state is saved.
    """
    settings = setting.hyperparameters
    network = fabric.setup_module(model)
    sgd = torch.optim.SGD(model.parameters(), lr=0.0, momentum=settings.momentum, weight_decay=settings.weight_decay)
    progress = _resume(model, sgd, setting)
    optimizer: Any = fabric.setup_optimizers(sgd)
    network.train()
    _look(look, network, setting, progress)
    pending: list[torch.Tensor] = []
    micro_batch = setting.micro_batch
    saver = checkpoint.Saver(setting.scratch / CHECKPOINT, setting.checkpoint_seconds, SAVING_SHARE)
    reporter = Reporter(setting, progress, fabric)
    with checkpoint.stop_on_signal() as stop:
        while progress.step < settings.steps:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, progress.step)
            try:
                pending.append(_step(network, optimizer, examples, setting, fabric, micro_batch, progress))
            except torch.cuda.OutOfMemoryError:
                # Processes that share a network have to go on alike, and only this one knows.
                if micro_batch == 1 or is_sharded(fabric):
                    raise
                micro_batch = (micro_batch + 1) // 2
                torch.cuda.empty_cache()
                print(f"out of GPU memory: micro-batches of {micro_batch} from here on", file=sys.stderr)
                continue
            progress.step += 1
            _look(look, network, setting, progress)
            due, stopping = _agreed(saver.due(), stop.asked, fabric)
            if due or stopping or len(pending) >= CHECK_STEPS or progress.step == settings.steps:
                _check(pending, progress, examples, setting)
            if due or stopping:
                state = _state(model, sgd, setting, progress)
                if fabric.is_global_zero:
                    saver.save(state, progress.step)
            if stopping:
                # A process that ended while the first one writes would have it killed by the launcher.
                fabric.barrier()
                raise checkpoint.Interrupted
            if fabric.is_global_zero:
                reporter.report(saver.step)
    return progress


def _agreed(due: bool, stop: bool, fabric: Fabric) -> tuple[bool, bool]:
    """Whether to save, and to stop: all processes do so when the first is due, and when any was asked to."""
    if fabric.world_size == 1:
        return due, stop
    due_anywhere, stop_anywhere = over_processes("max", [due and fabric.is_global_zero, stop], fabric)
    return bool(due_anywhere), bool(stop_anywhere)


def _look(look: Callable[[], np.ndarray] | None, network: Any, setting: Setting, progress: Progress) -> None:
    if look is None or progress.step not in setting.looks or progress.step in progress.looks:
        return
    started = time.monotonic()
    progress.looks[progress.step] = torch.from_numpy(look())
    network.train()
    progress.look_seconds += time.monotonic() - started


def _step(
    network: Any,
    optimizer: Any,
    examples: Examples,
    setting: Setting,
    fabric: Fabric,
    micro_batch: int,
    progress: Progress,
) -> torch.Tensor:
    """One optimiser step; the batch's mean loss, still on the device."""
    settings, step = setting.hyperparameters, progress.step
    indices = batch_indices(len(examples), settings.batch, step, setting.seed)
    choices = draw(
        len(indices),
        examples.size,
        setting.crop,
        flip=setting.flip,
        mixup=settings.mixup,
        seed=setting.seed,
        step=step,
    )
    mine = np.arange(len(indices))[fabric.global_rank :: fabric.world_size]
    share = -(-len(indices) // fabric.world_size)
    # As many in every process, of which one may have an image less.
    parts = np.array_split(mine, -(-share // micro_batch))
    targets = _mix(examples.targets[indices], choices)
    terms = count_terms(setting.kind, targets)
    total = torch.zeros((), device=fabric.device)
    optimizer.zero_grad()
    for number, part in enumerate(parts):
        started = time.monotonic()
        images = _inputs(examples, indices, choices, part, setting.crop, fabric.device)
        fetched = time.monotonic()
        # Of a network that is split, gradients that wait for the last part would be whole ones.
        waits = number < len(parts) - 1 and not is_sharded(fabric)
        with fabric.no_backward_sync(network, enabled=waits):
            loss = LOSSES[setting.kind](network(images).float(), targets[part].to(fabric.device)) / terms
            # Several processes average their gradients; their losses are shares of one sum.
            fabric.backward(loss * fabric.world_size)
        total += loss.detach()
        progress.data_seconds += fetched - started
        progress.step_seconds += time.monotonic() - fetched
    started = time.monotonic()
    optimizer.step()
    progress.step_seconds += time.monotonic() - started
    if fabric.world_size > 1:
        torch.distributed.all_reduce(total)
    return total


def _inputs(
    examples: Examples, indices: np.ndarray, choices: Choices, part: np.ndarray, crop: int, device: torch.device
) -> torch.Tensor:
    """Network inputs for a part of a batch, on the device."""

    def window(positions: np.ndarray) -> torch.Tensor:
        pixels = examples.pixels(indices[positions])
        if device.type == "cuda":
            pixels = pixels.pin_memory().to(device, non_blocking=True)
        return normalise(crop_and_flip(pixels, choices, positions, crop))

    images = window(part)
    if choices.mixing < 1:
        images = choices.mixing * images + (1 - choices.mixing) * window(choices.partner[part])
    return images


def _mix(targets: np.ndarray, choices: Choices) -> torch.Tensor:
    """A batch's targets after mixup; a label without a value in either image has none in the mixture."""
    own = torch.from_numpy(targets)
    if choices.mixing == 1:
        return own
    return choices.mixing * own + (1 - choices.mixing) * own[choices.partner]


def _check(pending: list[torch.Tensor], progress: Progress, examples: Examples, setting: Setting) -> None:
    """Move losses off the device and stop at one that is not finite."""
    losses = torch.stack(pending).tolist()
    pending.clear()
    first = progress.step - len(losses)
    for step, loss in enumerate(losses, start=first):
        if not np.isfinite(loss):
            batch = batch_indices(len(examples), setting.hyperparameters.batch, step, setting.seed)
            raise UserError(
                f"The loss of step {step} is {loss} at learning rate {learning_rate(setting.hyperparameters, step):g}; "
                f"the batch began with the training rows {batch[:8].tolist()}. Lower the learning rate, or look at "
                f"those images. The last good state, if one was saved, is {setting.scratch}/checkpoint.pt."
            )
    progress.losses += losses


class Reporter:
    """Says every few seconds how training goes: a line in the log, and a file for whoever looks from outside."""

    def __init__(self, setting: Setting, progress: Progress, fabric: Fabric) -> None:
        self.setting, self.progress = setting, progress
        self.begun = self.told = time.monotonic()
        self.first, self.first_data, self.first_step = progress.step, progress.data_seconds, progress.step_seconds
        self.place = {"device": device_name(fabric), **this_process()}
        self.device = fabric.device
        print(f"{self.place['device']} of {self.place['host']}, SLURM job {self.place['slurm_job']}", file=sys.stderr)

    def report(self, checkpoint_step: int | None) -> None:
        """Tell, if it is time to."""
        now, progress, settings = time.monotonic(), self.progress, self.setting.hyperparameters
        if now - self.told < REPORT_SECONDS:
            return
        self.told = now
        steps_per_second = (progress.step - self.first) / (now - self.begun)
        waited, computed = progress.data_seconds - self.first_data, progress.step_seconds - self.first_step
        facts = {
            "step": progress.step,
            "steps": settings.steps,
            "loss": progress.losses[-1] if progress.losses else None,
            "images_per_second": steps_per_second * settings.batch,
            "data_share": waited / (waited + computed),
            **peak_memory(self.device),
            "checkpoint_step": checkpoint_step,
        }
        left = (settings.steps - progress.step) / steps_per_second
        loss = float("nan") if facts["loss"] is None else facts["loss"]
        memory = facts["peak_gpu_memory_mb"] or facts["peak_memory_mb"]
        print(
            f"step {progress.step}/{settings.steps}  loss {loss:.4f}  {facts['images_per_second']:,.0f} images/s  "
            f"data {facts['data_share']:.0%}  {memory:,} MB  last checkpoint at step {checkpoint_step}  "
            f"{left // 60:.0f}:{left % 60:02.0f} to go",
            file=sys.stderr,
            flush=True,
        )
        # Who looks may look in vain: training goes on where the disk is full for a while.
        with suppress(OSError):
            write_json({**self.place, **facts, "time": time.time()}, self.setting.scratch / PROGRESS)


def _state(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, setting: Setting, progress: Progress
) -> dict[str, Any]:
    weights, momentum = get_state_dict(model, optimizer, options=WHOLE)
    return {"identity": setting.identity, "model": weights, "optimizer": momentum, "progress": vars(progress)}


def _resume(model: torch.nn.Module, optimizer: torch.optim.Optimizer, setting: Setting) -> Progress:
    state = checkpoint.load(setting.scratch / CHECKPOINT, setting.identity)
    if state is None:
        return Progress()
    optimizer.zero_grad()  # where there are gradients, momentum is taken to be there, too
    set_state_dict(
        model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"], options=WHOLE
    )
    progress = Progress(**state["progress"])
    print(f"resumed after step {progress.step}/{setting.hyperparameters.steps}", file=sys.stderr)
    return progress


@torch.inference_mode()
def predict(model: torch.nn.Module, examples: Examples, crop: int, batch: int, fabric: Fabric) -> np.ndarray:
    """Logits [examples, labels] as float32, in the order of the examples.

    Args:
        model: A trained network on the fabric's device.
        examples: Any examples; their targets are not looked at.
        crop: Side that images are resized to, in pixels.
        batch: Images per forward pass.
        fabric: Devices and precision. With several processes each predicts its share.
    """
    model.eval()
    share = -(-len(examples) // fabric.world_size)
    mine = np.arange(share) * fabric.world_size + fabric.global_rank
    mine = np.minimum(mine, len(examples) - 1)
    parts = []
    for part in np.split(mine, range(batch, share, batch)):
        images = for_evaluation(examples.pixels(part).to(fabric.device), crop)
        with fabric.autocast():
            parts.append(model(images).float())
    logits = torch.cat(parts)
    if fabric.world_size > 1:
        gathered = fabric.all_gather(logits)
        assert isinstance(gathered, torch.Tensor)
        logits = gathered.transpose(0, 1).flatten(0, 1)[: len(examples)]
    return logits.cpu().numpy()
