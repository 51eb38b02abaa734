"""Jobs on one machine never share a GPU, whoever starts them and however they end."""

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from medtransfer.compute import gpus
from medtransfer.compute.gpus import VISIBLE, devices, lease
from medtransfer.compute.locks import private_folder, take
from medtransfer.errors import UserError
from tests.conftest import ROOT

HOLD = """
import os, subprocess, sys, time
from medtransfer.compute.gpus import lease
with lease(1) as taken:
    {then}
    print(*taken, flush=True)
    time.sleep(60)
"""

# Whoever finds a device marked by another fails. A log tells how many were at work at a time.
STRESS = """
import os, sys, time
from pathlib import Path
from medtransfer.compute import gpus
gpus.POLL_SECONDS = 0.01
for turn in range(10):
    count = 1 + (turn + int(sys.argv[1])) % 2
    with gpus.lease(count) as taken:
        assert len(set(taken)) == count
        for device in taken:
            os.close(os.open(f"busy-{device}", os.O_CREAT | os.O_EXCL))
        with open("log", "a") as log:
            log.write(f"{len(list(Path.cwd().glob('busy-*')))}\\n")
        time.sleep(0.01)
        for device in taken:
            os.unlink(f"busy-{device}")
"""


class Waits(Exception):
    """A lease would have waited."""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a folder for temporary files, no nvidia-smi, and no patience."""

    def wait(_: float) -> None:
        raise Waits

    for name in (VISIBLE, "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(gpus, "time", SimpleNamespace(sleep=wait))
    return tmp_path


def install(folder: Path, script: str) -> None:
    """Put a program in nvidia-smi's place."""
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)


def start(folder: Path, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    known = {**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts"), "TMPDIR": str(folder), **environment}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, cwd=folder, env=known, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def holder(folder: Path, then: str = "pass", **environment: str) -> tuple[subprocess.Popen[str], str]:
    """A process that holds a device, and which one."""
    process = start(folder, HOLD.format(then=then), **environment)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def waits(count: int = 1) -> bool:
    try:
        with lease(count):
            return False
    except Waits:
        return True


def test_many_processes_never_share_a_device_and_use_several(machine: Path) -> None:
    workers = [start(machine, STRESS, str(number), **{VISIBLE: "0,1,GPU-5ebe9f43"}) for number in range(6)]
    ends = [(*worker.communicate(timeout=60), worker.returncode) for worker in workers]
    assert all(status == 0 for *_, status in ends), ends
    busy = [int(line) for line in (machine / "log").read_text().split()]
    assert len(busy) == 60 and max(busy) == 3


@pytest.mark.parametrize(
    "then",
    [
        "pass",
        # It shares the files that its parent has open, until Python in it goes on.
        "go, on = os.pipe(); os.fork() or (os.write(on, b'.'), time.sleep(5), os._exit(0)); os.read(go, 1)",
        "subprocess.Popen(['/bin/sleep', '5'], stdout=subprocess.DEVNULL)",
    ],
)
def test_a_killed_owner_frees_its_device_whatever_it_has_started(machine: Path, monkeypatch, then: str) -> None:
    monkeypatch.setenv(VISIBLE, "3")
    process, device = holder(machine, then)
    assert device == "3"
    assert waits()
    kill(process)
    assert not waits()


def test_a_forked_child_that_leaves_the_block_leaves_the_device_to_its_parent(monkeypatch) -> None:
    monkeypatch.setenv(VISIBLE, "0")
    parent = os.getpid()
    try:
        with lease(1):
            if child := os.fork():
                os.waitpid(child, 0)
                assert waits()
    finally:
        if os.getpid() != parent:
            os._exit(0)
    assert not waits()


def test_a_lock_on_a_file_that_its_last_owner_has_removed_does_not_count(tmp_path: Path, monkeypatch) -> None:
    """Between its opening by the next one and its locking."""
    flock = fcntl.flock
    calls: list[FileIO] = []

    def removed_first(file: FileIO, how: int) -> None:
        if not calls:
            (tmp_path / "lock").unlink()
        calls.append(file)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with take(tmp_path / "lock") or pytest.fail("not locked"):
        assert take(tmp_path / "lock") is None
    assert len(calls) == 3


def test_the_first_free_devices_are_taken_and_freed(monkeypatch) -> None:
    monkeypatch.setenv(VISIBLE, "2,0,1")
    with lease(1) as first, lease(2) as others:
        assert (first, others) == (("2",), ("0", "1"))
        assert waits()
    with lease(3) as taken:
        assert taken == ("2", "0", "1")


def test_nothing_is_held_by_who_waits_for_more(monkeypatch) -> None:
    monkeypatch.setenv(VISIBLE, "0,1,2")
    with lease(2):
        assert waits(2)
        with lease(1) as taken:
            assert taken == ("2",)


def test_an_error_in_the_block_frees_the_device(monkeypatch) -> None:
    monkeypatch.setenv(VISIBLE, "0")
    with pytest.raises(ZeroDivisionError), lease(1):
        _ = 1 / 0
    assert not waits()


def test_who_waits_says_so_once_and_is_served(machine: Path) -> None:
    process, _ = holder(machine, **{VISIBLE: "0,1"})
    second = start(machine, STRESS.replace("range(10)", "range(1)"), "1", **{VISIBLE: "0,1"})  # wants both
    assert second.stderr is not None
    assert second.stderr.readline() == "waiting for 2 of the GPUs 0, 1: other jobs use them\n"
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.3)
    kill(process)
    assert second.communicate(timeout=30) == ("", "") and second.returncode == 0


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("0", ["0"]),
        ("3, 1", ["3", "1"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,-1,1", ["0"]),  # CUDA stops there
        ("1,1", ["1"]),
        ("GPU-5ebe9f43-ac33-420d,MIG-GPU-5ebe9f43/1/0", ["GPU-5ebe9f43-ac33-420d", "MIG-GPU-5ebe9f43/1/0"]),
    ],
)
def test_devices_that_are_named_are_the_ones(machine: Path, monkeypatch, visible: str, expected: list[str]) -> None:
    install(machine, "echo 7")
    monkeypatch.setenv(VISIBLE, visible)
    assert devices() == expected
    if expected:
        with lease(len(expected)) as taken:
            assert taken == tuple(expected)
            assert waits(len(expected))


def test_otherwise_all_that_nvidia_smi_lists(machine: Path) -> None:
    install(machine, '[ "$*" = "--query-gpu=index --format=csv,noheader" ] && printf "0\\n1\\n"')
    assert devices() == ["0", "1"]


@pytest.mark.parametrize(
    "script", ["echo 'No devices were found'; exit 6", "echo 'Failed to initialize NVML' >&2; exit 12"]
)
def test_what_nvidia_smi_complains_of_is_told(machine: Path, script: str) -> None:
    install(machine, script)
    with pytest.raises(UserError, match=r"cannot be listed.*(No devices were found|NVML)"):
        devices()


def test_an_nvidia_smi_that_never_answers_is_told(machine: Path, monkeypatch) -> None:
    monkeypatch.setattr(gpus, "LIST_SECONDS", 0.1)
    install(machine, "exec /bin/sleep 10")
    with pytest.raises(UserError, match="timed out"):
        devices()


def test_no_device_is_wanted_and_nothing_is_touched(machine: Path) -> None:
    install(machine, "touch asked")
    with lease(0) as taken:
        assert taken == ()
    assert [path.name for path in machine.iterdir()] == ["nvidia-smi"]


@pytest.mark.parametrize(
    ("visible", "there"), [(None, "none here, says nvidia-smi"), ("", "none here, says CUDA_"), ("4", "1 (4) here")]
)
def test_more_devices_than_there_are_is_an_error_at_once(monkeypatch, visible: str | None, there: str) -> None:
    if visible is not None:
        monkeypatch.setenv(VISIBLE, visible)
    with pytest.raises(UserError) as error, lease(2):
        pass
    assert "needs 2 GPU(s)" in str(error.value) and there in str(error.value)


def test_jobs_of_slurm_call_their_devices_alike_and_do_not_wait_for_each_other(monkeypatch) -> None:
    monkeypatch.setenv(VISIBLE, "0")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with lease(1):
        assert waits()
        monkeypatch.setenv("SLURM_JOB_ID", "2")
        assert not waits()


def test_nothing_is_left_behind(machine: Path, monkeypatch) -> None:
    monkeypatch.setenv(VISIBLE, "0,1")
    with lease(2):
        (folder,) = machine.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700 and len(list(folder.iterdir())) == 2
    with lease(1):
        assert waits(2)
        assert len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) == []


def link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir(mode=0o700)
    path.symlink_to("elsewhere")


def open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


@pytest.mark.parametrize("prepare", [link, open_to_all, Path.touch])
def test_a_folder_that_others_may_have_prepared_is_refused(
    machine: Path, monkeypatch, prepare: Callable[[Path], None]
) -> None:
    prepare(machine / f"medtransfer-gpus-{os.getuid()}")
    monkeypatch.setenv(VISIBLE, "0")
    with pytest.raises(UserError, match="is not a folder of user"), lease(1):
        pass


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch) -> None:
    private_folder(tmp_path / "mine")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(UserError, match="is not a folder of user 12345"):
        private_folder(tmp_path / "mine")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"):
        private_folder(tmp_path / "file" / "mine")
