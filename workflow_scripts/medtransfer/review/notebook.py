"""Figure scripts as notebooks: what their rule would hand them, and below the last cell what they have made."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from medtransfer import plan
from medtransfer.config import Config, load
from medtransfer.errors import UserError
from medtransfer.logs import step_log
from medtransfer.runs import run_table

ROOT = Path(__file__).parents[3]
CONFIGURATION = "MEDTRANSFER_CONFIG"
"""Environment variable: the configuration whose results a notebook shows, the demo's unless set."""
GIVEN = "MEDTRANSFER_NOTEBOOK"
"""Environment variable: a JSON file with the `tables` and the `study` that a notebook is to use instead."""


@contextmanager
def step(name: str, snakemake: Any) -> Iterator[Any]:
    """Inputs, outputs and params of a figure's script, wherever it runs.

    Under Snakemake they are those of its rule, and errors go to its log. In a notebook they are a stand-in's: the same
    inputs and params, with outputs that are shown and then removed, since the workflow alone writes results.

    Args:
        name: The figure or table.
        snakemake: What Snakemake hands to a script; None in a notebook.

    Raises:
        UserError: In a notebook: there are no results of the configuration, fresh or frozen.
    """
    if snakemake is not None:
        with step_log(snakemake.log[0]):
            yield snakemake
        return
    with tempfile.TemporaryDirectory() as folder:
        job = _stand_in(name, folder)
        yield job
        _show(name, job.output)


def _stand_in(name: str, folder: str) -> SimpleNamespace:
    from snakemake.iocontainers import InputFiles, OutputFiles, Params

    suffixes = {"svg": "svg", "pdf": "pdf"} if name in plan.FIGURES else {"markdown": "md", "latex": "tex"}
    outputs = {kind: f"{folder}/{name}.{suffix}" for kind, suffix in {"csv": "csv", **suffixes}.items()}
    tables, study = _given() if GIVEN in os.environ else _found(name)
    return SimpleNamespace(
        input=InputFiles(fromdict=tables),
        output=OutputFiles(fromdict=outputs),
        params=Params(fromdict={"study": study}),
    )


def _given() -> tuple[dict[str, str], dict[str, Any]]:
    content = json.loads(Path(os.environ[GIVEN]).read_text())
    return content["tables"], content["study"]


def _found(name: str) -> tuple[dict[str, str], dict[str, Any]]:
    path = ROOT / os.environ.get(CONFIGURATION, "config/demo.yaml")
    config = load(yaml.safe_load(path.read_text()), str(path))
    needed = {**plan.FIGURES, **plan.TABLES}[name]
    fresh = needed.tables(ROOT / (config.folder or f"results/{config.tier}"))
    frozen = needed.tables(ROOT / f"results/{config.tier}-frozen")
    if _are_there(fresh):
        return fresh, _study(config)
    if not _are_there(frozen):
        _thaw(path, frozen)
    return frozen, _study(config)


def _are_there(tables: dict[str, str]) -> bool:
    return all(Path(path).exists() for path in tables.values())


def _thaw(config: Path, tables: dict[str, str]) -> None:
    print("There are no results yet: Snakemake makes what is needed from the frozen ones, once.")
    targets = [str(Path(path).relative_to(ROOT)) for path in tables.values()]
    command = [sys.executable, "-m", "snakemake", "--configfile", str(config), "--config", "results=frozen"]
    done = subprocess.run([*command, "--", *targets], cwd=ROOT, text=True, capture_output=True)
    if done.returncode:
        raise UserError(
            f"The frozen results of {config} could not be read. Run the workflow with this configuration, or name one "
            f"that has frozen results in {CONFIGURATION}. Snakemake said:\n{done.stderr}"
        )


def _study(config: Config) -> dict[str, Any]:
    """What rules hand to figures of the study `scale`."""
    runs = run_table(config.studies, config.trials)
    cohorts = {cohort for run in runs for cohort in plan.cohort_names(config, run.task)}
    titles = {cohort: plan.cohort_title(config, cohort, ROOT / "config" / "datasets") for cohort in cohorts}
    return plan.study_facts(config, runs, "scale", titles)


def _show(name: str, output: Any) -> None:
    from IPython.display import HTML, Markdown, display

    if name in plan.TABLES:
        display(Markdown(Path(output.markdown).read_text()))
        return
    picture = base64.b64encode(Path(output.svg).read_bytes()).decode()
    words = escape(f"Figure: {plan.FIGURES[name].title}")
    display(HTML(f'<img src="data:image/svg+xml;base64,{picture}" alt="{words}" style="background: white">'))
