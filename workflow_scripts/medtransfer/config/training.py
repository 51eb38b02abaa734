"""The sections on networks: where their weights come from and how they are trained."""

from typing import Annotated, Literal

from pydantic import Field

from medtransfer.config.base import Count, Name, Positive, Section
from medtransfer.config.data import Resolution


class PretrainedHere(Section):
    """An upstream that this workflow trains itself, by supervised classification."""

    source: Literal["pretrain"]
    """`pretrain`: made by this workflow."""
    dataset: Name
    """Dataset with a `class_name` column."""
    classes: Count | None = None
    """Only the first so many classes in alphabetical order; null takes all."""
    per_class: Count | None = None
    """Only so many training images of each class; null takes all."""
    resolution: Resolution
    """Sizes of its images."""
    steps: Count
    """Optimiser steps."""
    batch: Count
    """Images per step."""
    learning_rate: Positive = 0.03
    """Base learning rate, multiplied by batch / 256 as BiT's upstream training does."""
    flip: bool = True
    """Mirror training images left to right."""


class Released(Section):
    """An upstream whose published weights lie in a file for each backbone."""

    source: Literal["released"]
    """`released`: published by others."""
    weights: dict[str, str]
    """For each backbone the path of its .npz (Google's BiT layout) or .safetensors (timm's names)."""
    home: str
    """Where those files are published."""


class Overrides(Section):
    """Deviations from the BiT-HyperRule, each named; null keeps the rule."""

    steps: Count | None = None
    """Optimiser steps; the learning-rate schedule is stretched to them."""
    batch: Count | None = None
    """Images per step (rule: 512)."""
    learning_rate: Positive | None = None
    """Base learning rate (rule: 0.003)."""
    mixup: Annotated[float, Field(ge=0)] | None = None
    """Alpha of mixup's Beta distribution, 0 for none (rule: 0.1 from 20,000 images on)."""


class Recipe(Section):
    """How a run is fine-tuned."""

    hyperrule: Literal["code", "paper"] = "code"
    """The BiT-HyperRule as the released code has it, or as the paper describes it."""
    overrides: Overrides = Overrides()
    """Named deviations from the rule."""


class Training(Section):
    """Where and how exactly training computes."""

    accelerator: Literal["cpu", "cuda"] = "cpu"
    """What networks are trained on."""
    devices: Count = 1
    """GPUs (or CPU processes) of one run."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Number format of training; bf16 where the GPU has it."""
    threads: Count = 1
    """CPU threads of one training job. On few cores one is fastest: two jobs of one thread outrun one of two."""
    memory_mb: Count = 3000
    """Memory of one training job, also what micro-batches are sized to on a CPU."""
    runtime: Count = 60
    """Minutes a training job may take on a cluster."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0
    """Seconds between resume checkpoints; 0 writes one after each step."""
