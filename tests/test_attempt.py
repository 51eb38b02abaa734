"""Training is done once, however often it is started, and goes on after whatever can happen to a process or a disk."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medtransfer.config.training import Training
from medtransfer.errors import UserError
from medtransfer.files import write_json
from medtransfer.processes import this_process
from medtransfer.training import attempt, checkpoint, finetuning, loop
from medtransfer.training.attempt import OWNER, RECORD, claimed, clear, crashed_before, finished, publish, write_outcome
from tests.conftest import ROOT

DEVICE = {"accelerator", "devices", "precision", "shard", "recompute"}
"""Keys of the section `training` that say on what, and how, it is computed."""
SECONDS = 20
"""What does not happen within them does not happen."""
# What two processes that were started for the same piece of training do: wait for one another, look, work if need be.
WORK = """
import sys, time
from pathlib import Path
from medtransfer.files import write_json
from medtransfer.training import attempt

attempt.POLL_SECONDS = 0.02
folder, beat = Path(sys.argv[1]), float(sys.argv[2])
with attempt.claimed(folder, beat=beat):
    print("claimed", flush=True)
    if attempt.finished(folder, "one"):
        print("found")
    else:
        sys.stdin.readline()
        write_json({"identity": "one"}, folder / "finished" / "run.json")
        print("made")
"""


@contextmanager
def worker(folder: Path, beat: float = 15.0) -> Iterator[subprocess.Popen[str]]:
    """A process that works in a folder until it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(folder), str(beat)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def expect(process: subprocess.Popen[str], line: str) -> None:
    """Wait for the next line of a process."""
    assert process.stdout is not None
    assert process.stdout.readline() == f"{line}\n"


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def elapsed() -> Iterator[Callable[[], float]]:
    started = time.monotonic()
    yield lambda: time.monotonic() - started


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "POLL_SECONDS", 0.02)
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)


def owned(folder: Path, **changes: Any) -> Path:
    """The claim of another, by default one on another machine."""
    owner = {"token": "other", "host": "elsewhere", "pid": 1, "started": "1", "slurm_job": None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OWNER).write_text(json.dumps(owner | changes))
    return folder / OWNER


def test_of_two_processes_the_second_waits_and_finds_the_work_done(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with worker(folder) as first:
        expect(first, "claimed")
        with worker(folder) as second:
            assert second.stderr is not None
            assert second.stderr.readline().startswith(f"waiting for the process that works on {folder}")
            assert not (folder / "finished").exists()
            assert first.communicate("go on\n", timeout=SECONDS)[0] == "made\n"
            expect(second, "claimed")
            expect(second, "found")
            assert second.wait(SECONDS) == 0
    assert [path.name for path in folder.iterdir()] == ["finished"]


@pytest.mark.parametrize("reaped", [True, False])
def test_an_owner_killed_on_this_machine_is_followed_at_once(tmp_path: Path, reaped: bool) -> None:
    with worker(tmp_path) as first:
        expect(first, "claimed")
        first.kill()
        if reaped:
            first.wait()
        else:
            # Nobody has asked for its exit status yet: the process is still listed.
            until(lambda: ") Z " in Path(f"/proc/{first.pid}/stat").read_text())
        with elapsed() as seconds, claimed(tmp_path):
            assert seconds() < 5
    assert not list(tmp_path.iterdir())


def test_an_owner_whose_process_id_is_used_again_is_no_more(tmp_path: Path) -> None:
    owned(tmp_path, **{**this_process(), "started": "1"})
    with elapsed() as seconds, claimed(tmp_path):
        assert seconds() < 5


@pytest.mark.parametrize("content", ["", "{", "null"])
def test_a_claim_that_cannot_be_read_is_that_of_an_owner_elsewhere(tmp_path: Path, content: str) -> None:
    owned(tmp_path).write_text(content)
    with claiming(tmp_path, stale=0.1) as has:
        assert has.wait(1)


@contextmanager
def claiming(folder: Path, stale: float) -> Iterator[threading.Event]:
    """Someone who waits for a folder; the event says that it has it."""
    has = threading.Event()

    def claim() -> None:
        with claimed(folder, stale=stale):
            has.set()

    thread = threading.Thread(target=claim)
    thread.start()
    try:
        yield has
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_an_owner_that_lives_on_this_machine_is_waited_for_however_silent(tmp_path: Path) -> None:
    path = owned(tmp_path, **this_process())
    os.utime(path, (0, 0))
    with claiming(tmp_path, stale=0.1) as has:
        assert not has.wait(0.5)
        path.unlink()
        assert has.wait(SECONDS)


def test_an_owner_elsewhere_is_waited_for_while_its_heart_beats_and_followed_when_it_is_silent(tmp_path: Path) -> None:
    path = owned(tmp_path)
    with claiming(tmp_path, stale=0.5) as has:
        for beat in range(15):
            # By a clock that is years behind ours.
            os.utime(path, (beat, beat))
            assert not has.wait(0.1)
        assert has.wait(SECONDS)


def test_a_job_that_slurm_started_again_follows_itself_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned(tmp_path, slurm_job="815")
    monkeypatch.setenv("SLURM_JOB_ID", "815")
    with elapsed() as seconds, claimed(tmp_path):
        assert seconds() < 5


def test_another_job_is_not_followed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned(tmp_path, slurm_job="815")
    monkeypatch.setenv("SLURM_JOB_ID", "816")
    with claiming(tmp_path, stale=60) as has:
        assert not has.wait(0.3)
        (tmp_path / OWNER).unlink()
        assert has.wait(SECONDS)


def test_a_claim_beats_and_ends_with_the_work_whatever_ends_that(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path, beat=0.02):
        os.utime(tmp_path / OWNER, (0, 0))
        until(lambda: (tmp_path / OWNER).stat().st_mtime > 0)
        assert [path.name for path in tmp_path.iterdir()] == [OWNER]
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_who_was_taken_to_be_dead_stops_and_leaves_the_claim_to_the_other(tmp_path: Path) -> None:
    with worker(tmp_path, beat=0.02) as first:
        expect(first, "claimed")
        (tmp_path / "new").write_text(json.dumps({"token": "other"}))
        (tmp_path / "new").replace(tmp_path / OWNER)
        assert first.wait(SECONDS) == 1
        assert first.stderr is not None and "was taken over" in first.stderr.read()
    assert json.loads((tmp_path / OWNER).read_text()) == {"token": "other"}


def _made(folder: Path, identity: str = "one", files: int = 3) -> None:
    for number in range(files):
        (folder / f"table{number}.parquet").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"table{number}.parquet").write_text(f"{identity} {number}")
    write_json({"identity": identity}, folder / RECORD)


def test_finished_work_is_found_in_scratch(tmp_path: Path) -> None:
    assert finished(tmp_path, "one") is None
    _made(tmp_path / "finished")
    assert finished(tmp_path, "one") == tmp_path / "finished"
    assert finished(tmp_path, "two") is None


def test_finished_work_is_found_in_the_results_when_scratch_was_removed(tmp_path: Path) -> None:
    scratch, results = tmp_path / "scratch", tmp_path / "results"
    _made(results)
    assert finished(scratch, "two", results) is None and not scratch.exists()
    assert finished(scratch, "one", results) == scratch / "finished"
    for file in results.iterdir():
        assert (scratch / "finished" / file.name).samefile(file)
    # Snakemake removes results before it makes them anew.
    (results / RECORD).unlink()
    assert finished(scratch, "one", results) == scratch / "finished"


def test_finished_work_of_another_configuration_is_replaced(tmp_path: Path) -> None:
    scratch, results = tmp_path / "scratch", tmp_path / "results"
    _made(scratch / "finished", "old")
    _made(results, "new")
    assert finished(scratch, "new", results) == scratch / "finished"
    assert (scratch / "finished" / "table0.parquet").read_text() == "new 0"


def test_work_that_was_restored_in_part_is_not_taken_for_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made(tmp_path / "results", files=12)
    real = attempt.link
    for most in range(13):
        scratch, links = tmp_path / f"scratch{most}", iter(range(most))

        def link_or_die(source: Path, target: Path, links: Iterator[int] = links) -> None:
            next(links)
            real(source, target)

        monkeypatch.setattr(attempt, "link", link_or_die)
        with pytest.raises(StopIteration):
            finished(scratch, "one", tmp_path / "results")
        assert finished(scratch, "one") is None


def test_the_second_crash_is_told_from_the_first(tmp_path: Path) -> None:
    for before in (False, True, True):
        try:
            raise ZeroDivisionError("odd")
        except ZeroDivisionError:
            assert crashed_before(tmp_path) is before
    assert "ZeroDivisionError: odd" in json.loads((tmp_path / "crashes.json").read_text())["error"]


def test_only_what_is_finished_is_kept(tmp_path: Path) -> None:
    _made(tmp_path / "finished")
    for name in ("checkpoint.pt", "progress.json", "crashes.json"):
        (tmp_path / name).touch()
    clear(tmp_path)
    clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["finished"]


def test_finished_files_are_published_as_the_same_files_and_newer_than_what_they_came_from(tmp_path: Path) -> None:
    outcome, outputs = tmp_path / "scratch" / "outcome.json", [tmp_path / "results" / RECORD]
    _made(outcome.parent / "finished")
    write_outcome(outcome, "finished")
    source = outcome.parent / "finished" / RECORD
    os.utime(source, (0, 0))
    publish(outcome, outputs)
    assert outputs[0].samefile(source) and outputs[0].stat().st_mtime > time.time() - 60


def test_a_failed_run_is_published_as_its_reason_and_the_way_to_try_again(tmp_path: Path) -> None:
    write_outcome(tmp_path / "outcome.json", "failed", "The loss of step 3 is nan.")
    with pytest.raises(UserError) as told:
        publish(tmp_path / "outcome.json", [tmp_path / RECORD])
    assert str(told.value).startswith("The loss of step 3 is nan.\n")
    assert str(told.value).endswith(f"rm {tmp_path / 'outcome.json'}")
    assert not (tmp_path / RECORD).exists()


def test_a_finished_run_whose_files_are_gone_says_how_to_train_it_again(tmp_path: Path) -> None:
    write_outcome(tmp_path / "outcome.json", "finished")
    with pytest.raises(UserError, match=rf"finished/{RECORD} is not there.*rm {tmp_path}/outcome\.json"):
        publish(tmp_path / "outcome.json", [tmp_path / RECORD])


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@contextmanager
def saving(cost: float) -> Iterator[Clock]:
    """Saving takes so long, by a clock that stands still otherwise."""
    clock = Clock()

    def save(state: dict[str, Any], path: Path) -> None:
        clock.now += cost

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoint, "time", clock)
        patched.setattr(torch, "save", save)
        yield clock


@given(cost=st.floats(0.001, 300), least=st.floats(1, 600), step=st.floats(1, 20), share=st.floats(0.005, 0.5))
@settings(max_examples=50, deadline=None)
def test_saving_stays_below_its_share_and_is_done_as_often_as_that_allows(
    tmp_path_factory: pytest.TempPathFactory, cost: float, least: float, step: float, share: float
) -> None:
    with saving(cost) as clock:
        saver = checkpoint.Saver(tmp_path_factory.mktemp("saver") / "checkpoint.pt", least, share)
        moments: list[float] = []
        while len(moments) < 6:
            clock.now += step
            if saver.due():
                moments.append(clock.now)
                saver.save({}, len(moments))
        pauses = np.diff(moments)
        assert moments[0] - 1000 <= least + step
        assert (cost <= share * pauses * 1.0001).all() and (pauses >= least).all()
        assert (pauses <= max(least, cost / share) + cost + step * 1.0001).all()


def test_no_pause_means_a_checkpoint_after_each_step_whatever_it_costs(tmp_path: Path) -> None:
    with saving(cost=50):
        saver = checkpoint.Saver(tmp_path / "checkpoint.pt", 0, 0.02)
        for step in range(3):
            assert saver.due()
            saver.save({}, step)
            assert saver.step == step


@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint", b"PK\x03\x04 half an archive", b"\x80\x02cos\nsystem\n(S'true'\ntR."]
)
def test_a_checkpoint_that_cannot_be_read_starts_anew(tmp_path: Path, capsys: Any, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    assert checkpoint.load(path, "one") is None
    assert f"{path} cannot be read, training starts anew" in capsys.readouterr().err


def test_half_a_checkpoint_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.Saver(path, 0, 0.02).save({"identity": "one", "weights": torch.zeros(1000)}, 1)
    assert checkpoint.load(path, "one") is not None
    whole = path.read_bytes()
    for length in (1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert checkpoint.load(path, "one") is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    with suppress(FileNotFoundError):
        if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
            try:
                yield folder
            finally:
                subprocess.run(["umount", folder], check=True)
            return
    pytest.skip("a small file system cannot be mounted here")


def test_a_full_disk_costs_the_checkpoint_and_not_the_last_one(small_disk: Path, capsys: Any) -> None:
    path = small_disk / "checkpoint.pt"
    saver = checkpoint.Saver(path, 0, 0.02)
    saver.save({"identity": "one", "weights": torch.zeros(10_000)}, 1)
    saver.save({"identity": "one", "weights": torch.zeros(1_000_000)}, 2)
    assert saver.step == 1 and "no checkpoint at step 2" in capsys.readouterr().err
    state = checkpoint.load(path, "one")
    assert state is not None and len(state["weights"]) == 10_000
    assert [file.name for file in small_disk.iterdir()] == ["checkpoint.pt"]


def test_a_claim_that_a_full_disk_refuses_leaves_nothing_behind(small_disk: Path) -> None:
    with suppress(OSError):
        (small_disk / "other").write_bytes(b"0" * 2**20)
    with pytest.raises(OSError, match="No space left"), claimed(small_disk):
        pass
    assert [path.name for path in small_disk.iterdir()] == ["other"]


class Batch:
    """Three runs of one job on a cohort of 40 small images, as the workflow describes them."""

    NAMES = ("a", "b", "c")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = 40
        generator = np.random.default_rng(0)
        splits = ["train"] * 24 + ["val"] * 8 + ["test"] * 8
        pd.DataFrame(
            {
                "image_id": [f"image{row}" for row in range(rows)],
                "patient_id": [f"patient{row}" for row in range(rows)],
                "dataset": "films",
                "row": range(rows),
                "split": splits,
                "opacity": pd.array(generator.integers(0, 2, rows), dtype="Int8"),
            }
        ).to_parquet(folder / "cohort.parquet")
        pd.DataFrame({"image_id": [f"image{row}" for row in range(24)]}).to_parquet(folder / "subset.parquet")
        np.save(folder / "films.npy", generator.integers(0, 256, (rows, 20, 20), dtype=np.uint8))
        write_json({"sha256": "0"}, folder / "films.json")

    def scratch(self, name: str) -> Path:
        return self.folder / "scratch" / name

    def describe(self, name: str, seed: int, rate: float) -> dict[str, Any]:
        run = {"task": "films", "backbone": "r14w16", "upstream": "none", "initialisation": "random"}
        task = {"kind": "multilabel", "labels": ["opacity"], "id_cohort": "films", "flip": False}
        overrides = {"steps": 4, "batch": 8, "learning_rate": rate}
        return {
            "run": {**run, "recipe": "rule", "budget": "pct100", "seed": seed},
            "settings": {
                "task": task,
                "recipe": {"overrides": overrides},
                "resolution": {"resize": 20, "crop": 16},
                "tracking": {"images": 8, "looks": 2, "similarity_images": 4},
            },
            "inputs": {
                "subset": [str(self.folder / "subset.parquet")],
                "weights": [],
                "cohorts": [str(self.folder / "cohort.parquet")],
                "images": [str(self.folder / "films.npy")],
            },
            "sources": ["films"],
            "goes_on": False,
            "keep": False,
            "scratch": str(self.scratch(name)),
            "results": str(self.folder / "results" / name),
            "log": None,
            "outcome": str(self.scratch(name) / "outcome.json"),
        }

    def carry_out(self, diverging: str = "", checkpoint_seconds: float = 0.0) -> None:
        finetuning.finetune_batch(
            [self.describe(name, seed, 1e30 if name == diverging else 0.01) for seed, name in enumerate(self.NAMES)],
            version=1,
            device={**Training().model_dump(include=DEVICE), "threads": 1},
            memory_mb=2000,
            checkpoint_seconds=checkpoint_seconds,
            local_disk=None,
        )

    def outcomes(self) -> dict[str, str]:
        """What became of each run, as far as it is known."""
        return {
            name: json.loads(path.read_text())["status"]
            for name in self.NAMES
            if (path := self.scratch(name) / "outcome.json").exists()
        }

    def predictions(self) -> dict[str, bytes]:
        return {name: (self.scratch(name) / "finished" / "predictions.parquet").read_bytes() for name in self.NAMES}

    def left_behind(self) -> set[str]:
        """What lies in the scratch folders of runs beside what they have made."""
        return {path.name for path in self.folder.glob("scratch/*/*")} - {"finished", "outcome.json"}


@pytest.fixture
def batch(tmp_path: Path) -> Iterator[Batch]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield Batch(tmp_path)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the runs of a batch predict when nothing happens to them."""
    batch = Batch(tmp_path_factory.mktemp("undisturbed"))
    batch.carry_out()
    return batch.predictions()


def test_a_run_that_diverges_fails_with_its_reason_and_the_others_are_finished(
    batch: Batch, undisturbed: dict[str, bytes]
) -> None:
    batch.carry_out(diverging="b")
    assert batch.outcomes() == {"a": "finished", "b": "failed", "c": "finished"}
    assert not (batch.scratch("b") / "finished").exists()
    with pytest.raises(UserError, match=r"The loss of step \d is (nan|inf) at learning rate"):
        publish(batch.scratch("b") / "outcome.json", [batch.folder / RECORD])
    for name in ("a", "c"):
        predictions = batch.scratch(name) / "finished" / "predictions.parquet"
        assert predictions.read_bytes() == undisturbed[name]


def test_what_is_finished_is_not_trained_again(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.carry_out()
    for name in batch.NAMES:
        (batch.scratch(name) / "outcome.json").unlink()
    monkeypatch.setattr(finetuning, "fit", None)
    batch.carry_out()
    assert batch.outcomes() == dict.fromkeys(batch.NAMES, "finished") and not batch.left_behind()


def test_a_crash_is_tried_again_once_and_then_that_runs_failure(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]
) -> None:
    real = finetuning.fit

    def fit(model: Any, examples: Any, setting: loop.Setting, *others: Any, **more: Any) -> loop.Progress:
        if setting.scratch.name == "b":
            raise RuntimeError("CUDA error: uncorrectable ECC error")
        return real(model, examples, setting, *others, **more)

    with monkeypatch.context() as patched:
        patched.setattr(finetuning, "fit", fit)
        with pytest.raises(RuntimeError, match="ECC"):
            batch.carry_out()
        assert batch.outcomes() == {"a": "finished"} and batch.left_behind() == {"crashes.json"}
        batch.carry_out()
    assert batch.outcomes() == {"a": "finished", "b": "failed", "c": "finished"}
    reason = json.loads((batch.scratch("b") / "outcome.json").read_text())["reason"]
    assert reason.startswith("It crashed twice.\nTraceback") and "ECC" in reason
    batch.carry_out()
    assert batch.outcomes()["b"] == "finished" and not batch.left_behind()
    assert batch.predictions() == undisturbed


def test_a_signal_is_no_failure_and_the_batch_goes_on_where_it_was(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes], capsys: Any
) -> None:
    real, calls = loop._step, 0

    def step_with_signal(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    with monkeypatch.context() as patched, pytest.raises(SystemExit) as stopped:
        patched.setattr(loop, "_step", step_with_signal)
        batch.carry_out(checkpoint_seconds=1e9)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert batch.outcomes() == {"a": "finished"} and [p.name for p in batch.scratch("b").iterdir()] == ["checkpoint.pt"]
    batch.carry_out(checkpoint_seconds=1e9)
    assert "resumed after step 2/4" in capsys.readouterr().err
    assert batch.predictions() == undisturbed and not batch.left_behind()


def test_a_full_disk_does_not_end_training(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes], capsys: Any
) -> None:
    def disk_full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    batch.carry_out()
    assert "no checkpoint at step 4: [Errno 28] No space left on device; training goes on" in capsys.readouterr().err
    assert batch.predictions() == undisturbed and not batch.left_behind()


def test_the_state_tells_who_works_on_it(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    monkeypatch.setattr(finetuning, "clear", lambda folder: None)
    monkeypatch.setenv("SLURM_JOB_ID", "815")
    batch.carry_out()
    told = SimpleNamespace(**json.loads((batch.scratch("a") / "progress.json").read_text()))
    assert (told.host, told.pid, told.slurm_job) == (socket.gethostname(), os.getpid(), "815")
    assert (told.step, told.steps, told.device, told.checkpoint_step) == (4, 4, "cpu", 4)
    assert told.images_per_second > 0 and 0 <= told.data_share <= 1 and told.peak_memory_mb > 100
