"""The configuration of a tier: every key, its meaning, its default, and the checks between keys.

One file in `config/` holds one tier. `load` turns it into a `Config` or raises a single UserError that names file,
key, value and what is allowed. This module is imported while the Snakefile is parsed, hence without torch.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medtransfer.datasets import known_datasets
from medtransfer.errors import UserError
from medtransfer.models.catalogue import BACKBONES

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Fraction = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
UncertainPolicy = Literal["ignore", "zeros", "ones"]
MetricName = Literal["auc", "average_precision", "accuracy", "balanced_accuracy"]

NO_UPSTREAM = "none"


class Section(BaseModel):
    """A part of the configuration: unknown keys and wrong types are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class Synthetic(Section):
    """How much of a dataset is drawn instead of being read from its publisher's files."""

    patients: Count
    """Patients to draw (for `scenes`: images per class)."""
    size: Annotated[int, Field(ge=32)]
    """Longer side of the drawn images, in pixels."""
    seed: int = 0
    """Seed of everything that is drawn."""


class Resolution(Section):
    """Square sizes in pixels: what the store holds, and what a network sees."""

    resize: Annotated[int, Field(ge=8)]
    """Images are stored at this size, the aspect ratio ignored."""
    crop: Annotated[int, Field(ge=8)]
    """Training crops this much at random; evaluation resizes straight to it."""

    @model_validator(mode="after")
    def crop_fits(self) -> "Resolution":
        if self.crop > self.resize:
            raise ValueError(f"a crop of {self.crop} does not fit images of {self.resize} pixels")
        return self


class Task(Section):
    """What is predicted, on which cohorts."""

    title: str
    """Name in figures and tables."""
    kind: Literal["multilabel", "multiclass"]
    """`multilabel`: a binary cross-entropy per label; `multiclass`: one softmax."""
    labels: Annotated[list[str], Field(min_length=1)]
    """Label columns of the cohorts, in the order of the network's outputs."""
    id_cohort: Name
    """Dataset that is trained on; its validation and test splits are in-distribution."""
    ood_cohorts: list[Name] = []
    """Datasets whose test splits are predicted without retraining."""
    primary_metric: MetricName = "auc"
    """The metric of figures and claims, averaged over labels."""
    views: list[str] | None = None
    """Keep these views only (rows that state none are kept); null keeps all."""
    uncertain: UncertainPolicy = "ignore"
    """Training targets of labels that the dataset calls uncertain: left out of the loss, negative or positive."""
    uncertain_overrides: dict[str, UncertainPolicy] = {}
    """Labels with an uncertainty policy of their own."""
    blank: Literal["ignore", "zeros"] = "ignore"
    """Training targets of labels that are not mentioned: left out of the loss, or negative."""
    flip: bool = False
    """Mirror training images left to right. Off where a side matters: the heart's, for one."""
    resolution: Resolution | None = None
    """Image sizes; null takes the HyperRule's."""
    subgroups: dict[str, list[float] | None] = {}
    """Cohort columns to report by: null for their own categories, or the bin edges of a number."""

    @model_validator(mode="after")
    def labels_agree(self) -> "Task":
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"a label occurs twice in {self.labels}")
        if self.kind == "multiclass" and len(self.labels) < 2:
            raise ValueError("a multiclass task needs at least two labels")
        if strangers := set(self.uncertain_overrides) - set(self.labels):
            raise ValueError(f"uncertain_overrides names {sorted(strangers)}, which are not among the labels")
        return self


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


class Decoding(Section):
    """How image stores are built."""

    threads: Count = 2
    """Decoding processes of one store."""
    allow_partial: bool = False
    """Whether a dataset may lack files that its tables list. They are reported in either case."""


class Metrics(Section):
    """How metrics and their intervals are computed."""

    replicates: Annotated[int, Field(ge=100)] = 1000
    """Bootstrap replicates."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Coverage of the intervals."""
    min_group: Count = 20
    """Sub-groups of fewer images are listed with their size, their metrics suppressed."""
    seed: int = 0
    """Seed of the bootstrap."""


class Grid(Section):
    """All combinations of these are runs of a study."""

    tasks: Annotated[list[Name], Field(min_length=1)]
    """Names from `tasks`."""
    backbones: Annotated[list[str], Field(min_length=1)]
    """Names of the catalogue in `medtransfer/models/catalogue.py`."""
    upstreams: Annotated[list[Name], Field(min_length=1)]
    """Names from `upstreams`, or `none` for random weights."""
    initialisations: Annotated[list[Literal["pretrained"]], Field(min_length=1)] = ["pretrained"]
    """How weights start from the upstream; `none` always means `random`."""
    fractions: Annotated[list[Fraction], Field(min_length=1)] = [1.0]
    """Shares of the training patients."""
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    """Each seed chooses patients, order, crops and, without an upstream, the first weights."""


class Study(Section):
    """A set of runs with the roles that its claims speak of."""

    grids: Annotated[list[Grid], Field(min_length=1)]
    """The study's runs are all that these grids ask for."""
    roles: dict[Literal["small", "large", "none", "narrow", "broad"], str]
    """Which backbones are `small` and `large`, which upstreams `none`, `narrow` and `broad`, in `claims.yaml`."""


class Config(Section):
    """One tier of the workflow."""

    tier: Name
    """Name of the tier; its results lie in results/<tier>/."""
    note: str = ""
    """Shown with every figure, table and verdict: what this tier's numbers cannot tell."""
    raw_root: str = "raw"
    """Folder that holds one folder of raw files for each dataset that is not synthetic."""
    synthetic: dict[Name, Synthetic] = {}
    """Datasets that are drawn instead of read."""
    decoding: Decoding = Decoding()
    """How raw images become image stores."""
    tasks: Annotated[dict[Name, Task], Field(min_length=1)]
    """What can be predicted, by name."""
    upstreams: dict[Name, Annotated[PretrainedHere | Released, Field(discriminator="source")]] = {}
    """What networks can be pre-trained on, by name."""
    recipe: Recipe = Recipe()
    """The HyperRule and the deviations from it."""
    training: Training = Training()
    """Devices, number format, threads and memory of training."""
    metrics: Metrics = Metrics()
    """How predictions are measured."""
    studies: Annotated[dict[Name, Study], Field(min_length=1)]
    """The studies and their runs, by name."""

    @model_validator(mode="after")
    def references_exist(self) -> "Config":
        upstreams = [NO_UPSTREAM, *self.upstreams]
        problems = _unknown("synthetic", self.synthetic, known_datasets(), "dataset")
        if NO_UPSTREAM in self.upstreams:
            problems.append(f"upstreams.{NO_UPSTREAM}: this name stands for random weights and cannot be defined")
        for name, task in self.tasks.items():
            problems += _unknown(f"tasks.{name}.id_cohort", [task.id_cohort], known_datasets(), "dataset")
            problems += _unknown(f"tasks.{name}.ood_cohorts", task.ood_cohorts, known_datasets(), "dataset")
            if task.id_cohort in task.ood_cohorts:
                problems.append(f"tasks.{name}.ood_cohorts: {task.id_cohort!r} is the in-distribution cohort already")
        for name, upstream in self.upstreams.items():
            if isinstance(upstream, PretrainedHere):
                problems += _unknown(f"upstreams.{name}.dataset", [upstream.dataset], known_datasets(), "dataset")
            else:
                problems += _unknown(f"upstreams.{name}.weights", upstream.weights, BACKBONES, "backbone")
        for name, study in self.studies.items():
            for number, grid in enumerate(study.grids):
                where = f"studies.{name}.grids.{number}"
                problems += _unknown(f"{where}.tasks", grid.tasks, self.tasks, "task")
                problems += _unknown(f"{where}.backbones", grid.backbones, BACKBONES, "backbone")
                problems += _unknown(f"{where}.upstreams", grid.upstreams, upstreams, "upstream")
                problems += self._lacking_weights(f"{where}.upstreams", grid)
            for role, value in study.roles.items():
                known: Iterable[str] = BACKBONES if role in ("small", "large") else upstreams
                kind = "backbone" if role in ("small", "large") else "upstream"
                problems += _unknown(f"studies.{name}.roles.{role}", [value], known, kind)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _lacking_weights(self, where: str, grid: Grid) -> list[str]:
        released = {name: self.upstreams[name] for name in grid.upstreams if name in self.upstreams}
        return [
            f"{where}: {name!r} has no weights for backbone {backbone!r}; it has: {', '.join(upstream.weights)}"
            for name, upstream in released.items()
            if isinstance(upstream, Released)
            for backbone in grid.backbones
            if backbone not in upstream.weights
        ]


def _unknown(key: str, values: Iterable[str], known: Iterable[str], kind: str) -> list[str]:
    allowed = list(known)
    return [
        f"{key}: {value!r} is not a known {kind}; allowed: {', '.join(allowed)}"
        for value in values
        if value not in allowed
    ]


def load(content: dict[str, Any], source: str) -> Config:
    """Check a configuration.

    Args:
        content: What the YAML file and `--config` hold together.
        source: The file's name, for messages.

    Raises:
        UserError: With one line for each problem: file, key, value, what is allowed.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        lines = [line for problem in error.errors() for line in _explain(dict(problem))]
        raise UserError(
            "\n".join(["The configuration cannot be used:", *(f"  {source}: {x}" for x in lines)])
        ) from None


def _explain(problem: dict[str, Any]) -> list[str]:
    key, value = ".".join(str(part) for part in problem["loc"]), problem["input"]
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return [f"{key}: no such key (config/schema.json lists the keys)"]
    if problem["type"] == "missing":
        return [f"{key}: this key is required"]
    if problem["type"] == "float_type" and isinstance(value, str) and _is_number(value):
        return [f"{key}: {value!r} is text to YAML; write a number such as 0.003 or 3.0e-3"]
    if not key:
        return message.split("\n")
    if problem["type"] == "value_error":
        return [f"{key}: {message}"]
    return [f"{key}: {value!r} is not allowed; {message[0].lower()}{message[1:]}"]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def schema() -> dict[str, Any]:
    """The JSON schema of a tier's configuration, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
