"""The configuration of a tier: every key, its meaning, its default, and the checks between keys.

One file in `config/` holds one tier. `load` turns it into a `Config` or raises a single UserError that names file,
key, value and what is allowed. This package is imported while the Snakefile is parsed, hence without torch.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from medtransfer.config.base import Name, Section
from medtransfer.config.data import Cohort, Dataset, Decoding, Resolution, Synthetic, Task
from medtransfer.config.studies import Grid, Metrics, Study
from medtransfer.config.training import Overrides, PretrainedHere, Recipe, Released, Training
from medtransfer.datasets import known_datasets
from medtransfer.errors import UserError
from medtransfer.models.catalogue import BACKBONES

__all__ = [
    "NO_UPSTREAM",
    "Cohort",
    "Config",
    "Dataset",
    "Grid",
    "Overrides",
    "PretrainedHere",
    "Recipe",
    "Released",
    "Resolution",
    "Study",
    "Task",
    "load",
    "schema",
]

NO_UPSTREAM = "none"


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
    datasets: dict[Name, Dataset] = {}
    """How single datasets are read, where not as usual; also names for image folders of one's own."""
    cohorts: dict[Name, Cohort] = {}
    """Cohorts made of parts of datasets, or of several, by name."""
    exclude: list[str] = []
    """Tables (CSV: dataset, image_id, reason) of images that are not used. The check for duplicates writes such."""
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
        datasets = [*known_datasets(), *(name for name, dataset in self.datasets.items() if dataset.reader)]
        cohorts = [*datasets, *self.cohorts]
        problems = _unknown("synthetic", self.synthetic, known_datasets(), "dataset")
        problems += _unknown("datasets", self.datasets, datasets, "dataset (one of your own names its `reader`)")
        for name, dataset in self.datasets.items():
            problems += _unknown(f"datasets.{name}.reader", [dataset.reader or name], known_datasets(), "reader")
        for name, cohort in self.cohorts.items():
            problems += _unknown(f"cohorts.{name}.of", cohort.of, datasets, "dataset")
            if name in datasets:
                problems.append(f"cohorts.{name}: this is the name of a dataset already")
        if NO_UPSTREAM in self.upstreams:
            problems.append(f"upstreams.{NO_UPSTREAM}: this name stands for random weights and cannot be defined")
        for name, task in self.tasks.items():
            problems += _unknown(f"tasks.{name}.id_cohort", [task.id_cohort], cohorts, "dataset or cohort")
            problems += _unknown(f"tasks.{name}.ood_cohorts", task.ood_cohorts, cohorts, "dataset or cohort")
            if task.id_cohort in task.ood_cohorts:
                problems.append(f"tasks.{name}.ood_cohorts: {task.id_cohort!r} is the in-distribution cohort already")
        for name, upstream in self.upstreams.items():
            if isinstance(upstream, PretrainedHere):
                problems += _unknown(f"upstreams.{name}.dataset", [upstream.dataset], datasets, "dataset")
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

    def sources(self, cohort: str) -> list[str]:
        """The datasets that a cohort is made of: those that its definition names, or the dataset of its name."""
        return self.cohorts[cohort].of if cohort in self.cohorts else [cohort]

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
