"""Verification: what is as frozen passes, whatever was tampered with is named, and chance is told from error."""

import itertools
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import verify as script
from medtransfer.config import load
from medtransfer.errors import UserError
from medtransfer.review.frozen import Frozen
from medtransfer.review.verify import Verification, verify
from medtransfer.review.verify_rows import Row
from tests import repeated
from tests.conftest import ROOT
from tests.tampering import RUN, TAMPERINGS, Tampering, a_metric, a_prediction


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Results of runs, what was frozen of them, and what was measured from that. To be read alone."""
    folder = tmp_path_factory.mktemp("made")
    results = repeated.run_results(folder / "results")
    frozen = repeated.freeze_results(results, folder / "frozen")
    return {"results": results, "frozen": frozen, "thawed": repeated.thaw_results(frozen, folder / "thawed")}


@pytest.fixture
def frozen(made: dict[str, Path], tmp_path: Path) -> Path:
    """Frozen results that may be changed."""
    return Path(shutil.copytree(made["frozen"], tmp_path / "frozen"))


def remeasured(frozen: Path, results: Path, content: dict[str, Any] = repeated.CONTENT) -> Verification:
    return verify(Frozen.open(frozen), results, load(content, "test"), remeasured=True)


def rerun(frozen: Path, results: Path) -> Verification:
    return verify(Frozen.open(frozen), results, repeated.CONFIG, remeasured=False)


def named(verification: Verification, level: str) -> list[Row]:
    return [row for row in verification.failing if row.level == level]


def test_what_is_measured_from_untouched_frozen_results_is_identical(made: dict[str, Path]):
    found = remeasured(made["frozen"], made["thawed"])
    assert {row.verdict for row in found.rows} == {"identical"}
    assert {row.level for row in found.rows} >= {"file", "config", "record", "predictions", "metrics", "claim"}
    assert all(moved.passes for moved in found.moved)


def test_runs_repeated_bit_by_bit_on_the_same_class_of_machine_are_identical(made: dict[str, Path]):
    found = rerun(made["frozen"], made["results"])
    assert {row.verdict for row in found.rows} == {"identical"}
    assert found.standards is not None and all(standard.bits for standard in found.standards.values())


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda each: each.do.__name__)
def test_tampering_is_named_by_its_checksum(tampering: Tampering, frozen: Path, made: dict[str, Path]):
    tampering.do(frozen)
    files = named(remeasured(frozen, made["thawed"]), "file")
    assert [(row.subject, row.observed) for row in files] == [(tampering.file, "was changed")]


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda each: each.do.__name__)
def test_tampering_is_named_also_where_its_checksum_was_written_anew(
    tampering: Tampering, frozen: Path, made: dict[str, Path]
):
    tampering.do(frozen)
    repeated.sign(frozen)
    found = remeasured(frozen, made["thawed"])
    assert not named(found, "file")
    rows = {(row.subject, row.quantity): row for row in named(found, tampering.level)}
    assert (tampering.subject, tampering.quantity) in rows, rows
    assert tampering.reason in rows[tampering.subject, tampering.quantity].reason


def test_a_single_changed_metric_is_the_only_deviation_and_the_sum_of_its_run_says_which(
    frozen: Path, made: dict[str, Path]
):
    a_metric(frozen)
    repeated.sign(frozen)
    single, total = sorted(
        remeasured(frozen, made["thawed"]).failing, key=lambda row: row.quantity != "all its metrics"
    )[::-1]
    assert single.difference == pytest.approx(0.001, rel=1e-3)
    assert isinstance(total.expected, int) and total.observed == total.expected - 1
    assert "auc of effusion on chexpert, val, sex female" in total.reason


def test_a_changed_prediction_changes_what_is_measured_from_it_and_only_of_its_run(frozen: Path, tmp_path: Path):
    a_prediction(frozen)
    repeated.sign(frozen)
    found = remeasured(frozen, repeated.thaw_results(frozen, tmp_path / "thawed"))
    assert {row.subject for row in named(found, "metrics")} == {RUN}


def test_a_file_too_many_and_a_file_too_few_are_named(frozen: Path, made: dict[str, Path]):
    (frozen / "notes.txt").write_text("x")
    (frozen / "upstreams.csv").unlink()
    files = named(remeasured(frozen, made["thawed"]), "file")
    assert [(row.subject, row.verdict) for row in files] == [("notes.txt", "extra"), ("upstreams.csv", "missing")]


@pytest.mark.parametrize("name", ["metrics.parquet", "predictions/chest.parquet", "config.yaml", "provenance.parquet"])
def test_a_broken_file_is_a_row_and_no_crash(name: str, frozen: Path, made: dict[str, Path]):
    (frozen / name).write_bytes(b"PAR1 not any more: [")
    found = remeasured(frozen, made["thawed"])
    assert [row.subject for row in named(found, "file")] == [name]
    assert len(found.failing) > 1


def test_a_byte_of_a_weights_file_is_found(made: dict[str, Path], tmp_path: Path):
    results = Path(shutil.copytree(made["results"], tmp_path / "results"))
    path = results / "upstream" / "narrow" / "r14w16.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    (row,) = rerun(made["frozen"], results).failing
    assert (row.subject, row.quantity) == ("narrow/r14w16", f"SHA-256 of {path}")


def test_a_run_that_was_not_repeated_is_missing(made: dict[str, Path], tmp_path: Path):
    runs = [run for run in repeated.RUNS if not (run.upstream == "narrow" and run.seed == 1)]
    found = rerun(made["frozen"], repeated.run_results(tmp_path / "results", runs=runs))
    (row,) = found.failing
    assert (row.level, row.subject, row.verdict) == ("completeness", RUN, "missing")
    assert "regenerated metrics.parquet" in row.reason


def test_the_configuration_in_force_is_held_against_that_of_every_run(made: dict[str, Path]):
    content = {**repeated.CONTENT, "recipe": {"overrides": {"learning_rate": 0.01}}, "results": "frozen"}
    found = remeasured(made["frozen"], made["thawed"], content)
    assert [row.quantity for row in named(found, "config")] == ["recipe.overrides.learning_rate"]
    records = named(found, "record")
    assert len({row.subject for row in records}) == len(repeated.RUNS)
    assert "hyperparameters.learning_rate" in {row.quantity for row in records}


def test_where_things_are_computed_may_differ(made: dict[str, Path]):
    content = {**repeated.CONTENT, "raw_root": "/elsewhere", "training": {"threads": 8}}
    found = remeasured(made["frozen"], made["thawed"], content)
    assert not found.failing
    assert {row.quantity for row in found.rows if row.verdict == "agrees"} == {"raw_root", "training.threads"}


def test_runs_of_another_machine_that_differ_slightly_agree_and_the_standard_says_why(
    made: dict[str, Path], tmp_path: Path
):
    found = rerun(made["frozen"], repeated.run_results(tmp_path / "results", 0.005, torch="2.14.0"))
    assert not found.failing
    assert found.standards is not None
    assert {standard.why for standard in found.standards.values()} == {"torch 2.13.0 and 2.14.0"}
    metrics = [row for row in found.rows if row.level == "metrics" and row.subject != "all runs"]
    assert {row.applied for row in metrics} == {"agreement"}
    assert all(row.tolerance > 0 and row.basis for row in metrics)
    assert any(row.difference > 0 for row in metrics)
    half, once, twice = found.moved
    assert half.within <= once.within <= twice.within
    assert half.expected < once.expected < twice.expected <= 1


def test_runs_of_another_machine_that_differ_grossly_deviate(made: dict[str, Path], tmp_path: Path):
    found = rerun(made["frozen"], repeated.run_results(tmp_path / "results", 4.0, torch="2.14.0"))
    assert "it differs by more than chance in training explains" in {row.reason for row in named(found, "metrics")}
    assert len(named(found, "predictions")) > 1
    assert not any(moved.passes for moved in found.moved)


def test_the_same_class_of_machine_owes_the_same_bits(made: dict[str, Path], tmp_path: Path):
    found = rerun(made["frozen"], repeated.run_results(tmp_path / "results", 0.0001))
    rows = named(found, "predictions")
    assert len(rows) == 2 * len(repeated.RUNS)
    assert {row.reason for row in rows} == {"bit-equality is promised here; its metrics say how far off it is"}
    assert not named(found, "metrics")


def test_what_a_run_saw_while_it_was_trained_is_compared_as_well(made: dict[str, Path], tmp_path: Path):
    results = Path(shutil.copytree(made["results"], tmp_path / "results"))
    table = pd.read_parquet(results / "provenance.parquet")
    table.loc[0, "validation"] = "0" * 64
    table.to_parquet(results / "provenance.parquet")
    (row,) = rerun(made["frozen"], results).failing
    assert row.quantity == "digest of regenerated validation"


def test_the_tables_are_there_to_be_read_whatever_comes_out(frozen: Path, made: dict[str, Path], tmp_path: Path):
    folder = Path(shutil.copytree(made["thawed"], tmp_path / "results"))
    shown = [str(ROOT / path) for path in ("config/published.csv", "report/verify.html.j2", "report/report.css")]
    script.main(str(folder), str(frozen), repeated.CONTENT, True, *shown)
    assert set(pd.read_csv(folder / "verify.csv")["verdict"]) == {"identical"}
    a_metric(frozen)
    repeated.sign(frozen)
    with pytest.raises(UserError, match="auc of effusion on chexpert, val, sex female: deviates"):
        script.main(str(folder), str(frozen), repeated.CONTENT, True, *shown)
    table = pd.read_csv(folder / "verify.csv", keep_default_na=False)
    assert (table["verdict"] == "deviates").sum() == 2
    assert (pd.read_csv(folder / "published.csv")["paper"] == "mustafa2021").all()
    page = Page()
    page.feed((folder / "verify.html").read_text())
    assert page.headings[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(page.headings))
    assert page.outside == []
    text = " ".join(page.text)
    assert text.index("Verdict") < text.index("tolerances halved") < text.index("Deviations") < text.index("Published")
    assert "auc of effusion on chexpert, val, sex female" in text
    assert "No number of Mustafa et al. 2021" in text


class Page(HTMLParser):
    """Levels of headings in order, addresses that leave the page, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.outside: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        self.outside += [value for name, value in attrs if name in ("src", "href") and value and value[0] != "#"]

    def handle_data(self, data: str) -> None:
        self.text.append(data)
