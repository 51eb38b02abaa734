"""Figure scripts as notebooks: the same inputs, code and result on one page that needs nothing else; same bytes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupytext
import pytest
from figures import scale_performance

import notebook as script
from medtransfer import plan
from medtransfer.errors import UserError
from medtransfer.review import notebook
from medtransfer.review.notebook import step
from tests import invented
from tests.conftest import ROOT
from tests.invented import STUDY

TEMPLATE = str(ROOT / "report" / "notebook.html.j2")


# --- The scripts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "figures").glob("*.py")), ids=lambda path: path.stem)
def test_each_script_is_a_titled_notebook_that_ends_in_its_own_step(path: Path) -> None:
    cells = jupytext.read(path).cells
    assert cells[0].cell_type == "markdown" and re.match(r"# \w", cells[0].source)
    assert f'with step("{path.stem}", globals().get("snakemake")) as job:' in cells[-1].source
    assert sum(cell.source.count("step(") for cell in cells if cell.cell_type == "code") == 1


def test_a_figure_or_table_has_one_name_and_asks_for_results() -> None:
    assert not set(plan.FIGURES) & set(plan.TABLES)
    for name, shown in {**plan.FIGURES, **plan.TABLES}.items():
        assert shown.needs, name
    assert plan.FIGURES["scale_fits"].tables("results/demo")["upstreams"] == "results/demo/upstreams.csv"


# --- Inputs, wherever a script runs ----------------------------------------------------------------------------------


def test_under_snakemake_a_step_is_its_rule_and_errors_go_to_its_log(tmp_path: Path) -> None:
    job = SimpleNamespace(log=[str(tmp_path / "log")])
    with pytest.raises(SystemExit), step("scale_performance", job) as given:
        assert given is job
        raise UserError("no runs")
    assert "error: no runs" in (tmp_path / "log").read_text()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without results, and no Snakemake that could make any."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    monkeypatch.delenv(notebook.CONFIGURATION, raising=False)
    monkeypatch.chdir(tmp_path / "config")  # Jupyter starts kernels in the notebook's folder
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("nothing had to be made"))
    return tmp_path


def make(place: Path, folder: str, name: str) -> None:
    for path in map(Path, plan.TABLES[name].tables(place / "results" / folder).values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def inputs(name: str) -> dict[str, str]:
    with pytest.raises(ZeroDivisionError), step(name, None) as job:  # before it shows what was not made
        assert job.params.study["name"] == "scale" and "NIH ChestX-ray14" in job.params.study["titles"].values()
        assert set(job.output.keys()) == {"csv", "markdown", "latex"}
        found = dict(job.input.items())
        raise ZeroDivisionError
    return found


def test_a_notebook_takes_fresh_results_before_frozen_ones(place: Path) -> None:
    make(place, "demo-frozen", "scale_claims")
    assert inputs("scale_claims") == {"claims": str(place / "results/demo-frozen/claims.csv")}
    make(place, "demo", "scale_claims")
    assert inputs("scale_claims") == {"claims": str(place / "results/demo/claims.csv")}


def test_a_notebook_takes_the_configuration_that_is_asked_for(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(place, "demo", "scale_needed")
    make(place, "small", "scale_needed")
    monkeypatch.setenv(notebook.CONFIGURATION, "config/small.yaml")
    found = inputs("scale_needed")
    assert set(found) == {"completeness", "metrics", "replicates"}
    assert all(Path(path).is_relative_to(place / "results/small") for path in found.values())


def test_without_results_frozen_ones_are_made_once_and_that_is_said(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[Any] = []

    def snakemake(command: list[str], **options: Any) -> SimpleNamespace:
        called.append((command, options["cwd"]))
        make(place, "demo-frozen", "scale_table")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", snakemake)
    assert (
        inputs("scale_table")
        == inputs("scale_table")
        == plan.TABLES["scale_table"].tables(place / "results/demo-frozen")
    )
    ((command, folder),) = called
    assert command[-3:] == [f"results/demo-frozen/{name}" for name in plan.PRIMARY] and folder == place
    assert command[command.index("--config") + 1] == "results=frozen"
    assert "no results yet" in capsys.readouterr().out


def test_what_cannot_be_made_is_an_error_that_says_what_to_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(returncode=1, stderr="figures/frozen/demo is not there")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match=r"(?s)MEDTRANSFER_CONFIG.*figures/frozen/demo is not there"):
        inputs("scale_table")


# --- Executed pages --------------------------------------------------------------------------------------------------


def written(folder: Path, *cells: str) -> str:
    path = folder / "a_figure.py"
    path.write_text("\n\n".join(["# %% [markdown]\n# # A figure", *(f"# %%\n{cell}" for cell in cells)]) + "\n")
    return str(path)


def test_a_page_has_code_and_result_and_needs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = tmp_path / "kernels" / "python3"  # those of another Python, and a startup file, as users have them
    users.mkdir(parents=True)
    (users / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    (tmp_path / "profile_default" / "startup").mkdir(parents=True)
    (tmp_path / "profile_default" / "startup" / "mine.py").write_text("mine = 1")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    (tmp_path / "claims.csv").write_text("claim,verdict\nS1,supported\n")
    source = written(
        tmp_path,
        "import sys\nfrom pathlib import Path\n\nfrom medtransfer.review.notebook import step",
        "print(sys.executable, 'mine' in globals())",
        "with step('scale_claims', globals().get('snakemake')) as job:\n"
        "    Path(job.output.markdown).write_text(\n"
        "        '| Task | |\\n| --- | --- |\\n| ' + job.params.study['name'] + ' | ' + job.input.claims + ' |'\n"
        "    )",
    )
    pages = [tmp_path / "first.html", tmp_path / "second.html"]
    for page in pages:
        script.main(source, TEMPLATE, {"claims": "claims.csv"}, "Claims & more", STUDY, str(page))
    html = pages[0].read_text()
    assert html == pages[1].read_text()
    assert '<html lang="en">' in html and "<title>Claims &amp; more</title>" in html and "<h1>A figure</h1>" in html
    assert f"{sys.executable} False" in html and "<td>scale</td>" in html and "<td>claims.csv</td>" in html
    assert not re.search(r"<script|https?:|<link|@import|url\(", html)


def test_a_cell_that_fails_is_named_with_its_traceback_and_leaves_no_page(tmp_path: Path) -> None:
    source = written(tmp_path, "def draw():\n    raise ValueError('no such axis')", "draw()")
    with pytest.raises(UserError) as error:
        script.main(source, TEMPLATE, {}, "A figure", STUDY, str(tmp_path / "page.html"))
    message = str(error.value)
    assert message.startswith(f"{source}: a cell failed.") and "ValueError: no such axis" in message
    assert "in draw()" in message and "\x1b" not in message
    assert not (tmp_path / "page.html").exists()


def test_figures_are_shown_as_pictures_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    (tmp_path / "given.json").write_text(json.dumps({"tables": {}, "study": {}}))
    monkeypatch.setenv(notebook.GIVEN, str(tmp_path / "given.json"))
    with step("scale_shift", None) as job:
        Path(job.output.svg).write_text("<svg/>")
    (html,) = shown
    assert 'alt="Figure: In and out of distribution"' in html.data and "base64,PHN2Zy8+" in html.data
    assert not Path(job.output.svg).exists()


# --- The same bytes --------------------------------------------------------------------------------------------------


def test_a_figure_is_the_same_file_in_any_process(tmp_path: Path) -> None:
    tables = invented.tables(tmp_path, invented.runs({"scale": invented.ARMS["scale"]}))
    here, there = ([str(tmp_path / f"{name}.{suffix}") for suffix in ("csv", "svg", "pdf")] for name in "ab")
    scale_performance.main(tables, STUDY, here[0], here[1:])
    code = (
        "import json, sys; from figures import scale_performance as figure; "
        "tables, study, (csv, *images) = json.load(sys.stdin); figure.main(tables, study, csv, images)"
    )
    other = {"PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland", "LC_ALL": "C", "HOME": str(tmp_path)}
    common = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**common, **other, "PYTHONPATH": f"{ROOT}:{ROOT / 'workflow_scripts'}"},
        input=json.dumps([tables, STUDY, there]),
        text=True,
        check=True,
    )
    for one, two in zip(here, there, strict=True):
        assert Path(one).read_bytes() == Path(two).read_bytes(), one
