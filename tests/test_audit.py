"""An audit's runs: what is confirmed, what deviates and by how much, what could not be tried, and what is said."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from medtransfer.config import Config, load
from medtransfer.config.review import Audit as Asked
from medtransfer.errors import UserError
from medtransfer.files import write_json, write_parquet
from medtransfer.review import audit_report
from medtransfer.review.audit_report import Audit
from medtransfer.review.checks import AS_EXPECTED, CONFIRMED, DEVIATING, NOT_HERE, RUNS, Check
from medtransfer.review.frozen import Frozen
from medtransfer.review.provenance import Provenance
from medtransfer.review.record_audit import audit_record, require
from medtransfer.review.retrain import failure, link_data, obstacles
from medtransfer.review.run_audit import audit_runs
from medtransfer.review.sampling import draw
from medtransfer.runs import Run
from tests.conftest import ROOT
from tests.repeated import CONFIG, CONTENT, freeze_results, run_results, sign
from tests.repeated import RUNS as ALL

DRAWN = [ALL[0], ALL[4], ALL[8]]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    return freeze_results(run_results(folder / "results"), folder / "frozen")


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_results(tmp_path_factory.mktemp("again"))


def audited(record: Path, folder: Path, drawn: list[Run] = DRAWN) -> Audit:
    frozen = Frozen.open(record)
    records = Provenance.read(record / "provenance.parquet", {}).runs
    checks, standards = audit_runs(CONFIG, frozen, records, folder, drawn)
    return Audit("tiny", "Invented.", {"Seed": "<7>"}, len(ALL), drawn, standards, checks)


def falsify(record: Path, path: Path, table: str, change) -> Path:
    """A copy of the record in which a table was changed, with checksums that fit."""
    copied = path / "falsified"
    for file in record.rglob("*"):
        if file.is_file():
            (copied / file.relative_to(record)).parent.mkdir(parents=True, exist_ok=True)
            (copied / file.relative_to(record)).write_bytes(file.read_bytes())
    content = pd.read_parquet(copied / table)
    change(content)
    write_parquet(content, copied / table)
    sign(copied)
    Frozen.open(copied).check()
    return copied


def deviating(audit: Audit) -> set[tuple[str, str]]:
    return {(check.subject, check.check) for check in audit.checks if check.result == DEVIATING}


def test_runs_that_come_out_the_same_are_confirmed_bit_by_bit(record: Path, again: Path) -> None:
    audit = audited(record, again)
    assert {check.result for check in audit.checks} == {CONFIRMED} and audit.passes
    assert "3 of 3 drawn runs were trained again, all of them bit-identical" in audit.verdict
    assert all(held.bits for held in audit.standards.values())
    measured = [check for check in audit.checks if check.check == "auc on nih_cxr14"]
    assert len(measured) == 3 and all(check.n == 100 for check in measured)


def test_one_changed_logit_in_the_record_is_named_with_its_size(record: Path, again: Path, tmp_path: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        here = table.index[(table["backbone"] == "r14w16") & (table["upstream"] == "narrow") & (table["seed"] == 1)][0]
        logits = table.at[here, "logits"].copy()
        logits[17] += np.float32(0.25)
        table.at[here, "logits"] = logits

    audit = audited(falsify(record, tmp_path, "predictions/chest.parquet", change), again)
    assert deviating(audit) == {(ALL[4].path, "predictions")} and not audit.passes
    (found,) = (check for check in audit.checks if check.result == DEVIATING)
    assert (
        found.difference == pytest.approx(0.25, rel=1e-5)
        and "logits of 1 images differ, by 0.25 at most" in found.detail
    )
    assert audit.unconfirmed == 1 and "Of 3 draws from 9 records 1" in audit.bound


def test_falsified_runs_are_found_at_the_rate_of_the_bound(record: Path, again: Path, tmp_path: Path) -> None:
    """One of nine, which is a little more than a tenth, over many of the seeds that a reviewer may choose."""

    def change(table: pd.DataFrame) -> None:
        table.at[5, "logits"] = table.at[5, "logits"][::-1].copy()

    results = audited(falsify(record, tmp_path, "predictions/chest.parquet", change), again, ALL).results
    wrong = {run for run, result in results.items() if result == DEVIATING}
    assert len(wrong) == 1 and set(results.values()) == {CONFIRMED, DEVIATING}
    for k in (2, 5):
        found = np.mean([bool(wrong & set(draw(ALL, k, seed))) for seed in range(2000)])
        promised = 1 - (1 - 1 / 9) ** k
        assert found >= promised - 3 * np.sqrt(promised * (1 - promised) / 2000)


def test_two_swapped_seeds_deviate(record: Path, again: Path, tmp_path: Path) -> None:
    def swap(table: pd.DataFrame) -> None:
        own = table.index[(table["backbone"] == "r26w32") & (table["seed"] > 0)]
        table.loc[own, "seed"] = table.loc[own, "seed"].to_numpy()[::-1]

    audit = audited(falsify(record, tmp_path, "predictions/chest.parquet", swap), again)
    assert deviating(audit) == {(ALL[8].path, "predictions")}


def test_a_changed_metric_label_or_hyperparameter_is_named(record: Path, again: Path, tmp_path: Path) -> None:
    def better(table: pd.DataFrame) -> None:
        table.loc[(table["metric"] == "auc") & (table["cohort"] == "chexpert"), "value"] += np.float32(0.01)

    audit = audited(falsify(record, tmp_path / "metric", "metrics.parquet", better), again)
    assert deviating(audit) == {(run.path, "auc on chexpert") for run in DRAWN}

    def relabel(table: pd.DataFrame) -> None:
        table.loc[3, "target_effusion"] = 1 - table.loc[3, "target_effusion"]

    audit = audited(falsify(record, tmp_path / "label", "predictions/chest.images.parquet", relabel), again)
    assert (ALL[0].path, "predictions") in deviating(audit)
    assert any("other images, patients or targets" in check.detail for check in audit.checks)

    def pretend(table: pd.DataFrame) -> None:
        table["record"] = table["record"].str.replace('"learning_rate": 0.003', '"learning_rate": 0.001')

    audit = audited(falsify(record, tmp_path / "setting", "provenance.parquet", pretend), again)
    assert {name for _, name in deviating(audit)} == {"settings and weights"}
    assert any("hyperparameters.learning_rate was 0.001, is 0.003" in check.detail for check in audit.checks)


def test_a_digest_that_fits_no_prediction_deviates_though_predictions_do_not(
    record: Path, again: Path, tmp_path: Path
) -> None:
    def other(table: pd.DataFrame) -> None:
        table.loc[table["what"] == "run", "predictions"] = "0" * 64

    audit = audited(falsify(record, tmp_path, "provenance.parquet", other), again)
    assert {name for _, name in deviating(audit)} == {"predictions"}


@pytest.mark.parametrize(
    ("torch", "processor", "unlike"), [("2.14.0", "x86_64, one model", "torch"), ("2.13.0", "another", "processor")]
)
@pytest.mark.parametrize(("disturbed", "result"), [(0.02, AS_EXPECTED), (3.0, DEVIATING)])
def test_elsewhere_metrics_are_held_to_what_chance_explains(
    record: Path, tmp_path: Path, torch: str, processor: str, unlike: str, disturbed: float, result: str
) -> None:
    elsewhere = run_results(tmp_path / "elsewhere", disturbed=disturbed, torch=torch, processor=processor)
    audit = audited(record, elsewhere)
    assert audit.worst == result and audit.passes == (result == AS_EXPECTED)
    assert all(held.why.startswith(unlike) and not held.bits for held in audit.standards.values())
    assert audit.results[ALL[8]] in (AS_EXPECTED, result)
    if audit.passes:
        assert "no more than chance" in audit.verdict and "bit-identical" not in audit.verdict


def test_the_same_difference_deviates_where_bits_are_promised(record: Path, tmp_path: Path) -> None:
    audit = audited(record, run_results(tmp_path / "here", disturbed=1e-4))
    assert {(run.path, "predictions") for run in DRAWN} <= deviating(audit)
    assert any("bit-equality is promised here" in check.detail for check in audit.checks)


def test_nothing_is_audited_that_is_not_the_record_that_was_frozen(record: Path, tmp_path: Path) -> None:
    copied = falsify(record, tmp_path, "metrics.parquet", lambda table: None)
    frozen = Frozen.open(copied)
    records = Provenance.read(copied / "provenance.parquet", {}).runs
    require(frozen, records, DRAWN)
    with pytest.raises(UserError, match=f"no record of {DRAWN[0].path}"):
        require(frozen, {}, DRAWN)
    (copied / "metrics.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"metrics\.parquet was changed"):
        require(frozen, records, DRAWN)


def test_another_configuration_in_force_is_named_key_by_key(record: Path) -> None:
    frozen, records = Frozen.open(record), Provenance.read(record / "provenance.parquet", {}).runs
    asked = CONFIG.model_copy(update={"audit": Asked(runs=2, seed=9)})
    assert {check.result for check in audit_record(frozen, records, asked)} == {CONFIRMED}
    other = load(CONTENT | {"recipe": {"overrides": {"learning_rate": 0.5}}}, "test")
    (found,) = (check for check in audit_record(frozen, records, other) if check.result == DEVIATING)
    assert "recipe.overrides.learning_rate" in found.detail and "0.5" in found.detail


def test_runs_of_one_task_that_say_they_saw_other_data_contradict_each_other(record: Path, tmp_path: Path) -> None:
    def other(table: pd.DataFrame) -> None:
        content = json.loads(table.loc[2, "record"]) | {}
        content["inputs"]["cohorts"]["chexpert"] = "another"
        table.loc[2, "record"] = json.dumps(content)

    copied = falsify(record, tmp_path, "provenance.parquet", other)
    records = Provenance.read(copied / "provenance.parquet", {}).runs
    found = [check for check in audit_record(Frozen.open(copied), records, CONFIG) if check.result == DEVIATING]
    assert len(found) == 1 and f"{ALL[2].path} was made from another cohort chexpert" in found[0].detail


def small() -> Config:
    content = yaml.safe_load((ROOT / "config" / "small.yaml").read_text())
    return load(content | {"raw_root": "nowhere"}, "config/small.yaml")


def test_what_a_run_lacks_here_is_said_before_anything_is_tried(tmp_path: Path) -> None:
    config = small()
    task = next(name for name, each in config.tasks.items() if each.id_cohort == "nih_cxr14")
    run = Run(task, "r26w32", "none", "random", "rule", "pct100", 0)
    assert obstacles(config, tmp_path, run, []) == ["the configuration has no such run"]
    assert "data absent: nowhere/nih_cxr14" in obstacles(config, tmp_path, run, [run])
    for dataset in (
        name for cohort in [*config.tasks[task].ood_cohorts, "nih_cxr14"] for name in config.sources(cohort)
    ):
        (tmp_path / "cohorts").mkdir(exist_ok=True)
        (tmp_path / "cohorts" / f"{dataset}.parquet").touch()
    assert obstacles(config, tmp_path, run, [run]) == []


def test_a_run_that_failed_is_not_confirmed_and_not_wrong(record: Path, again: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch" / ALL[1].path
    write_json({"status": "failed", "reason": "the loss is not finite"}, scratch / "outcome.json")
    assert failure(tmp_path, ALL[1]) == "training failed: the loss is not finite"
    assert "log" in failure(tmp_path, ALL[2])
    done = audited(record, again, [ALL[0]])
    absent = Check(RUNS, ALL[1].path, "trained again", NOT_HERE, 0, failure(tmp_path, ALL[1]))
    audit = Audit("tiny", "", {}, len(ALL), [ALL[0], ALL[1]], done.standards, [*done.checks, absent])
    assert audit.worst == NOT_HERE and not audit.passes and audit.unconfirmed == 1
    assert "no confirmation" in audit.verdict and "1 of 2 drawn runs" in audit.verdict
    assert "the loss is not finite" in audit_report.text(audit)


def test_a_wrong_record_outweighs_one_that_could_not_be_tried(record: Path, again: Path) -> None:
    done = audited(record, again, [ALL[0]])
    wrong = [Check(RUNS, ALL[1].path, "predictions", result, 1) for result in (NOT_HERE, DEVIATING)]
    audit = Audit("tiny", "", {}, len(ALL), [ALL[0], ALL[1]], done.standards, [*done.checks, *wrong])
    assert (
        audit.verdict.startswith("Something is wrong. Checks that deviate: 1 (runs")
        and audit.results[ALL[1]] == DEVIATING
    )


def test_data_is_linked_and_nothing_that_was_trained(tmp_path: Path) -> None:
    for name in ("cohorts/a.parquet", "images/a-8.npy", "runs/x/predictions.parquet", "upstream/u/r.json", "scratch/x"):
        (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / name).write_text(name)
    for _ in range(2):
        link_data(tmp_path / "results", tmp_path / "audit")
    made = {str(path.relative_to(tmp_path / "audit")) for path in (tmp_path / "audit").rglob("*") if path.is_file()}
    assert made == {"cohorts/a.parquet", "images/a-8.npy"}
    assert (tmp_path / "audit/images/a-8.npy").samefile(tmp_path / "results/images/a-8.npy")


def test_the_page_says_the_verdict_first_and_escapes_what_it_is_given(record: Path, again: Path) -> None:
    hostile = Check(RUNS, DRAWN[0].path, "<script>alert(1)</script>", DEVIATING, 1, "{{ 7 * 7 }}", np.nan, 0.5)
    done = audited(record, again)
    audit = Audit("tiny", "Invented & synthetic.", done.facts, 9, DRAWN, done.standards, [*done.checks, hostile])
    template, style = ((ROOT / "report" / name).read_text() for name in ("audit.html.j2", "report.css"))
    page = audit_report.page(audit, template, style)
    assert page.index("Something is wrong") < page.index(DRAWN[0].path) < page.index("auc on chexpert")
    assert (
        "<script" not in page and "{{ 7 * 7 }}" in page and "&lt;7&gt;" in page and "Invented &amp; synthetic." in page
    )
    assert "://" not in page and page.count("<h1") == 1
    written = audit_report.table(audit)
    assert len(written) == len(audit.checks) and set(written["result"]) == {CONFIRMED, DEVIATING}
