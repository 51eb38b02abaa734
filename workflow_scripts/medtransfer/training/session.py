"""One training job: devices, micro-batches, and the record of where its numbers came from."""

import hashlib
import json
import os
import resource
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import ModelParallelStrategy
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from medtransfer.machine import processor
from medtransfer.representation.activations import units

PACKAGES = ("torch", "timm", "lightning-fabric", "numpy", "pandas")
MIB = 2**20
ACTIVATION_SHARE = 0.6
"""Share of the memory that activations may take; weights, gradients and the allocator's slack need the rest."""


def open_fabric(
    accelerator: str, devices: int, precision: str, threads: int, visible: Sequence[str] = (), shard: bool = False
) -> Fabric:
    """Devices and precision of a job, deterministic, with a thread count that the scheduler knows of.

    `visible` are the ids of the GPUs that this job may use; none named leaves that as it is. With `shard` several
    devices share one network, each holding a part of every weight, instead of holding it whole each.
    """
    if visible:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(accelerator == "cpu")
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        strategy=_strategy(devices, shard),
        # Under SLURM, too, a job is one task, which starts the processes of its devices itself.
        plugins=[LightningEnvironment()] if devices > 1 else None,
        precision=precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def _strategy(devices: int, shard: bool) -> str | ModelParallelStrategy:
    if devices == 1:
        return "auto"
    return ModelParallelStrategy(_split, data_parallel_size=devices, tensor_parallel_size=1) if shard else "ddp"


def is_sharded(fabric: Fabric) -> bool:
    """Whether networks are split over the processes, which then have to make every call to one together."""
    return isinstance(fabric.strategy, ModelParallelStrategy)


def place(model: torch.nn.Module, fabric: Fabric) -> None:
    """Bring a network to the fabric's device, in place: whole, or each process its part."""
    if isinstance(fabric.strategy, ModelParallelStrategy):
        _split(model, fabric.strategy.device_mesh)
    else:
        model.to(fabric.device)


def _split(model: torch.nn.Module, mesh: DeviceMesh) -> torch.nn.Module:
    """Split weights, and with them gradients and momentum, over processes (FSDP2), unless that was done before.

    The weights of a unit are put together while it computes and at no other time.
    """
    if isinstance(model, FSDPModule):
        return model
    processes = mesh["data_parallel"]
    for _, unit in units(model):
        fully_shard(unit, mesh=processes)
    fully_shard(model, mesh=processes, reshard_after_forward=True)
    # It is about logits that are changed in place, which nothing here does.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor", UserWarning)
    # The first call makes the network the root of its units, which no unit that is called alone may become, and
    # allocates tensors, which must be fit for training and are not if that happens in inference mode.
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32, device=mesh.device_type))
    return model


def activation_budget(fabric: Fabric, memory_mb: int) -> int:
    """Bytes that the activations of a micro-batch may take, the same in every process.

    On a GPU a share of what is free there; on a CPU a share of what the job has asked for, so that the same request
    gives the same micro-batches.
    """
    free = torch.cuda.mem_get_info(fabric.device)[0] if fabric.device.type == "cuda" else memory_mb * MIB
    (least,) = over_processes("min", [free], fabric)
    return int(least * ACTIVATION_SHARE)


def over_processes(extreme: Literal["min", "max"], numbers: list[int], fabric: Fabric) -> list[int]:
    """The smallest or the largest that each of some numbers is in any process; all have to ask."""
    found = fabric.all_reduce(torch.tensor(numbers, device=fabric.device), reduce_op=extreme)
    assert isinstance(found, torch.Tensor)
    return [int(number) for number in found]


def digest(content: Any) -> str:
    """SHA-256 of plain Python content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def device_name(fabric: Fabric) -> str:
    """What the device calls itself."""
    return torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else "cpu"


def peak_memory(device: torch.device) -> dict[str, int | None]:
    """Most memory that this process has had at once, on the host and on its GPU, in MiB."""
    # Linux counts the resident set in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // MIB,
        "peak_gpu_memory_mb": torch.cuda.max_memory_allocated(device) // MIB if device.type == "cuda" else None,
    }


def environment(fabric: Fabric) -> dict[str, Any]:
    """Where this job runs: machine, device, package versions; and its peak memory."""
    cuda = fabric.device.type == "cuda"
    return {
        "processor": processor(),
        "device": device_name(fabric),
        "gpu_memory_mb": torch.cuda.get_device_properties(fabric.device).total_memory // MIB if cuda else None,
        "devices": fabric.world_size,
        "threads": torch.get_num_threads(),
        "node": socket.gethostname(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "packages": {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}},
        **peak_memory(fabric.device),
    }


class Stopwatch:
    """Seconds since the last look."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def lap(self) -> float:
        """Seconds since the stopwatch was made or last asked."""
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        return seconds
