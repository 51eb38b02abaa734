"""Run a figure's script as a notebook and write it, with its code and what it shows, as one HTML file."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupytext
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from medtransfer.errors import UserError
from medtransfer.files import write_json, write_text
from medtransfer.html import fill
from medtransfer.logs import step_log
from medtransfer.results import Study
from medtransfer.review.notebook import GIVEN, ROOT

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(script: str, template: str, tables: dict[str, str], title: str, study: Study, page: str) -> None:
    """Write the executed notebook.

    Args:
        script: The figure's script, in jupytext's percent format.
        template: Jinja source of the page around the notebook.
        tables: The results that the figure is made from.
        title: The page's title.
        study: Axes and names.
        page: The HTML file to write.

    Raises:
        UserError: A cell raised an exception; the message names the script and holds the traceback.
    """
    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell{number}"  # instead of a random one, so that the page is the same each time
    try:
        execute(notebook, {"tables": tables, "study": study})
    except CellExecutionError as error:
        raise UserError(f"{script}: a cell failed.\n{strip_ansi(str(error))}") from None
    write_text(render(notebook, Path(template).read_text(), title), page)


def execute(notebook: NotebookNode, given: dict[str, Any]) -> None:
    """Run all cells, in the Python that runs this, and keep what they show.

    Args:
        notebook: The notebook; outputs are added in place.
        given: What `medtransfer.review.notebook.step` takes instead of what it would look for.

    Raises:
        CellExecutionError: A cell raised an exception.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_json(given, Path(folder) / "given.json")
        # Without kernel folders the only kernel is this Python; a socket in a folder needs no free port.
        manager = AsyncKernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            connection_file=f"{folder}/kernel.json",
            transport="ipc",
        )
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "workflow_scripts"),
            "IPYTHONDIR": folder,  # a user's startup files change nothing
            GIVEN: f"{folder}/given.json",
        }
        NotebookClient(notebook, km=manager).execute(env=environment, cleanup_kc=True)


def render(notebook: NotebookNode, template: str, title: str) -> str:
    """The page: no script, nothing from elsewhere."""
    body, _ = HTMLExporter(template_name="basic", exclude_anchor_links=True).from_notebook_node(notebook)
    return fill(template, title=title, body=body, highlighting=HtmlFormatter().get_style_defs(".highlight"))


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        tables = dict(snakemake.input.items())
        script, template = tables.pop("script"), tables.pop("template")
        main(script, template, tables, snakemake.params.title, snakemake.params.study, snakemake.output[0])
