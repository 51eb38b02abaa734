"""From work and costs to seconds, memory and what is asked of a cluster."""

import math
from dataclasses import dataclass
from functools import cache

from medtransfer.compute.costs import ACTIVATION_PIXELS, CPU, Costs
from medtransfer.compute.work import Work
from medtransfer.models.catalogue import BACKBONES, multiply_adds, parameter_count

MIB = 2**20

Measured = tuple[tuple[str, int, float], ...]
"""Rates of one device: backbone, pixels, images a second."""


@dataclass(frozen=True)
class Request:
    """What a job asks of a cluster."""

    gpus: int
    threads: int
    mem_mb: int
    minutes: int


def seconds(work: Work, costs: Costs, accelerator: str, devices: int = 1, recompute: bool = False) -> float:
    """Expected seconds of training and prediction on so many devices, without start-up.

    On `cuda` those of the GPU that the table names, on `cpu` those of as many threads. With `recompute` activations are
    computed twice.
    """
    trained = work.trained * (costs.recompute.time if recompute else 1)
    images = trained + work.predicted / costs.prediction_speed
    speed = rate(work.backbone, work.crop, costs, CPU if accelerator == CPU else costs.device)
    return images / speed / (devices * costs.scaling if devices > 1 else 1)


def request(
    work: Work,
    costs: Costs,
    accelerator: str,
    devices: int,
    threads: int,
    memory_mb: int,
    attempt: int = 1,
    recompute: bool = False,
) -> Request:
    """What is asked of the cluster for a training job: the expected time with safety, growing with the attempt.

    Args:
        work: What the job amounts to.
        costs: The cost table.
        accelerator: `cpu` or `cuda`.
        devices: GPUs, or CPU processes, of the job.
        threads: CPU threads of the job.
        memory_mb: Memory on a CPU, in MiB, as configured: micro-batches are sized to it. With GPUs it follows from the
            network instead, once for each process.
        attempt: 1, and one more after each failure.
        recompute: Whether activations are computed twice.
    """
    expected = costs.startup.job + costs.safety * seconds(work, costs, accelerator, devices, recompute)
    memory = memory_mb if accelerator == CPU else devices * host_memory_mb(work, costs)
    return Request(
        gpus=0 if accelerator == CPU else devices,
        threads=threads,
        mem_mb=math.ceil(memory * costs.growth.memory ** (attempt - 1)),
        minutes=math.ceil(math.ceil(expected / 60) * costs.growth.minutes ** (attempt - 1)),
    )


def host_memory_mb(work: Work, costs: Costs) -> int:
    """Memory of one training process on the host, in MiB, where a GPU holds the activations."""
    parameters = parameter_count(work.backbone) * costs.memory.host_bytes_per_parameter
    return math.ceil(costs.memory.host_mb + parameters / MIB)


def gpu_memory_mb(work: Work, costs: Costs, parts: int = 1, recompute: bool = False) -> int:
    """Memory of a GPU, in MiB, that training with micro-batches of one image takes in bfloat16.

    Weights, gradients, momentum and the standardised copy of the weights, split into so many parts, and the activations
    of one image.
    """
    memory = costs.memory
    listed = min((each for each in memory.activation_mb if _size(each) >= _size(work.backbone)), key=_size)
    pixels = (work.crop / ACTIVATION_PIXELS) ** 2
    activations = memory.activation_mb[listed] * memory.activation_margin * pixels
    activations *= costs.recompute.memory if recompute else 1
    parameters = parameter_count(work.backbone) * memory.gpu_bytes_per_parameter / MIB / parts
    return math.ceil(memory.gpu_mb + parameters + activations)


def fits(work: Work, costs: Costs, parts: int = 1, recompute: bool = False) -> bool:
    """Whether the GPU that requests are made for holds a part of a network and a micro-batch of one image."""
    available = costs.devices[costs.device].memory_gb
    assert available is not None  # checked where the table is read
    return gpu_memory_mb(work, costs, parts, recompute) <= 1024 * available


def rate(backbone: str, pixels: int, costs: Costs, device: str) -> float:
    """Training images a second of one device.

    A measured rate stands. Any other is scaled by multiply-adds from the same backbone at the largest measured size
    that is not larger, or at the smallest; for a backbone never measured on this device, from the measured one that is
    nearest in multiply-adds. Larger networks and images use a device better, so scaling up errs on the slow side.
    A rate so found never exceeds what was measured of a network and size that are no larger, nor the fastest rate that
    was measured at all, and never falls below the rate found for a larger network. Hence no larger network or image is
    faster, as long as the measured rates do not say so themselves.

    Raises:
        UserError: There is no such backbone.
    """
    return _rate(
        backbone,
        pixels,
        tuple((each.backbone, each.pixels, each.images_per_second) for each in costs.rates if each.device == device),
    )


@cache
def _rate(backbone: str, pixels: int, measured: Measured) -> float:
    for known, size, images_per_second in measured:
        if (known, size) == (backbone, pixels):
            return images_per_second
    larger = [each for each in BACKBONES if _size(each) >= _size(backbone)]
    return max(min(_ceiling(each, pixels, measured), _scaled(each, pixels, measured)) for each in larger)


def _ceiling(backbone: str, pixels: int, measured: Measured) -> float:
    """The slowest rate of networks and sizes that are no larger; the fastest of all where none were measured."""
    no_larger = [found for known, size, found in measured if _size(known) <= _size(backbone) and size <= pixels]
    return min(no_larger, default=max(found for _, _, found in measured))


def _scaled(backbone: str, pixels: int, measured: Measured) -> float:
    nearest = min((known for known, _, _ in measured), key=lambda known: abs(math.log(_size(known) / _size(backbone))))
    rates = {size: found for known, size, found in measured if known == nearest}
    base = max((size for size in rates if size <= pixels), default=min(rates))
    scaled = rates[base] * multiply_adds(nearest, base) / multiply_adds(nearest, pixels)
    slowest = max((found for size, found in rates.items() if size > pixels), default=0.0)
    return max(scaled, slowest) * _size(nearest) / _size(backbone)


@cache
def _size(backbone: str) -> int:
    """What networks are compared by."""
    return multiply_adds(backbone, ACTIVATION_PIXELS)
