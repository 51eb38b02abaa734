"""The sections on studies: their runs and how those are measured."""

from typing import Annotated, Literal

from pydantic import Field

from medtransfer.config.base import Count, Fraction, Name, Section


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
