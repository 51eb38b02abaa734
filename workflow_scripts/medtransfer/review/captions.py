"""The captions of figures and tables, in reStructuredText that Jinja fills in, as HTML and as plain text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docutils.core import publish_doctree, publish_parts
from docutils.nodes import paragraph
from docutils.utils import SystemMessage
from jinja2 import Environment, StrictUndefined, TemplateError
from markupsafe import Markup

from medtransfer.errors import UserError
from medtransfer.results import Study

FOLDER = Path(__file__).parents[3] / "report"
# Warnings are errors. No caption reads other files, writes HTML of its own, or depends on a user's docutils.conf.
RST = {
    "halt_level": 2,
    "report_level": 5,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
}


@dataclass(frozen=True)
class Caption:
    """A caption as HTML, its first sentence after the title and its paragraphs as text."""

    html: Markup
    summary: str
    paragraphs: list[str]


def caption_text(name: str, study: Study) -> list[str]:
    """The paragraphs of the caption of a figure or table of a study, without markup; none if it has no caption."""
    path = FOLDER / f"{name}.rst"
    return read_caption(path, study, {"note": study["note"]}).paragraphs if path.is_file() else []


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
        found = publish_doctree(source, settings_overrides=RST).findall(paragraph)
        paragraphs = [" ".join(each.astext().split()) for each in found]
        html = publish_parts(source, writer="html5", settings_overrides=RST)["body"]
    except (TemplateError, SystemMessage) as error:
        raise UserError(f"The caption {path} cannot be shown: {error}. Mend it there.") from None
    if not paragraphs:
        raise UserError(f"The caption {path} cannot be shown: it has no paragraph. Mend it there.")
    _, *sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraphs[0])
    return Caption(Markup(html), sentences[0] if sentences else "", paragraphs)


def _literal(text: str) -> str:
    """Text that reStructuredText shows as it stands."""
    return re.sub(r"([^\w\s])", r"\\\1", text)
