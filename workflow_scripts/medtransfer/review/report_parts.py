"""What the report's figures and tables are made of: captions, tables for readers, files embedded in the page."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from docutils.core import publish_doctree, publish_parts
from docutils.nodes import paragraph
from docutils.utils import SystemMessage
from jinja2 import Environment, StrictUndefined, TemplateError
from markupsafe import Markup

from medtransfer.errors import UserError
from medtransfer.results import Study

# Warnings are errors. No caption reads other files, writes HTML of its own, or depends on a user's docutils.conf.
RST = {
    "halt_level": 2,
    "report_level": 5,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
}
NUMERIC = re.compile(r"[-<\d., %\[\]]*|–")


@dataclass(frozen=True)
class Caption:
    """A caption as HTML, and its first sentence after the title, as text."""

    html: Markup
    summary: str


@dataclass(frozen=True)
class Readable:
    """A table for readers: text in every cell, and which columns hold numbers alone."""

    columns: list[str]
    rows: list[list[str]]
    explanation: str

    @cached_property
    def numeric(self) -> list[bool]:
        """Of each column whether all its cells are numbers."""
        return [all(NUMERIC.fullmatch(row[place]) for row in self.rows) for place in range(len(self.columns))]


def read_caption(path: Path | str, study: Study | None, config: Mapping[str, Any]) -> Caption:
    """Render a caption in reStructuredText, in which Jinja fills in what Snakemake's own report would.

    Args:
        path: The caption: a paragraph that begins with a title in bold, and maybe more.
        study: `snakemake.params.study` of the caption; None where it belongs to no study.
        config: `snakemake.config` of the caption.

    Raises:
        UserError: The caption is not there, or names what it is not given, or is not valid.
    """
    if not Path(path).is_file():
        raise UserError(
            f"{path} is not there: every figure and table of the report has a caption of its name. Write it in "
            "reStructuredText, beginning with a title in bold; the others beside it are examples."
        )
    known = {"config": {**config, "note": _literal(config.get("note", ""))}, "params": {}}
    if study is not None:
        known["params"] = {"study": {**study, "note": _literal(study["note"])}}
    try:
        source = Environment(undefined=StrictUndefined).from_string(Path(path).read_text()).render(snakemake=known)
        first = next(iter(publish_doctree(source, settings_overrides=RST).findall(paragraph)))
        html = publish_parts(source, writer="html5", settings_overrides=RST)["body"]
    except (TemplateError, SystemMessage, StopIteration) as error:
        raise UserError(
            f"The caption {path} cannot be shown: {error or 'it has no paragraph'}. Mend it there."
        ) from None
    _, *sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(first.astext().split()))
    return Caption(Markup(html), sentences[0] if sentences else "")


def read_markdown(path: Path | str, note: str) -> Readable:
    """Read a table that `medtransfer.plotting.tables.write_table` wrote, without the tier's note.

    Raises:
        UserError: A cell holds what separates cells.
    """
    table, _, explanation = Path(path).read_text().strip().partition("\n\n")
    columns, _, *rows = (
        [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split(" |")] for line in table.splitlines()
    )
    if broken := [row for row in rows if len(row) != len(columns)]:
        raise UserError(
            f"{path} has a row of {len(broken[0])} cells below {len(columns)} columns: {', '.join(broken[0])}. A title "
            "in the configuration may hold a bar ( |), which separates cells: write it otherwise."
        )
    return Readable(columns, rows, explanation.removesuffix(note).strip())


def data_uri(path: Path | str, kind: str) -> str:
    """A file as an address that holds all of it; `kind` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(Path(path).read_bytes()).decode()}"


def _literal(text: str) -> str:
    """Text that reStructuredText shows as it stands."""
    return re.sub(r"([^\w\s])", r"\\\1", text)
