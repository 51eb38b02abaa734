"""The sections on studies: their runs and how those are measured."""

from typing import Annotated, Literal

from pydantic import Field

from medtransfer.config.base import Count, Fraction, Name, Section

Arm = Literal["scale", "efficiency", "adaptation", "schedule", "depth", "search", "sensitivity"]


class Metrics(Section):
    """How metrics and their intervals are computed."""

    replicates: Annotated[int, Field(ge=100)] = 1000
    """Bootstrap replicates."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Coverage of the intervals."""
    min_group: Count = 20
    """Sub-groups of fewer images are listed with their size, their metrics suppressed."""
    operating_point: Literal["youden"] | Fraction = "youden"
    """Where decisions are taken, chosen on in-distribution validation images for each label: at the largest Youden's J,
    or at the threshold that reaches this sensitivity."""
    bins: Annotated[int, Field(ge=2)] = 15
    """Bins of equal numbers of images for calibration errors and reliability diagrams."""
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
    initialisations: Annotated[list[Name], Field(min_length=1)] = ["pretrained"]
    """What is taken over from the upstream, by names of `medtransfer/models/initialisations.py`: all weights, or those
    of the first blocks (`prefix2`: stem and first stage), the rest random; `none` always means `random`."""
    recipes: Annotated[list[Name], Field(min_length=1)] = ["rule"]
    """How the runs are trained: `rule`, names from `recipes`, or `trials` for all trials of `search`."""
    fractions: Annotated[list[Fraction], Field(min_length=1)] = [1.0]
    """Shares of the training patients."""
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    """Each seed chooses patients, order, crops and, without an upstream, the first weights."""


class Study(Section):
    """A set of runs with the roles that its claims speak of."""

    arms: dict[Arm, Annotated[list[Grid], Field(min_length=1)]]
    """What the runs are for; a run may belong to several arms. `scale`: networks by upstreams. `efficiency`: those with
    fewer patients. `adaptation`: networks that know the task from another hospital. `schedule`: longer training.
    `depth`: parts of the upstream's weights. `search`: random search beside the rule. `sensitivity`: the task's
    decisions taken otherwise."""
    variants: dict[Name, list[Name]] = {}
    """For each task those in which a decision is taken otherwise (arm `sensitivity`)."""
    roles: dict[Literal["small", "large", "none", "narrow", "broad"], str]
    """Which backbones are `small` and `large`, which upstreams `none`, `narrow` and `broad`, in `claims.yaml`."""
