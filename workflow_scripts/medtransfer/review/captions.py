"""The captions of figures and tables in plain text."""

from pathlib import Path

from docutils.core import publish_doctree
from jinja2 import Template

from medtransfer.results import Study

REPORT = Path(__file__).parents[3] / "report"


def caption(name: str, study: Study) -> list[str]:
    """The paragraphs of the caption of a figure or table of a study, without markup; none if it has no caption."""
    path = REPORT / f"{name}.rst"
    if not path.is_file():
        return []
    snakemake = {"config": {"note": study["note"]}, "params": {"study": study}}
    text = publish_doctree(Template(path.read_text()).render(snakemake=snakemake)).astext()
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
