"""Cards: what is known of a dataset before any of its files is opened, one YAML file each in config/datasets/."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medtransfer.errors import UserError


class Section(BaseModel):
    """A part of a card: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class File(Section):
    """A file, or many of one kind, that a dataset's folder should hold."""

    path: str
    """Name as published, with its folders; `*` stands for any name. Plain or as .gz, in any subfolder."""
    count: int | None = None
    """How many files match `path`, where that is known."""
    rows: int | None = None
    """Rows of a table, without its header."""
    columns: list[str] = []
    """Columns a table must have; "a|b" allows either name."""
    optional: bool = False
    """Whether the dataset can be read without it."""


class Download(Section):
    """One file that can be fetched."""

    url: str
    """Where it lies."""
    name: str = ""
    """Its name, where the address does not end in it."""
    hash: Annotated[str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")] | None = None
    """Its checksum, where the publisher or a known loader states one."""
    to: str = ""
    """Folder, within the dataset's, that it or its content goes to."""
    unpack: bool = False
    """Whether it is an archive to be unpacked."""


class Card(Section):
    """What is known of a dataset: where it is, what one may do with it, how it lies, and how surely that is known."""

    title: str
    """Name in figures and tables."""
    version: str
    """The version these facts are about."""
    home: str
    """Address of its publisher's page."""
    licence: str
    """Licence or agreement, with how surely it is known."""
    access: Literal["open", "form", "kaggle", "physionet", "own", "drawn"]
    """`open`: anyone can fetch it; `form`: a person asks its publisher; `kaggle`, `physionet`: an account there, with
    its rules or agreement accepted; `own`: files of the user's; `drawn`: this workflow draws it."""
    how: str = ""
    """What a person has to do to get it, where that is more than fetching."""
    citation: str
    """What to cite."""
    files: Annotated[list[File], Field(min_length=1)]
    """What its folder should hold."""
    n_images: int | None
    """Images, null where unknown."""
    n_patients: int | None
    """Patients, null where unknown or not recorded."""
    gigabytes: float | None = None
    """Size on disk, null where unknown."""
    labels: list[str]
    """Label columns of its cohort."""
    policies: dict[str, list[str]] = {}
    """Decisions that a configuration can take (`datasets.<name>.policies`), with their choices, the default first."""
    tested: Literal["real files", "layout"]
    """Whether its reader was tested on real files or on small files written in its layout."""
    tiers: list[Literal["demo", "small", "paper"]] = []
    """Tiers that use it."""
    quirks: list[str]
    """What a user should know of it."""
    confidence: list[str]
    """How surely the facts above are known."""
    downloads: list[Download] = []
    """Files that `acquire` fetches, of open datasets."""
    collection: str | None = None
    """The collection of The Cancer Imaging Archive, open to all, whose images `acquire` fetches: those series whose
    files `files` describes."""
    remote: str | None = None
    """For `kaggle` the competition or owner/dataset, for `physionet` project/version: `acquire` fetches it with the
    user's own credentials."""


def load_card(path: Path) -> Card:
    """Read a card. Raises UserError, naming file and keys, for one that is not in order."""
    try:
        return Card.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"The card {path} cannot be read: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        raise UserError("\n".join([f"The card {path} is not in order:", *lines])) from None


def missing_raw_message(card: Card, raw: Path) -> str:
    """What to tell someone whose raw folder is not there: where to get it, on what terms, what should lie there."""
    files = [f"  {file.path}" + (" (optional)" if file.optional else "") for file in card.files]
    return "\n".join(
        [
            f"{card.title} was looked for in {raw}, which is not there.",
            f"Home: {card.home}",
            f"Access: {card.access}. {card.how}".rstrip(". ") + ".",
            f"Licence: {card.licence}",
            "Then these should lie there, in any subfolder:",
            *files,
        ]
    )
