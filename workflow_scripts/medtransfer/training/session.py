"""One training job: devices, micro-batches, and the record of where its numbers came from."""

import hashlib
import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

PACKAGES = ("torch", "timm", "lightning-fabric", "numpy", "pandas")
MIB = 2**20
ACTIVATION_SHARE = 0.6
"""Share of the memory that activations may take; weights, gradients and the allocator's slack need the rest."""


def open_fabric(accelerator: str, devices: int, precision: str, threads: int) -> Fabric:
    """Devices and precision of a job, deterministic, with a thread count that the scheduler knows of."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(accelerator == "cpu")
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        precision=precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def activation_budget(fabric: Fabric, memory_mb: int) -> int:
    """Bytes that the activations of a micro-batch may take.

    On a GPU a share of what is free there; on a CPU a share of what the job has asked for, so that the same request
    gives the same micro-batches.
    """
    free = torch.cuda.mem_get_info(fabric.device)[0] if fabric.device.type == "cuda" else memory_mb * MIB
    return int(free * ACTIVATION_SHARE)


def digest(content: Any) -> str:
    """SHA-256 of plain Python content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def environment(fabric: Fabric) -> dict[str, Any]:
    """Device, precision, package versions and peak memory of this job."""
    cuda = fabric.device.type == "cuda"
    # Linux counts the resident set in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "device": torch.cuda.get_device_name(fabric.device) if cuda else "cpu",
        "devices": fabric.world_size,
        "threads": torch.get_num_threads(),
        "packages": {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // MIB,
        "peak_gpu_memory_mb": torch.cuda.max_memory_allocated(fabric.device) // MIB if cuda else None,
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
