"""The cost table, `config/costs.yaml`: measured rates of devices, and what else an estimate of a job needs."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from medtransfer.config.base import Count, Fraction, Name, Positive, Section
from medtransfer.errors import UserError
from medtransfer.models.catalogue import BACKBONES, multiply_adds

CPU = "cpu"
"""The device of training without a GPU: one thread."""
ACTIVATION_PIXELS = 224
"""Side of the images that `activation_mb` speaks of."""

Factor = Annotated[float, Field(ge=1)]


class Finite(Section):
    """A part of the table: no number in it is infinite or not a number."""

    model_config = ConfigDict(allow_inf_nan=False)


class Device(Finite):
    """What networks are trained on."""

    title: str
    """Its name as torch reports it."""
    memory_gb: Positive | None
    """Memory of its own, in GiB; null for a CPU, which has what the job asks for."""


class Rate(Finite):
    """How fast a device was seen to train a network."""

    device: Name
    """A name from `devices`."""
    backbone: str
    """A name of the catalogue in `medtransfer/models/catalogue.py`."""
    pixels: Annotated[int, Field(ge=8)]
    """Side of the training crops."""
    images_per_second: Positive
    """Training images a second, forward and backward, on one device."""
    source: str
    """Where it was measured or published."""


class Memory(Finite):
    """What a training job on a GPU needs to hold."""

    host_mb: Count
    """Memory of a process before its network, in MiB."""
    host_bytes_per_parameter: Count
    """On the host, for each parameter."""
    gpu_mb: Count
    """Memory that a process takes of a GPU before its network, in MiB."""
    gpu_bytes_per_parameter: Count
    """On the GPU, for each parameter."""
    activation_mb: dict[str, Positive]
    """Activations of one training image of 224 pixels in bfloat16, in MiB, by backbone. One that is not listed takes at
    most what the next larger one takes."""
    activation_margin: Factor
    """By how much more the activations really take."""


class Growth(Finite):
    """What a job that failed asks for, relative to the attempt before."""

    minutes: Factor
    """Time."""
    memory: Factor
    """Memory."""


class Recompute(Finite):
    """What computing activations twice, instead of keeping them, amounts to."""

    time: Factor
    """Of training, relative to without."""
    memory: Fraction
    """Of activations, relative to without."""


class Startup(Finite):
    """Seconds before anything is trained."""

    job: Positive
    """Of a job on the cluster."""
    run: Positive
    """Of each further run in a batch of runs."""


class Images(Finite):
    """How many images a cohort has, where nothing has been read yet."""

    train: Fraction
    """Share of a dataset's images in its training split."""
    val: Fraction
    """Share in its validation split."""
    test: Fraction
    """Share in its test split."""
    per_drawn_patient: Count
    """Images of a drawn patient."""
    unknown: Count
    """Images of a dataset whose card states no number."""


class Decoding(Finite):
    """Images a second that one process decodes for a store."""

    jpeg: Positive
    """Of JPEG files."""
    dicom: Positive
    """Of DICOM films."""


class Duplicates(Finite):
    """What looking for duplicated images takes."""

    candidates: Fraction
    """Share of all pairs of images whose pixels have to be compared."""
    pairs_per_second: Positive
    """Pairs that one core compares."""


class Costs(Finite):
    """All that estimates of time, memory and disk rest on."""

    device: Name
    """The GPU that requests are made for, from `devices`."""
    devices: dict[Name, Device]
    """What rates are known of; `cpu` is one thread of a CPU."""
    rates: list[Rate]
    """Measured training rates; those not listed are scaled from them (`medtransfer/compute/estimate.py`)."""
    prediction_speed: Factor
    """Predicted images a second, relative to training."""
    scaling: Fraction
    """Share of their joint speed that several devices of one run reach."""
    memory: Memory
    """What a training job on a GPU needs to hold."""
    safety: Factor
    """Time that is asked for, relative to what is expected."""
    growth: Growth
    """What a job that failed asks for."""
    recompute: Recompute
    """What training.recompute changes."""
    startup: Startup
    """Seconds before anything is trained."""
    images: Images
    """How many images a cohort has."""
    decoding: Decoding
    """Images a second that one process decodes."""
    duplicates: Duplicates
    """The search for duplicates."""
    metrics_seconds: Positive
    """CPU seconds of the metrics of one run ..."""
    metrics_images: Count
    """... that predicted so many images."""
    store_bytes_per_pixel: Count
    """Bytes of an image store for each pixel."""
    prediction_bytes_per_image: Count
    """Bytes that a run writes for each predicted image."""

    @model_validator(mode="after")
    def references_exist(self) -> "Costs":
        if problems := [*self._device_problems(), *self._rate_problems(), *self._backbone_problems()]:
            raise ValueError("\n".join(problems))
        return self

    def _device_problems(self) -> list[str]:
        known, problems = ", ".join(self.devices), []
        if self.device not in self.devices:
            problems.append(f"device: {self.device!r} is not among devices: {known}")
        elif self.devices[self.device].memory_gb is None:
            problems.append(f"devices.{self.device}.memory_gb: a number is needed, since `device` names it as the GPU")
        if CPU not in self.devices:
            problems.append(f"devices: {CPU!r} is missing; there are: {known}")
        measured = {rate.device for rate in self.rates}
        problems += [
            f"devices.{name}: rates has no entry of it; at least one is needed"
            for name in self.devices
            if name not in measured
        ]
        return problems

    def _rate_problems(self) -> list[str]:
        seen, problems = set(), []
        for number, rate in enumerate(self.rates):
            if rate.device not in self.devices:
                there = ", ".join(self.devices)
                problems.append(f"rates.{number}.device: {rate.device!r} is not among devices: {there}")
            key = (rate.device, rate.backbone, rate.pixels)
            if key in seen:
                problems.append(f"rates.{number}: {rate.device}, {rate.backbone}, {rate.pixels} pixels occurs twice")
            seen.add(key)
        return problems

    def _backbone_problems(self) -> list[str]:
        named = [(f"rates.{number}.backbone", rate.backbone) for number, rate in enumerate(self.rates)]
        named += [("memory.activation_mb", backbone) for backbone in self.memory.activation_mb]
        problems = [
            f"{key}: there is no backbone {backbone!r}; there are: {', '.join(BACKBONES)}"
            for key, backbone in named
            if backbone not in BACKBONES
        ]
        largest = max(BACKBONES, key=lambda backbone: multiply_adds(backbone, ACTIVATION_PIXELS))
        if largest not in self.memory.activation_mb:
            problems.append(f"memory.activation_mb: {largest} is missing, which bounds those that are not listed")
        return problems


def load_costs(path: Path) -> Costs:
    """Read a cost table. Raises UserError, naming file and keys, for one that is not in order."""
    try:
        return Costs.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"The cost table {path} cannot be read: {error}") from error
    except ValidationError as error:
        lines = [line for problem in error.errors() for line in _explain(problem["loc"], problem["msg"])]
        raise UserError(
            "\n".join([f"The cost table {path} is not in order:", *(f"  {line}" for line in lines)])
        ) from None


def _explain(where: tuple[int | str, ...], message: str) -> list[str]:
    if not where:
        return message.removeprefix("Value error, ").split("\n")
    return [f"{'.'.join(map(str, where))}: {message}"]
