"""The guides of docs/extending, each followed to the letter: what they say to write and to run does what they say."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from medtransfer import plan
from tests.conftest import ROOT
from tests.extending import follow, steps
from tests.test_workflow import clone

GUIDES = ROOT / "docs" / "extending"
ROOMS: dict[str, set[str]] = {
    "dataset": {"datasets"},
    "backbone": {"models"},
    "upstream": set(),
    "initialisation": {"models"},
    "metric": {"metrics"},
    "claim": set(),
    "figure": {"figures", "report"},
}
"""Each guide with the rooms that it writes into, beside config/."""
MINE = Path("results") / "mine"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small tier that all guides begin with."""
    folder = clone(tmp_path_factory.mktemp("begun"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / "tests", folder / "tests", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    follow(GUIDES / "README.md", folder)
    return folder


@pytest.fixture
def own(begun: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it for one guide; what the guide writes there is in the style of the rest."""
    yield (folder := shutil.copytree(begun, tmp_path / "own", copy_function=shutil.copy2))
    for check in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *check, "workflow_scripts", "figures", "tests"]
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr


def trained(folder: Path) -> set[Path]:
    """The runs that are there, as task/backbone/..."""
    runs = folder / MINE / "runs"
    return {path.parent.relative_to(runs) for path in runs.rglob("run.json")}


def room(path: Path) -> str:
    """The folder of the library that a file is in, or that of the repository."""
    library = Path("workflow_scripts") / "medtransfer"
    return path.relative_to(library).parts[0] if path.is_relative_to(library) else path.parts[0]


def results(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "results" / name)


def test_there_is_a_guide_for_each_and_the_first_page_names_it() -> None:
    assert {path.stem for path in GUIDES.glob("*.md")} == {*ROOMS, "README"}
    first = (GUIDES / "README.md").read_text()
    assert all(f"({name}.md)" in first for name in ROOMS)


@pytest.mark.parametrize(("name", "rooms"), ROOMS.items())
def test_none_touches_more_than_one_room_and_configuration(name: str, rooms: set[str]) -> None:
    written = {room(Path(step.path)) for step in steps((GUIDES / f"{name}.md").read_text()) if step.path}
    assert written - {"config", "raw", "tests"} == rooms


def test_a_dataset(own: Path) -> None:
    follow(GUIDES / "dataset.md", own)
    cohort = pd.read_parquet(own / "results" / "lakeside" / "cohorts" / "lakeside.parquet")
    assert len(cohort) == 118 and set(cohort["split"]) == {"train", "val", "test"}
    assert cohort[["effusion", "sex", "age", "view"]].notna().all(axis=None)
    assert "Lakeside (`lakeside`)" in (own / "README.md").read_text()


def test_a_backbone(own: Path) -> None:
    before = trained(own)
    follow(GUIDES / "backbone.md", own)
    assert {path.parts[1] for path in trained(own) - before} == {"r50w32"}
    assert "r50w32" in set(results(own, "mine/figures/scale_performance.csv")["backbone"])


def test_an_upstream(own: Path) -> None:
    follow(GUIDES / "upstream.md", own)
    table = results(own, "mine/tables/scale_table.csv").set_index(["upstream", "backbone", "cohort"])["mean"]
    assert table["own"].equals(table["scenes-all"])
    assert {path.parts[2] for path in trained(own)} == {"none", "scenes-all", "scenes-two", "own"}


def test_an_initialisation(own: Path) -> None:
    before = trained(own)
    follow(GUIDES / "initialisation.md", own)
    assert {path.parts[3] for path in trained(own) - before} == {"meanvar"}
    table = results(own, "mine/tables/scale_table.csv")
    assert table.groupby("initialisation").size().to_dict() == {"meanvar": 4, "pretrained": 4, "random": 4}


def test_a_metric(own: Path) -> None:
    before = trained(own)
    follow(GUIDES / "metric.md", own)
    assert trained(own) == before
    table = results(own, "mine/tables/scale_table.csv")
    assert set(table["metric"]) == {"f1"} and table["mean"].between(0, 1).all()
    measured = pd.read_parquet(own / MINE / "metrics.parquet").query("metric == 'f1' and split == 'test'")
    assert {"female", "male", "(worst)", "(gap)"} < set(measured["subgroup"])


def test_a_claim(own: Path) -> None:
    follow(GUIDES / "claim.md", own)
    claim = results(own, "mine/claims.csv").set_index("claim").loc["M1"].iloc[0]
    assert claim["verdict"] in {"supported", "contradicted", "inconclusive"} and claim["threshold_low"] == -0.02
    assert "M1" in (own / MINE / "tables" / "scale_claims.md").read_text()


def test_a_figure(own: Path) -> None:
    follow(GUIDES / "figure.md", own)
    drawn = results(own, "mine/figures/scale_gain.csv").query("seed == 'all'")
    measured = pd.read_parquet(own / MINE / "metrics.parquet").query(
        "metric == 'auc' and label == 'mean' and subgroup_by == 'all' and split == 'test'"
    )
    value = measured.set_index(["backbone", "upstream", "cohort"])["value"]
    assert len(drawn) == 4
    for row in drawn.itertuples():
        gain = value[row.backbone, row.upstream, row.cohort] - value[row.backbone, "none", row.cohort]
        assert row.value == pytest.approx(gain)


def test_what_reviewers_are_told_to_run_is_there() -> None:
    page = (ROOT / "docs" / "artifact.md").read_text()
    asked = {word for line in re.findall(r"^    snakemake ([^-#\n]+)", page, re.MULTILINE) for word in line.split()}
    rules = {name for path in (ROOT / "rules").glob("*.smk") for name in re.findall(r"rule (\w+):", path.read_text())}
    assert len(asked) > 9 and asked <= rules | {f"fig_{name}" for name in (*plan.FIGURES, *plan.TABLES)}


@pytest.mark.parametrize(
    ("guide", "message"),
    [
        ("Do:\n\n```\nx\n```\n", "what is to be done with a block: 'Do'"),
        ("A page.\n\n```\nx\n```\n", "a block without a line"),
    ],
)
def test_a_block_that_nothing_says_what_to_do_with_is_refused(guide: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        list(steps(guide))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("Run:\n\n```\nfalse\n```\n", "false"),
        ("Run:\n\n```\necho a\n```\n\nIt says:\n\n```\nb\n```\n", "not said: 'b'"),
        ("In `page.txt`, below `one`:\n\n```\nx\n```\n", "has 'one' 2 times"),
        ("`page.txt`:\n\n```\nx\n```\n", "is there already"),
    ],
)
def test_a_guide_that_is_wrong_does_not_pass(tmp_path: Path, step: str, message: str) -> None:
    (tmp_path / "page.txt").write_text("one\none\n")
    (tmp_path / "guide.md").write_text(step)
    with pytest.raises(AssertionError, match=message):
        follow(tmp_path / "guide.md", tmp_path)
