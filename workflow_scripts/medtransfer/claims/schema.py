"""What `config/claims.yaml` may hold: claims, each with the contrasts that were declared before anything ran."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Entry(BaseModel):
    """A part of the file: unknown keys and wrong types are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Term(Entry):
    """A cell of a study's grid, by the roles that the study's configuration fills, and its weight in a contrast."""

    weight: float
    backbone: Literal["small", "large"]
    upstream: Literal["none", "narrow", "broad"]


class Expectation(Entry):
    """What the claim says of the contrast: that it is greater, or less, than a threshold."""

    greater: float | None = None
    less: float | None = None

    @model_validator(mode="after")
    def one_side(self) -> "Expectation":
        if (self.greater is None) == (self.less is None):
            raise ValueError("an expectation is either greater: <number> or less: <number>")
        return self

    @property
    def side(self) -> Literal["greater", "less"]:
        """Which side of the threshold the claim expects."""
        return "greater" if self.less is None else "less"

    @property
    def threshold(self) -> float:
        """In units of the metric."""
        return next(bound for bound in (self.greater, self.less) if bound is not None)


class Contrast(Entry):
    """A weighted sum of cell means in which the weights sum to zero, and what the claim expects of it."""

    name: str
    text: str
    terms: list[Term] = Field(min_length=2)
    expect: Expectation

    @model_validator(mode="after")
    def compares(self) -> "Contrast":
        if abs(sum(term.weight for term in self.terms)) > 1e-9:
            raise ValueError("the weights of a contrast must sum to zero, or it compares nothing")
        if len({(term.backbone, term.upstream) for term in self.terms}) < len(self.terms):
            raise ValueError("a pair of backbone and upstream occurs twice in the terms")
        return self


class Claim(Entry):
    """A statement of a paper, in our words, with where it was read and the contrasts that must all hold."""

    id: str
    study: str
    text: str
    source: str
    contrasts: list[Contrast] = Field(min_length=1)


class Claims(Entry):
    """The whole file."""

    claims: list[Claim] = Field(min_length=1)

    @model_validator(mode="after")
    def names_are_unique(self) -> "Claims":
        ids = [claim.id for claim in self.claims]
        contrasts = [f"{claim.id}: {contrast.name}" for claim in self.claims for contrast in claim.contrasts]
        if twice := {name for names in (ids, contrasts) for name in names if names.count(name) > 1}:
            raise ValueError(f"named twice: {', '.join(sorted(twice))}")
        return self
