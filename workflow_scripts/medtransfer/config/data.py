"""The sections on data: what is drawn, read, decoded, put together and predicted."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from medtransfer.config.base import Count, Name, Section

UncertainPolicy = Literal["ignore", "zeros", "ones"]


class Synthetic(Section):
    """How much of a dataset is drawn instead of being read from its publisher's files."""

    patients: Count
    """Patients to draw (for `scenes`: images per class)."""
    size: Annotated[int, Field(ge=32)]
    """Longer side of the drawn images, in pixels."""
    seed: int = 0
    """Seed of everything that is drawn."""


class Dataset(Section):
    """How one dataset is read, where that is not as usual."""

    reader: Name | None = None
    """Its reader, where that has another name than the dataset: `image_folder`, for one, reads any."""
    folder: str | None = None
    """Its folder in `raw_root`, where that has another name than the dataset."""
    policies: dict[str, str] = {}
    """Decisions of its reader; the dataset's card lists them and their choices."""
    preparation: Literal["none", "frame", "fundus", "breast"] | None = None
    """What is cut away of its images; null leaves that to the reader."""


class Cohort(Section):
    """A cohort made of one or several datasets: a part of one, a merger of many."""

    title: str
    """Name in figures and tables."""
    of: Annotated[list[Name], Field(min_length=1)]
    """The datasets it is made of."""
    where: dict[str, list[str]] = {}
    """Columns and the values that its rows may have there; other rows are listed as rejected."""
    labels: Literal["shared"] | list[str] | None = None
    """Labels it has: those that all of its datasets have (`shared`), the named ones, or any that one of them has."""
    any_of: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    """Labels to add, by name, each with those it stands for: positive where any of them is, negative where all are."""
    no_finding: Literal["as_read", "clears_findings", "clears_all"] = "as_read"
    """What No Finding = 1 says of the other labels: what the dataset says; all negative but support devices; all
    negative, as Cherti & Jitsev's code has it. In the latter two it is no label itself any more."""


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
    """Dataset, or cohort of `cohorts`, that is trained on; its validation and test splits are in-distribution."""
    ood_cohorts: list[Name] = []
    """Datasets, or cohorts of `cohorts`, whose test splits are predicted without retraining."""
    primary_metric: str = "auc"
    """The metric of figures and claims, averaged over labels: a name of `medtransfer/metrics/scores.py`."""
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
    intersections: list[Annotated[list[str], Field(min_length=2)]] = []
    """Sets of those columns to report by together."""

    @model_validator(mode="after")
    def labels_agree(self) -> "Task":
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"a label occurs twice in {self.labels}")
        if self.kind == "multiclass" and len(self.labels) < 2:
            raise ValueError("a multiclass task needs at least two labels")
        if strangers := set(self.uncertain_overrides) - set(self.labels):
            raise ValueError(f"uncertain_overrides names {sorted(strangers)}, which are not among the labels")
        if strangers := {column for columns in self.intersections for column in columns} - set(self.subgroups):
            raise ValueError(f"intersections names {sorted(strangers)}, which are not among the subgroups")
        return self


class Decoding(Section):
    """How image stores are built."""

    threads: Count = 2
    """Decoding processes of one store."""
    allow_partial: bool = False
    """Whether a dataset may lack files that its tables list. They are reported in either case."""
