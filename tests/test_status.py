"""How far training is can be asked at any moment, whatever lies in scratch folders then."""

import csv
import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import status as script
from medtransfer.compute.forecast import Job
from medtransfer.compute.status import STATES, Status, file_clock, headline, scratch_of, status, text
from medtransfer.files import write_json
from medtransfer.processes import this_process
from medtransfer.training.attempt import STALE_SECONDS
from tests.test_workflow import clone, run

IMAGES = 32_000
ELSEWHERE = {"host": "node7", "pid": 4711, "started": "12345", "slurm_job": "815"}
TOLD = {
    **ELSEWHERE,
    "device": "NVIDIA A100",
    "step": 25,
    "steps": 100,
    "loss": 0.5,
    "images_per_second": 320.0,
    "data_share": 0.04,
    "peak_memory_mb": 3000,
    "peak_gpu_memory_mb": 15_000,
    "checkpoint_step": 20,
    "time": 0.0,
}
RECORD = {"seconds": {"preparation": 10.0, "step": 3500.0, "data": 90.0}, "devices": 2, "device": "NVIDIA A100"}
NAN = (
    "The loss of step {} is nan at learning rate {}; the batch began with the training rows [3, {}]. Lower it, or look "
    "at those images. The last good state, if one was saved, is results/t/scratch/{}/checkpoint.pt."
)


class Tier:
    """Results of a tier as jobs leave them, run by run."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results" / "t"

    def job(self, name: str = "chest/r50x1/in1k/pretrained/rule/pct100/seed0") -> Job:
        record = self.results / "runs" / name / "run.json"
        return Job("finetune", str(record), False, 4, 8000, 60, 1000.0, gpus=1, backbone="r50x1")

    def write(self, job: Job, name: str, content: Any, age: float = 0) -> Path:
        """Write a file of its scratch folder, so many seconds ago."""
        path = scratch_of(Path(job.record), self.results) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        then = file_clock(self.results) - age
        os.utime(path, (then, then))
        return path

    def done(self, job: Job, record: Any = RECORD) -> None:
        Path(job.record).parent.mkdir(parents=True)
        Path(job.record).write_text(json.dumps(record))

    def status(self, job: Job) -> Status:
        return status(job, IMAGES, self.results, file_clock(self.results))


@pytest.fixture
def tier(tmp_path: Path) -> Tier:
    return Tier(tmp_path)


def said(*found: Status) -> str:
    return text(found, True, time.time())


def test_a_running_job_says_where_how_fast_and_when_it_was_saved(tier: Tier) -> None:
    job = tier.job()
    tier.write(job, "owner.json", ELSEWHERE, age=10)
    tier.write(job, "progress.json", TOLD)
    tier.write(job, "checkpoint.pt", "", age=70)
    found = tier.status(job)
    assert (found.state, found.node, found.device, found.slurm_job) == ("running", "node7", "NVIDIA A100", "815")
    assert (found.step, found.steps, found.images_per_second, found.data_share) == (25, 100, 320, 0.04)
    assert found.checkpoint_seconds == pytest.approx(70, abs=2) and found.silent_seconds == pytest.approx(10, abs=2)
    # Steps of 320 images take a second each.
    assert (found.spent, found.left) == (25, 75)
    printed = said(found)
    assert re.search(
        r"chest/\S+/seed0 +node7 +NVIDIA A100 +815 +25/100 +320 +4% +3,000 +15,000 +00:01:\d\d ago +00:01:15", printed
    )
    assert "1 job on 1 node; 4% of their time is waiting for data" in printed


def test_what_an_earlier_process_told_is_not_taken_for_the_present_ones(tier: Tier) -> None:
    job = tier.job()
    tier.write(job, "owner.json", {**ELSEWHERE, "host": "node8", "slurm_job": "900"})
    tier.write(job, "progress.json", TOLD)
    found = tier.status(job)
    assert (found.state, found.node, found.slurm_job, found.images_per_second) == ("running", "node8", "900", None)
    # No checkpoint: it begins anew.
    assert found.left == job.seconds
    tier.write(job, "checkpoint.pt", "")
    assert tier.status(job).left == 0.8 * job.seconds
    assert "preparing" in said(found)


@pytest.mark.parametrize(("age", "state"), [(STALE_SECONDS - 20, "running"), (STALE_SECONDS + 20, "stalled")])
def test_a_silent_owner_has_stalled(tier: Tier, age: float, state: str) -> None:
    job = tier.job()
    tier.write(job, "owner.json", ELSEWHERE, age=age)
    tier.write(job, "progress.json", TOLD)
    tier.write(job, "checkpoint.pt", "")
    found = tier.status(job)
    assert found.state == state
    # It goes on from step 20, and who does is not known to be as fast.
    assert found.left == (75 if state == "running" else 0.8 * job.seconds)
    assert bool(re.search(r"Stalled: 1 job.*\n.*\n  chest/\S+ +node7 +815 +00:02:2\d", said(found))) == (
        state == "stalled"
    )


def test_a_process_that_ended_on_this_machine_has_stalled_at_once(tier: Tier) -> None:
    job = tier.job()
    tier.write(job, "owner.json", this_process())
    assert tier.status(job).state == "running"
    tier.write(job, "owner.json", {**this_process(), "started": "1"})
    assert tier.status(job).state == "stalled"


def test_done_trained_and_waiting(tier: Tier) -> None:
    done, trained, begun, new = (tier.job(f"chest/{name}/seed0") for name in ("done", "trained", "begun", "new"))
    tier.done(done)
    tier.write(done, "outcome.json", {"status": "finished", "reason": ""})
    tier.write(trained, "finished/run.json", RECORD)
    tier.write(begun, "progress.json", TOLD)
    tier.write(begun, "checkpoint.pt", "")
    found = [tier.status(job) for job in (done, trained, begun, new)]
    assert [each.state for each in found] == ["done", "trained", "waiting", "waiting"]
    assert [each.left for each in found] == [0, 0, 800, 1000]
    assert [each.spent for each in found] == [3600, 3600, 25, 0]
    assert [each.devices for each in found] == [2, 2, 1, 1]
    assert f"GPU-hours: {4 + 25 / 3600:,.1f} spent, 0.5 expected to be left.\nNothing runs now." in said(*found)


def test_an_outcome_alone_means_trained(tier: Tier) -> None:
    job = tier.job()
    tier.write(job, "outcome.json", {"status": "finished", "reason": ""})
    assert tier.status(job).state == "trained"


def test_failures_are_grouped_by_reason_with_a_way_to_try_again(tier: Tier) -> None:
    jobs = [tier.job(f"chest/r50x1/seed{seed}") for seed in range(4)]
    for seed, job in enumerate(jobs[:3]):
        tier.write(job, "outcome.json", {"status": "failed", "reason": NAN.format(seed, seed / 7, seed, seed)})
    tier.write(jobs[3], "outcome.json", {"status": "failed", "reason": "The classes are gone."})
    found = [tier.status(job) for job in jobs]
    assert [each.state for each in found] == ["failed"] * 4 and not any(each.left for each in found)
    printed = said(*found)
    assert "Failed: 4 jobs" in printed and printed.count(" x ") == 2 and "without what failed" in printed
    first = "  3 x The loss of step 0 is nan at learning rate 0.0; the batch began with the training rows [3, 0]."
    assert printed.index(first) < printed.index("  1 x The classes are gone.")
    (remedy,) = re.findall(r"such as chest/r50x1/seed0; to try it again: rm (\S+)", printed)
    Path(remedy).unlink()
    assert tier.status(jobs[0]).state == "waiting"


def test_a_failed_run_that_is_tried_again_is_running(tier: Tier) -> None:
    job = tier.job()
    tier.write(job, "outcome.json", {"status": "failed", "reason": "Once."})
    tier.write(job, "owner.json", ELSEWHERE)
    found = tier.status(job)
    assert found.state == "running" and found.reason is None


def test_crashes_are_told_while_they_are_tried_again(tier: Tier) -> None:
    job = tier.job()
    error = 'Traceback (most recent call last):\n  File "x.py", line 3, in f\nRuntimeError: CUDA error: ECC\n'
    tier.write(job, "crashes.json", {"time": 0.0, "error": error})
    found = tier.status(job)
    assert found.state == "waiting"
    assert "Crashed once: 1 job." in said(found) and "  1 x RuntimeError: CUDA error: ECC\n" in said(found)
    tier.done(job)
    assert tier.status(job).crash is None


def test_a_reason_with_a_traceback_is_its_first_line_and_the_error() -> None:
    assert headline("It crashed twice.\nTraceback (most recent call last):\n  x\nOSError: [Errno 5]\n") == (
        "It crashed twice. OSError: [Errno 5]"
    )
    assert len(headline("word " * 500)) < 200
    assert headline("") == headline(None) == headline("\n \n") == ""


def test_a_pretraining_has_its_own_scratch_folder(tier: Tier) -> None:
    job = replace(tier.job(), rule="pretrain", record=str(tier.results / "upstream/scenes/r50x1.json"))
    assert scratch_of(Path(job.record), tier.results) == tier.results / "scratch/upstream/scenes/r50x1"
    tier.write(job, "owner.json", ELSEWHERE)
    found = tier.status(job)
    assert (found.run, found.state) == ("scenes/r50x1", "running")
    rows = said(found, tier.status(tier.job())).splitlines()
    assert rows[0].split() == ["pretrain", "finetune"]
    assert [row.split() for row in rows if row.startswith(("running", "all  "))] == [
        ["running", "1", "0"],
        ["all", "1", "1"],
    ]


def test_the_end_is_that_of_all_at_the_present_number_but_not_before_the_longest(tier: Tier) -> None:
    def left(*hours: float, running: int) -> str:
        base = tier.status(tier.job())
        states = ["running"] * running + ["waiting"] * (len(hours) - running)
        found = [replace(base, state=state, left=3600 * hour) for state, hour in zip(states, hours, strict=True)]
        (told,) = re.findall(r"all is done in (\S+),", text(found, True, 0.0))
        return told

    assert left(1, 1, 2, 2, running=2) == "03:00:00"
    assert left(1, 1, 50, running=2) == "2-02:00:00"


def test_gpus_are_spoken_of_where_there_are_some(tier: Tier) -> None:
    found = [tier.status(tier.job())]
    assert "GPU-hours: 0.0 spent, 0.3 expected" in text(found, True, 0.0)
    assert text(found, False, 0.0).splitlines()[-2].startswith("hours: ")


HOSTILE = [
    "", "{", "[]", "null", "7", '"text"', "{}", "\0", "NaN", "[" * 100_000, '{"step": 1e999}', '{"pid": "x"}',
    '{"status": ["failed"], "reason": 7, "error": {}}', '{"status": "failed", "reason": 7}', '{"status": "failed"}',
    '{"step": true, "steps": "100", "images_per_second": -1}', '{"step": 5, "steps": 0, "images_per_second": 0}',
    f'{{"step": 1{"0" * 400}, "steps": 3}}', '{"step": 10, "steps": 3, "images_per_second": 1e-300}',
    json.dumps({"host": this_process()["host"]}), json.dumps({**this_process(), "pid": "\0"}),
    json.dumps({**this_process(), "pid": None, "slurm_job": 5}),
    '{"seconds": 5, "devices": "two", "node": 3}', '{"seconds": {"a": null, "b": "x", "c": NaN}, "devices": -1}',
]  # fmt: skip
NAMES = ["owner.json", "progress.json", "outcome.json", "crashes.json", "finished/run.json"]


# Numbered: some contents hold the process, and those that share the tests have to name them alike.
@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", [*NAMES, "record"])
def test_whatever_a_file_holds_it_is_no_error(tier: Tier, name: str, content: str) -> None:
    job = tier.job()
    if name == "record":
        Path(job.record).parent.mkdir(parents=True)
        Path(job.record).write_text(content)
    else:
        tier.write(job, name, content)
    found = tier.status(job)
    assert found.state in STATES and said(found)


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.fixed_dictionaries(
            {},
            optional={
                key: st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
                for key in [*TOLD, *RECORD, "status", "reason", "error"]
            },
        ),
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_of_any_kind_are_no_error(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Any]) -> None:
    tier = Tier(tmp_path_factory.mktemp("tier"))
    job = tier.job()
    for name, content in files.items():
        tier.write(job, name, content)
    found = tier.status(job)
    assert found.state in STATES and found.left >= 0 and said(found)


def test_folders_in_place_of_files_and_files_in_place_of_folders(tier: Tier) -> None:
    job, other = tier.job(), tier.job("chest/r101x1/seed1")
    for name in NAMES:
        (scratch_of(Path(job.record), tier.results) / name).mkdir(parents=True)
    scratch_of(Path(other.record), tier.results).parent.mkdir(parents=True)
    scratch_of(Path(other.record), tier.results).write_text("no folder")
    assert {tier.status(job).state, tier.status(other).state} <= set(STATES)


def test_files_that_vanish_while_they_are_looked_at_are_no_error(tier: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medtransfer.compute.status._names", lambda folder: {*NAMES, "checkpoint.pt", "finished"})
    found = tier.status(tier.job())
    assert found.state == "waiting" and found.checkpoint_seconds is None


def test_the_table_has_a_row_for_each_job_and_thousands_take_moments(tier: Tier, capsys) -> None:
    jobs = [tier.job(f"chest/r50x1/pct{number}/seed0") for number in range(3000)]
    for job in jobs[:500]:
        tier.done(job)
    for job in jobs[500:600]:
        tier.write(job, "owner.json", ELSEWHERE)
        tier.write(job, "progress.json", TOLD)
    table = tier.results / "status.csv"
    started = time.process_time()
    script.main([vars(job) for job in jobs], [IMAGES] * len(jobs), str(tier.results), str(table))
    assert time.process_time() - started < 3
    printed = capsys.readouterr().out
    assert "done          500" in printed and "\nand 60 more\n" in printed and str(table) in printed
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [f"chest/r50x1/pct{number}/seed0" for number in range(3000)]
    assert [row["state"] for row in rows[499:501]] == ["done", "running"] and rows[500]["step"] == "25"
    assert {path.name for path in tier.results.iterdir()} == {"runs", "scratch", "status.csv"}


def test_the_command_prints_the_tier_and_leaves_nothing_but_its_table(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    exit_status, printed = run(folder, targets=["status"])
    assert exit_status == 0, printed
    assert re.search(r"^waiting +4 +17$", printed, re.MULTILINE) and "Nothing runs now." in printed
    with (folder / "results/tiny/status.csv").open() as file:
        assert {row["state"] for row in csv.DictReader(file)} == {"waiting"}
    assert [path.name for path in (folder / "results/tiny").iterdir()] == ["status.csv"]


def test_the_command_leaves_another_snakemake_alone_that_works_here(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    lock, word = folder / ".snakemake/locks/0.output.lock", folder / ".snakemake/medtransfer/other.json"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/tiny/claims.csv\n")
    write_json(this_process(), word)
    exit_status, printed = run(folder, targets=["status"])
    assert exit_status == 0, printed
    assert lock.exists() and word.exists()
