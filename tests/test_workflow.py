"""The whole workflow through the real Snakefile, on the smallest configuration: what it makes, and what it re-runs."""

import base64
import hashlib
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from medtransfer.review import notebook
from tests.conftest import ROOT

SOURCES = ("Snakefile", "rules", "workflow_scripts", "figures", "report", "config", "profiles", "tests/config")
RUN = "chest5/r14w16/scenes-small/pretrained/rule/pct100/seed0"
TINY = "tests/config/tiny.yaml"
PRODUCTS = ("figures", "tables", "claims")
FIGURES = [
    f"scale_{name}"
    for name in (
        "performance", "shift", "adaptation", "efficiency", "benefit", "fairness", "equity", "calibration",
        "uncertainty", "selective", "convergence", "representation", "fits", "verdicts",
    )
]  # fmt: skip
TABLES = [
    f"scale_{name}"
    for name in ("table", "needed", "fairness_table", "uncertainty_table", "convergence_table", "fits_table", "claims")
]
RUNS = 17


def clone(folder: Path) -> Path:
    """A copy of the workflow's sources, without anything that a run has made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


def command(*options: str, config: str = TINY, targets: Sequence[str] = ()) -> list[str]:
    start = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", config]
    return [*start, *options, "--", *targets]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}


def run(folder: Path, *options: str, config: str = TINY, targets: Sequence[str] = ()) -> tuple[int, str]:
    """Run Snakemake in a folder; its exit status and output."""
    arguments = command(*options, config=config, targets=targets)
    done = subprocess.run(arguments, cwd=folder, env=environment(folder), text=True, capture_output=True)
    return done.returncode, done.stdout + done.stderr


def snakemake(folder: Path, *options: str, config: str = TINY, targets: Sequence[str] = ()) -> str:
    """Run Snakemake in a folder; its output, or a failed test."""
    status, text = run(folder, *options, config=config, targets=targets)
    assert status == 0, text
    return text


def planned(folder: Path, config: str = TINY, targets: Sequence[str] = PRODUCTS) -> Counter[str]:
    """How many jobs of each rule a dry run plans."""
    text = snakemake(folder, "--dry-run", "--quiet", "host", config=config, targets=targets)
    table = text.partition("Job stats:")[2].partition("total")[0]
    return Counter({rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = clone(tmp_path_factory.mktemp("finished"))
    snakemake(folder)
    return folder


def results(folder: Path) -> Path:
    return folder / "results" / "tiny"


def test_everything_is_there(finished: Path) -> None:
    made = results(finished)
    for figure in FIGURES:
        for suffix in ("svg", "pdf", "csv"):
            assert (made / "figures" / f"{figure}.{suffix}").stat().st_size > 300, figure
    for table in TABLES:
        for suffix in ("csv", "md", "tex"):
            assert (made / "tables" / f"{table}.{suffix}").stat().st_size > 300, table
    for folder, drawn in (("figures", FIGURES), ("tables", TABLES)):
        assert len({(made / folder / f"{name}.csv").read_bytes() for name in drawn}) == len(drawn)  # of its own script
    report = (made / "report.html").read_text()
    assert all(name in report for name in (*FIGURES, *TABLES))
    complete = pd.read_csv(made / "completeness.csv", keep_default_na=False)
    assert len(complete) == RUNS and (complete["status"] == "present").all()
    assert not list(made.rglob("*.tmp")) and not list((made / "scratch").rglob("checkpoint.pt"))


def test_every_claim_has_a_verdict_that_carries_the_note(finished: Path) -> None:
    claims = pd.read_csv(results(finished) / "claims.csv")
    assert {f"S{number}" for number in range(1, 14)} == set(claims["claim"])
    assert set(claims["verdict"]) <= {"supported", "contradicted", "inconclusive", "not asked"}
    assert claims["note"].str.contains("Synthetic images of a test").all()
    skin = claims[claims["task"] == "skin8"]
    assert (skin["verdict"] == "not asked").all()


def test_predictions_cover_validation_test_and_every_ood_cohort(finished: Path) -> None:
    predictions = pd.read_parquet(results(finished) / "runs" / RUN / "predictions.parquet")
    assert set(zip(predictions["cohort"], predictions["split"], strict=True)) == {
        ("chexpert", "val"),
        ("chexpert", "test"),
        ("nih_pa", "test"),
    }
    cohort = pd.read_parquet(results(finished) / "cohorts" / "chexpert.parquet")
    training = pd.read_parquet(results(finished) / "subsets" / "chest5" / "pct100" / "seed0.parquet")
    assert not set(training["patient_id"]) & set(predictions["patient_id"])
    assert set(predictions.loc[predictions["cohort"] == "chexpert", "image_id"]) <= set(cohort["image_id"])


def test_the_record_says_where_numbers_come_from(finished: Path) -> None:
    record = json.loads((results(finished) / "runs" / RUN / "run.json").read_text())
    assert record["upstream"] == "scenes-small" and record["seed"] == 0
    assert record["hyperparameters"]["deviations"] == ["steps=10", "batch=16", "learning_rate=0.03"]
    assert record["images_seen"] == 160 and record["recipe_version"] >= 1
    assert len(record["inputs"]["weights"][0]) == 64 and record["packages"]["torch"]
    history = pd.read_parquet(results(finished) / "runs" / RUN / "history.parquet")
    assert len(history) == 10 and history["learning_rate"].iloc[0] == 0


def test_what_cannot_be_used_is_listed(finished: Path) -> None:
    rejected = pd.read_csv(results(finished) / "cohorts" / "chexpert.rejected.csv")
    assert {"file", "reason"} == set(rejected.columns)
    assert len(rejected) and rejected.notna().all(axis=None)


def test_again_there_is_nothing_to_do(finished: Path) -> None:
    assert not planned(finished, targets=["all"])


def test_touched_code_and_a_fresh_clone_rerun_nothing(finished: Path, tmp_path: Path) -> None:
    fresh = clone(tmp_path)
    shutil.copytree(results(finished), results(fresh), copy_function=shutil.copy2)
    time.sleep(0.01)
    for source in [*(fresh / "workflow_scripts").rglob("*.py"), *(fresh / "rules").iterdir(), fresh / "Snakefile"]:
        source.write_text(source.read_text() + "\n# A comment.\n")
    assert set(planned(fresh)) <= {*DRAWN_ANEW, "figures", "tables"}  # for what they draw with


def test_an_edited_figure_is_drawn_again_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    fresh = clone(tmp_path)
    for made in ("results", ".snakemake"):
        shutil.copytree(finished / made, fresh / made, copy_function=shutil.copy2)
    script = fresh / "figures" / "scale_shift.py"
    script.write_text(script.read_text().replace("height=", "height=1 + "))
    (fresh / "report" / "scale_table.rst").write_text("Another caption.\n")
    assert set(planned(fresh)) - {"figures", "tables"} == {"fig_scale_shift"}
    snakemake(fresh, targets=["fig_scale_shift"])
    assert not planned(fresh)
    for name, same in (("scale_shift", False), ("scale_performance", True)):
        old, new = ((results(folder) / "figures" / f"{name}.svg").read_bytes() for folder in (finished, fresh))
        assert (old == new) is same


@pytest.mark.parametrize("name", ["scale_representation", "scale_verdicts"])
def test_a_script_opened_as_a_notebook_shows_the_workflows_figure(
    finished: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(notebook, "ROOT", finished)
    monkeypatch.setenv(notebook.CONFIGURATION, TINY)
    monkeypatch.setattr("IPython.display.display", shown.append)
    runpy.run_path(str(finished / "figures" / f"{name}.py"), run_name="__main__")
    drawn = (results(finished) / "figures" / f"{name}.svg").read_bytes()
    assert base64.b64encode(drawn).decode() in shown[0].data


def test_a_figure_as_an_executed_notebook_is_the_workflows(finished: Path) -> None:
    snakemake(finished, targets=["results/tiny/notebooks/scale_performance.html"])
    page = (results(finished) / "notebooks" / "scale_performance.html").read_text()
    drawn = (results(finished) / "figures" / "scale_performance.svg").read_bytes()
    assert base64.b64encode(drawn).decode() in page and "draw_cohort" in page
    assert planned(finished, targets=["notebooks"])["notebook"] == len(FIGURES) + len(TABLES) - 1


def _with(folder: Path, change: str) -> str:
    """The tiny configuration with a `section.key=value` changed, and all else as it is."""
    content = yaml.safe_load((folder / TINY).read_text())
    key, _, value = change.partition("=")
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = yaml.safe_load(value)
    changed = folder / "changed.yaml"
    changed.write_text(yaml.safe_dump(content, sort_keys=False))
    return changed.name


DRAWN_ANEW = {f"fig_{name}" for name in (*FIGURES, *TABLES)}
SHOWN = {"claims", *DRAWN_ANEW}
MEASURED = {"metrics", "results", "completeness", "primary", *SHOWN}
TRAINED = {"finetune", "finished_run", "finished_run_kept", *MEASURED}
DRAWN = {"synthesise", "read_dataset", "image_store", "cohort"}


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        ("training.checkpoint_seconds=30.0", set()),
        ("training.memory_mb=4000", set()),
        ("training.longest_minutes=10", set()),
        ("note=Another note", SHOWN),
        ("tasks.chest5.intersections=[]", MEASURED),
        ("metrics.replicates=200", MEASURED),
        ("recipe.overrides.learning_rate=0.02", TRAINED),
        ("tasks.chest5.flip=true", TRAINED),
        ("tasks.chest5.uncertain=ones", {"subset", *TRAINED}),
        ("upstreams.scenes-small.steps=9", {"pretrain", "upstreams", *TRAINED} - {"finished_run_kept"}),
        ("upstreams.scenes-large.steps=9", {"pretrain", "upstreams", *TRAINED}),
        ("recipes.long.stretch=3.0", TRAINED - {"finished_run_kept"}),
        ("tracking.looks=4", TRAINED),
        ("metrics.operating_point=0.9", MEASURED),
        ("synthetic.nih_cxr14.seed=1", {*DRAWN, "derived_cohort", "duplicates", "subset", *TRAINED}),
        ("cohorts.nih_pa.where={view: [AP]}", {"derived_cohort", "duplicates", "subset", *TRAINED}),
    ],
)
def test_a_change_reruns_exactly_what_depends_on_it(finished: Path, change: str, rerun: set[str]) -> None:
    assert set(planned(finished, _with(finished, change))) - {"figures", "tables"} == rerun


def test_a_change_of_one_upstream_leaves_the_others_alone(finished: Path) -> None:
    jobs = planned(finished, _with(finished, "upstreams.scenes-small.steps=9"))
    assert (jobs["pretrain"], jobs["finetune"], jobs["image_store"], jobs["subset"]) == (2, 3, 0, 0)


def test_a_raised_recipe_version_reruns_its_stage(finished: Path, tmp_path: Path) -> None:
    fresh = clone(tmp_path)
    for made in ("results", ".snakemake"):
        shutil.copytree(finished / made, fresh / made, copy_function=shutil.copy2)
    versions = fresh / "workflow_scripts" / "medtransfer" / "versions.py"
    versions.write_text(re.sub(r"^TRAINING = \d+$", "TRAINING = 999", versions.read_text(), flags=re.MULTILINE))
    jobs = planned(fresh)
    trained = jobs["finished_run"] + jobs["finished_run_kept"]
    assert (jobs["pretrain"], trained, jobs["image_store"], jobs["synthesise"]) == (4, RUNS, 0, 0)


def test_nothing_of_the_demo_leaks_into_another_tier(finished: Path) -> None:
    runs = snakemake(finished, "--quiet", "host", targets=["runs"])
    assert "scenes-small" in runs and "pad_ufes" not in runs
    assert len(pd.read_csv(results(finished) / "runs.csv")) == RUNS
    assert {path.name for path in (finished / "results").iterdir()} == {"tiny"}


def test_a_mistake_is_told_before_any_job_starts(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    content = yaml.safe_load((folder / TINY).read_text())
    content["recipe"]["overrides"]["learning_rate"] = "3e-3"
    (folder / "wrong.yaml").write_text(yaml.safe_dump(content))
    status, text = run(folder, config="wrong.yaml")
    assert status != 0
    assert "wrong.yaml: recipe.overrides.learning_rate: '3e-3' is text to YAML" in text
    assert "Traceback" not in text and not (folder / "results").exists()


def test_a_configuration_without_a_tier_is_not_completed_from_the_demo(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    (folder / "half.yaml").write_text("note: half a configuration\n")
    status, text = run(folder, config="half.yaml")
    assert status != 0 and "half.yaml: tier: this key is required" in text


def test_absent_raw_files_are_one_list_that_says_where_from_and_what(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    status, text = run(folder, "--config", "raw_root=nowhere", config="config/small.yaml")
    assert status != 0
    for words in ("things that tier small reads are not there", "nowhere/nih_cxr14", "nowhere/ham10000", "http"):
        assert words in text


def test_the_paper_tier_is_planned_without_any_file_of_it(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    jobs = planned(folder, "config/paper.yaml", targets=["all"])
    assert jobs["finished_run"] + jobs["finished_run_kept"] > 2000 and jobs["read_dataset"] == 13
    text = snakemake(folder, "--dry-run", "--quiet", "host", config="config/paper.yaml")
    assert text.count("things that tier paper reads are not there") == 1
    assert "raw/weights/BiT-M-R152x4.npz: weights of r152x4, in21k" in text


def test_adaptation_goes_on_from_the_run_of_the_same_seed_with_its_classifier(finished: Path) -> None:
    adapted = results(finished) / "runs/nih/r14w32/chest5/pretrained/rule/pct100/seed0"
    begun = results(finished) / "runs/chest5/r14w32/scenes-large/pretrained/rule/pct100/seed0"
    weights = json.loads((adapted / "run.json").read_text())["inputs"]["weights"]
    assert weights == [hashlib.sha256((begun / "weights.safetensors").read_bytes()).hexdigest()]
    first = pd.read_parquet(adapted / "validation.parquet").query("step == 0")
    assert first.filter(like="logit_").abs().to_numpy().max() > 0
    assert not (results(finished) / "runs" / RUN / "weights.safetensors").exists()


def test_a_long_run_and_a_trial_differ_from_the_rule_in_what_they_say(finished: Path) -> None:
    def deviations(run: str) -> list[str]:
        record = json.loads((results(finished) / "runs/chest5/r14w16" / run / "run.json").read_text())
        return [str(each) for each in record["hyperparameters"]["deviations"]]

    assert deviations("none/random/long/pct100/seed0") == ["steps=10", "stretch=2.0", "batch=16", "learning_rate=0.03"]
    assert len(deviations("scenes-large/pretrained/trial1/pct100/seed0")) == 6


def test_every_cohort_has_a_page(finished: Path) -> None:
    pages = {path.stem for path in (results(finished) / "quality").glob("*.html")}
    assert pages == {"chexpert", "nih_pa", "skin", "scenes"}
    counts = pd.read_csv(results(finished) / "quality" / "skin.csv")
    images = counts[(counts["section"] == "size") & (counts["value"] == "images")]
    assert images["count"].sum() == len(pd.read_parquet(results(finished) / "cohorts" / "skin.parquet"))


def test_nothing_has_to_be_fetched_for_drawn_datasets(finished: Path) -> None:
    assert "No dataset of this configuration has to be fetched." in snakemake(finished, targets=["acquire"])


@pytest.mark.slow
def test_from_frozen_results_come_the_same_files_and_verification_says_so(finished: Path, tmp_path: Path) -> None:
    snakemake(finished, targets=["freeze"])
    folder = clone(tmp_path)
    shutil.copytree(finished / "figures" / "frozen", folder / "figures" / "frozen", dirs_exist_ok=True)
    told = snakemake(folder, "--config", "results=frozen", targets=["report", "verify"])
    assert "0 agree within what is expected" in told and "deviates" not in told
    fresh, thawed = results(finished), folder / "results" / "tiny-frozen"
    files = [path.relative_to(fresh) for place in ("figures", "tables") for path in (fresh / place).iterdir()]
    assert len(files) == 3 * (len(FIGURES) + len(TABLES))
    assert [str(path) for path in files if (fresh / path).read_bytes() != (thawed / path).read_bytes()] == []
    assert (fresh / "claims.csv").read_bytes() == (thawed / "claims.csv").read_bytes()
    assert (thawed / "report.html").stat().st_size > 100_000
    rest = run(finished, targets=["freeze"])
    assert rest[0] != 0 and "written once" in rest[1]


@pytest.mark.slow
def test_a_leak_stops_the_workflow_until_it_is_excluded(finished: Path, tmp_path: Path) -> None:
    folder = clone(tmp_path)
    content = yaml.safe_load((folder / TINY).read_text())
    for dataset in ("chexpert", "nih_cxr14"):
        shutil.copytree(results(finished) / "raw" / dataset, folder / "raw" / dataset)
        del content["synthetic"][dataset]
    trained, tested = (
        pd.read_parquet(results(finished) / "cohorts" / f"{cohort}.parquet").query(f"split == '{split}'").iloc[0]
        for cohort, split in (("chexpert", "train"), ("nih_pa", "test"))
    )
    shutil.copy(folder / "raw/nih_cxr14" / tested["path"], folder / "raw/chexpert" / trained["path"])
    (folder / "leaky.yaml").write_text(yaml.safe_dump(content))
    target = "results/tiny/subsets/chest5/pct100/seed0.parquet"
    status, text = run(folder, config="leaky.yaml", targets=[target])
    assert status != 0 and "Task chest5: 1 training images are tested on as well" in text
    assert f"chexpert {trained['image_id']}: duplicate of nih_pa {tested['image_id']}" in text
    shutil.copy(results(folder) / "quality" / "chest5.leaks.csv", folder / "excluded.csv")
    (folder / "leaky.yaml").write_text(yaml.safe_dump(content | {"exclude": ["excluded.csv"]}))
    snakemake(folder, config="leaky.yaml", targets=[target])
    assert trained["image_id"] not in set(pd.read_parquet(folder / target)["image_id"])
    rejected = pd.read_csv(results(folder) / "cohorts" / "chexpert.rejected.csv")
    assert rejected["reason"].str.startswith("excluded by excluded.csv: duplicate of nih_pa").sum() == 1


@pytest.mark.slow
def test_two_processes_compute_what_one_does(finished: Path, tmp_path: Path) -> None:
    folder = clone(tmp_path)
    shutil.copytree(results(finished), results(folder), copy_function=shutil.copy2)
    target = f"results/tiny/runs/{RUN}/predictions.parquet"
    (folder / target).unlink()
    snakemake(folder, config=_with(folder, "training={devices: 2, checkpoint_seconds: 0.0}"), targets=[target])
    one, two = (pd.read_parquet(place / target) for place in (finished, folder))
    pd.testing.assert_frame_equal(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_killed_at_any_step_and_rerun_predictions_are_bit_identical(finished: Path, tmp_path: Path) -> None:
    folder = clone(tmp_path)
    made, scratch = "results/tiny", "results/tiny/scratch"
    target = f"{made}/runs/{RUN}/predictions.parquet"
    moments = {  # each with what is being made then; other jobs could be done before it
        f"{made}/raw/chexpert": f"{made}/raw/chexpert",
        f"{scratch}/images/chexpert-32/key": f"{made}/images/chexpert-32.npy",
        f"{scratch}/upstream/scenes-small/r14w16/checkpoint.pt": f"{made}/upstream/scenes-small/r14w16.safetensors",
        f"{scratch}/{RUN}/checkpoint.pt": target,
        target: target,
    }
    for moment, (sign, wanted) in enumerate(moments.items()):
        with (folder / f"killed{moment}.log").open("w") as log:
            process = subprocess.Popen(
                command(targets=[wanted]), cwd=folder, env=environment(folder), start_new_session=True,
                stdout=log, stderr=log,
            )  # fmt: skip
        # A checkpoint of so short a run is there for some tenths of a second.
        while process.poll() is None and not (folder / sign).exists():
            time.sleep(0.002)
        assert process.poll() is None, f"{sign} was missed: {(folder / f'killed{moment}.log').read_text()}"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        snakemake(folder, "--unlock")
    snakemake(folder, targets=[target])
    assert (folder / target).read_bytes() == (finished / target).read_bytes()
