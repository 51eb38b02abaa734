"""The sections on networks: where their weights come from and how they are trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

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
    url: Annotated[str, Field(pattern=r"^https?://.*\{name\}")] | None = None
    """Address of the files; {name} is the file's name. null where `acquire` cannot fetch them."""
    images: Count
    """Images they were trained on."""
    epochs: Positive
    """How often each was seen."""
    crop: Count
    """Their side in pixels as the network saw them."""


class Finetuned(Section):
    """An upstream whose weights, classifier included, are those of this workflow's own fine-tunings on another task."""

    source: Literal["finetuned"]
    """`finetuned`: by the rule, with all patients; each seed goes on from the run of the same seed."""
    task: Name
    """The task they were fine-tuned on; its labels are those of the task to come."""
    upstream: Name
    """What they had been pre-trained on."""


class Overrides(Section):
    """Deviations from the BiT-HyperRule, each named; null keeps the rule."""

    steps: Count | None = None
    """Optimiser steps; the learning-rate schedule is stretched to them."""
    stretch: Positive | None = None
    """Factor by which the schedule is longer."""
    batch: Count | None = None
    """Images per step (rule: 512)."""
    learning_rate: Positive | None = None
    """Base learning rate (rule: 0.003)."""
    mixup: Annotated[float, Field(ge=0)] | None = None
    """Alpha of mixup's Beta distribution, 0 for none (rule: 0.1 from 20,000 images on)."""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """Weight decay (rule: 0)."""


class Recipe(Section):
    """How a run is fine-tuned."""

    hyperrule: Literal["code", "paper"] = "code"
    """The BiT-HyperRule as the released code has it, or as the paper describes it."""
    overrides: Overrides = Overrides()
    """Named deviations from the rule."""


class Search(Section):
    """Random search: trials that deviate from the recipe by values drawn from these, after BiT's heavy search
    (Kolesnikov et al. 2020, section 3.3)."""

    trials: Count
    """Number of trials, named `trial0`, `trial1`, ..."""
    learning_rate: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [0.0001, 0.1]
    """Ends of a log-uniform distribution."""
    stretch: Annotated[list[Positive], Field(min_length=1)] = [1.0]
    """Factors of the schedule's length."""
    weight_decay: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [1e-6, 0.1]
    """Ends of a log-uniform distribution."""
    mixup: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] = [0.0, 0.05, 0.1, 0.2, 0.4]
    """Alphas to choose from."""
    seed: int = 0
    """Seed of the draws."""


class Tracking(Section):
    """What is recorded of a network while it is fine-tuned, on in-distribution validation images, one per patient."""

    images: Count = 1000
    """At most so many are predicted at each look."""
    looks: Count = 10
    """Looks after the one at the start; early ones are closer together."""
    similarity_images: Annotated[int, Field(ge=4)] = 128
    """At most so many are compared with one another, in each block, before and after fine-tuning."""


class Training(Section):
    """Where and how exactly training computes."""

    accelerator: Literal["cpu", "cuda"] = "cpu"
    """What networks are trained on."""
    devices: Count = 1
    """GPUs (or CPU processes) of one run."""
    devices_of: dict[str, Count] = {}
    """Backbones that take more of them, or fewer."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Number format of training; bf16 where the GPU has it."""
    shard: bool = False
    """Split weights, gradients and momentum over the GPUs of a run, for networks that one GPU cannot hold."""
    recompute: bool = False
    """Compute activations twice instead of keeping them: a third more time, less than half the memory."""
    threads: Count = 1
    """CPU threads of one training job. On few cores one is fastest: two jobs of one thread outrun one of two."""
    memory_mb: Count = 3000
    """Memory of one training job on a CPU, which micro-batches are sized to. With a GPU the cost table knows it."""
    longest_minutes: Count = 1440
    """No training job asks for more time; what takes longer goes on from its checkpoint in the next attempt."""
    retries: Annotated[int, Field(ge=0)] = 3
    """How often a training job that ended badly is tried again; a long one once more for each of its pieces."""
    batch_minutes: Annotated[float, Field(ge=0)] = 20.0
    """Runs that take less are put together into jobs of about so long; 0 gives every run a job of its own."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0
    """Least number of seconds between resume checkpoints, which are rarer where saving takes long; 0 saves after each
    step."""
    local_disk: str | None = None
    """Folder on a disk of the machine that trains, such as $TMPDIR, to copy image stores to; null reads them where they
    lie."""

    @model_validator(mode="after")
    def sharding_has_a_number_format(self) -> "Training":
        if self.shard and self.precision == "16-mixed":
            raise ValueError("`shard` does not work with precision 16-mixed; choose bf16-mixed or 32-true")
        return self
