"""The configuration of a tier: every key, its meaning, its default, and the checks between keys.

One file in `config/` holds one tier. `load` turns it into a `Config` or raises a single UserError that names file,
key, value and what is allowed. This package is imported while the Snakefile is parsed, hence without torch.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from medtransfer.config.base import Name, Section
from medtransfer.config.data import Cohort, Dataset, Decoding, Resolution, Synthetic, Task
from medtransfer.config.names import NO_UPSTREAM, RULE, TRIALS
from medtransfer.config.references import problems
from medtransfer.config.review import Audit
from medtransfer.config.studies import Grid, Metrics, Study
from medtransfer.config.training import (
    Finetuned,
    Overrides,
    PretrainedHere,
    Recipe,
    Released,
    Search,
    Tracking,
    Training,
)
from medtransfer.errors import UserError

__all__ = [
    "NO_UPSTREAM",
    "RULE",
    "TRIALS",
    "Cohort",
    "Config",
    "Dataset",
    "Finetuned",
    "Grid",
    "Overrides",
    "PretrainedHere",
    "Recipe",
    "Released",
    "Resolution",
    "Search",
    "Study",
    "Task",
    "Tracking",
    "load",
    "schema",
]


class Config(Section):
    """One tier of the workflow."""

    tier: Name
    """Name of the tier; its results lie in results/<tier>/."""
    results: Literal["fresh", "frozen"] = "fresh"
    """What figures, tables and claims are made from: runs made here, or those kept in figures/frozen/<tier>/."""
    folder: str | None = None
    """Where results go; null means results/<tier>, from frozen results results/<tier>-frozen."""
    freeze_derived: bool = False
    """Whether `freeze` also keeps the tables that can be computed from predictions: many times as large, but at once
    there for a tier whose predictions take hours to measure."""
    audit: Audit = Audit()
    """What `audit` draws."""
    of: str | None = None
    """What `explain` is asked about: a run, a claim, or a row of a figure or table."""
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
    upstreams: dict[Name, Annotated[PretrainedHere | Released | Finetuned, Field(discriminator="source")]] = {}
    """What networks can be pre-trained on, by name."""
    recipe: Recipe = Recipe()
    """The HyperRule and the deviations from it: the recipe `rule`."""
    recipes: dict[Name, Overrides] = {}
    """Other recipes, by name: what they do otherwise than `recipe`."""
    search: Search | None = None
    """Trials of a random search, named in grids as `trials`."""
    tracking: Tracking = Tracking()
    """What is recorded of a network while it is fine-tuned."""
    training: Training = Training()
    """Devices, number format, threads, memory and jobs of training."""
    costs: str = "config/costs.yaml"
    """The table of what work costs, from which jobs ask for time and memory."""
    metrics: Metrics = Metrics()
    """How predictions are measured."""
    studies: Annotated[dict[Name, Study], Field(min_length=1)]
    """The studies and their runs, by name."""

    @model_validator(mode="after")
    def references_exist(self) -> "Config":
        if found := problems(self):
            raise ValueError("\n".join(found))
        return self

    @property
    def trials(self) -> int:
        """How many trials the random search has."""
        return self.search.trials if self.search else 0

    def sources(self, cohort: str) -> list[str]:
        """The datasets that a cohort is made of: those that its definition names, or the dataset of its name."""
        return self.cohorts[cohort].of if cohort in self.cohorts else [cohort]


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
