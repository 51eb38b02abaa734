"""What `config/claims.yaml` may hold: claims, each with the contrasts that were declared before anything ran."""

from math import inf
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medtransfer.errors import UserError
from medtransfer.metrics import calibration, scores
from medtransfer.metrics.evaluate import RATES, SCALED
from medtransfer.models.initialisations import INITIALISATIONS
from medtransfer.results import PRIMARY

Side = Literal["greater", "less"]
Region = tuple[float, float]
"""An open interval in which an effect can lie; a bound can be infinite."""

OF_GROUPS = (PRIMARY, *scores.METRICS, *RATES, "equalised_odds")
ORDINARY = (*OF_GROUPS, *calibration.METRICS, *(f"{metric}{SCALED}" for metric in calibration.METRICS), "aurc")
SHARE_NEEDED, STEPS, SIMILARITY, INTERACTION = SPECIAL = ("share_needed", "steps", "similarity", "interaction")
# What is itself a comparison: against the baseline, or between all cells.
COMPARISONS = {SHARE_NEEDED: 1, INTERACTION: 0}


class Entry(BaseModel):
    """A part of the file: unknown keys and wrong types are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Term(Entry):
    """A cell of a study's grid, by the roles that the study's configuration fills, and its weight in a contrast."""

    weight: float
    backbone: Literal["small", "large"]
    upstream: Literal["none", "narrow", "broad"]
    recipe: Literal["rule", "long", "best"] = "rule"
    """`best`: of the rule and the search's trials, what is best on in-distribution validation images."""
    initialisation: str = "pretrained"
    """`none` always starts at random."""
    budget: Literal["full", "least"] = "full"
    """All training patients, or the smallest fraction that all `least` cells of the contrast were trained with."""

    @model_validator(mode="after")
    def exists(self) -> "Term":
        if self.initialisation not in INITIALISATIONS:
            raise ValueError(f"no initialisation {self.initialisation!r}; there are {', '.join(INITIALISATIONS)}")
        return self


class Measure(Entry):
    """What is compared, of which test images; `medtransfer.claims.measures` says how each is computed."""

    metric: str = PRIMARY
    where: Literal["id", "ood", "shift", "everywhere"] = "id"
    """`ood`: mean over the out-of-distribution cohorts; `shift`: in-distribution minus that; `everywhere`: mean over
    all test cohorts."""
    subgroup: Literal["all", "worst", "gap"] = "all"
    """The worst group, or the largest difference between two: mean over the cohort's sub-group columns."""

    @model_validator(mode="after")
    def exists(self) -> "Measure":
        if self.metric not in (*ORDINARY, *SPECIAL):
            raise ValueError(f"no metric {self.metric!r}; there are {', '.join((*ORDINARY, *SPECIAL))}")
        if self.metric in SPECIAL and self.model_fields_set != {"metric"}:
            raise ValueError(f"{self.metric} stands alone, without where: and subgroup:")
        if self.subgroup != "all" and self.metric not in OF_GROUPS:
            raise ValueError(f"sub-groups have {', '.join(OF_GROUPS)}, and no {self.metric}")
        if self.metric == "equalised_odds" and self.subgroup != "gap":
            raise ValueError("equalised_odds is itself a difference between groups: subgroup: gap")
        return self


class Expectation(Entry):
    """What the claim says of the contrast, in one of four ways; in units of the measure."""

    greater: float | None = None
    less: float | None = None
    differs: Annotated[float, Field(gt=0)] | None = None
    """A question with two sides: an effect, in either direction; one that lies within plus or minus this is none."""
    within: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def one_way(self) -> "Expectation":
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise ValueError(
                "an expectation is one of greater: <x>, less: <x>, differs: <margin>, within: [<low>, <high>]"
            )
        if self.within and self.within[0] >= self.within[1]:
            raise ValueError("within: [<low>, <high>] needs a low bound below its high one")
        return self

    @property
    def kind(self) -> str:
        """Which of the four."""
        return next(iter(self.model_fields_set))

    @property
    def bounds(self) -> Region:
        """The threshold, or thresholds; infinite on the side that has none."""
        if self.greater is not None:
            return self.greater, inf
        if self.less is not None:
            return -inf, self.less
        if self.differs is not None:
            return -self.differs, self.differs
        assert self.within is not None
        return self.within[0], self.within[1]

    @property
    def supporting(self) -> list[Region]:
        """Where the whole interval must lie, in one of these, to support the claim."""
        return [(-inf, 0.0), (0.0, inf)] if self.kind == "differs" else [self.bounds]

    @property
    def contradicting(self) -> list[Region]:
        """Where the whole interval must lie to contradict it; this goes first."""
        low, high = self.bounds
        if self.kind == "differs":
            return [(low, high)]
        return [region for region in ((-inf, low), (high, inf)) if region[0] < region[1]]


class Contrast(Entry):
    """A weighted sum of cell means, what the claim expects of it, and, for a question with two sides, which is good."""

    name: str
    text: str
    terms: list[Term] = []
    measure: Measure = Measure()
    expect: Expectation
    benefit: Side | None = None

    @model_validator(mode="after")
    def compares(self) -> "Contrast":
        metric = self.measure.metric
        if metric in COMPARISONS:
            if [term.weight for term in self.terms] != [1.0] * COMPARISONS[metric]:
                raise ValueError(
                    f"{metric} is itself a comparison: terms of weight 1 that it takes: {COMPARISONS[metric]}"
                )
        elif len(self.terms) < 2 or abs(sum(term.weight for term in self.terms)) > 1e-9:
            raise ValueError("the weights of two or more terms must sum to zero, or they compare nothing")
        cells = [term.model_dump_json(exclude={"weight"}) for term in self.terms]
        if len(set(cells)) < len(cells):
            raise ValueError("a cell occurs twice in the terms")
        if (self.benefit is None) == (self.expect.kind == "differs"):
            raise ValueError("differs: needs benefit: greater or less, and the other expectations say it themselves")
        return self

    @property
    def good(self) -> Region:
        """Where the effect is a benefit."""
        if self.benefit is None:
            return self.expect.bounds
        return (0.0, inf) if self.benefit == "greater" else (-inf, 0.0)

    @property
    def no_good(self) -> list[Region]:
        """Where it is none that matters, or harm."""
        if self.benefit is None:
            return self.expect.contradicting
        low, high = self.expect.bounds
        return [(-inf, high)] if self.benefit == "greater" else [(low, inf)]


class Pattern(Entry):
    """That some of these claims' first contrasts show a benefit and some show none."""

    of: Annotated[list[str], Field(min_length=2)]


class Claim(Entry):
    """A statement of a paper, in our words, with where it was read and what decides it."""

    id: str
    study: str
    text: str
    source: str
    holds: Literal["all", "any"] = "all"
    """Which of the contrasts must hold: `any` for the question whether something is affected in some respect."""
    contrasts: list[Contrast] = []
    pattern: Pattern | None = None

    @model_validator(mode="after")
    def is_decided_in_one_way(self) -> "Claim":
        if bool(self.contrasts) == (self.pattern is not None):
            raise ValueError("a claim is decided by its contrasts, at least one, or by a pattern of other claims")
        return self


class Claims(Entry):
    """The whole file."""

    claims: list[Claim] = Field(min_length=1)

    @model_validator(mode="after")
    def names_are_consistent(self) -> "Claims":
        ids = [claim.id for claim in self.claims]
        contrasts = [f"{claim.id}: {contrast.name}" for claim in self.claims for contrast in claim.contrasts]
        if twice := {name for names in (ids, contrasts) for name in names if names.count(name) > 1}:
            raise ValueError(f"named twice: {', '.join(sorted(twice))}")
        for claim in self.claims:
            known = [other.id for other in self.claims if other.contrasts and other.study == claim.study]
            if claim.pattern and (unknown := set(claim.pattern.of) - set(known)):
                raise ValueError(
                    f"the pattern of {claim.id} is of claims without contrasts: {', '.join(sorted(unknown))}"
                )
        return self


def read_claims(path: Path | str) -> list[Claim]:
    """Read a claims file.

    Raises:
        UserError: The file is not YAML, or a key or value in it is not allowed; one line for each problem.
    """
    try:
        return Claims.model_validate(yaml.safe_load(Path(path).read_text())).claims
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        problems = [
            f"  {'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        ]
        raise UserError("\n".join([f"{path} cannot be used:", *problems])) from None
