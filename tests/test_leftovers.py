"""What a killed Snakemake leaves behind is cleared away; what a living one needs is not."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medtransfer.compute import leftovers


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    (tmp_path / leftovers.LOCKS).mkdir(parents=True)
    (tmp_path / leftovers.LOCKS / "0.input.lock").write_text("results/tiny/metrics.parquet\n")
    return tmp_path


def signed(folder: Path, name: str, **changes: Any) -> None:
    """Word of a process that is no more, unless changed."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owner = {"host": socket.gethostname(), "pid": gone.pid, "started": "1", "slurm_job": None} | changes
    (folder / leftovers.SIGNED).mkdir(parents=True, exist_ok=True)
    (folder / leftovers.SIGNED / f"{name}.json").write_text(json.dumps(owner))


def locks(folder: Path) -> list[Path]:
    return list((folder / leftovers.LOCKS).iterdir())


def test_the_lock_of_a_dead_snakemake_is_removed(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed(locked, "one")
    assert leftovers.unlock(locked) and not locks(locked)
    assert "unlocked" in capsys.readouterr().err
    assert not list((locked / leftovers.SIGNED).iterdir())


def test_a_lock_is_left_alone_where_somebody_may_still_work(locked: Path) -> None:
    assert not leftovers.unlock(locked)  # nobody has left word
    signed(locked, "one")
    leftovers.sign(locked)  # this process
    assert not leftovers.unlock(locked)
    leftovers.sign_off(locked)
    signed(locked, "two", host="another-machine")
    assert not leftovers.unlock(locked)
    assert locks(locked)


def test_a_process_id_that_is_used_again_is_not_its_owner(locked: Path) -> None:
    signed(locked, "one", pid=os.getpid(), started="1")
    assert leftovers.unlock(locked)


def test_only_jobs_of_this_folder_whose_snakemake_is_gone_are_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host, run = leftovers._host(), "5f1c3c9e-0000-0000-0000-000000000000"
    queue = [
        ("1", f"medtransfer_{host}_{gone.pid}_{run}", tmp_path),
        ("2", f"medtransfer_{host}_{os.getpid()}_{run}", tmp_path),
        ("3", f"medtransfer_{host}_{gone.pid}_{run}", tmp_path / "elsewhere"),
        ("4", f"medtransfer_another-machine_{gone.pid}_{run}", tmp_path),
        ("5", "somebody's own job", tmp_path),
    ]
    (tmp_path / "queue").write_text("".join(f"{job}|{name}|{place}\n" for job, name, place in queue))
    done, begun = (tmp_path / "scratch" / name / "outcome.json" for name in ("done", "begun"))
    done.parent.mkdir(parents=True)
    done.write_text("finished")
    # The job had just written what became of its run, and removes that as it ends.
    cancel = f'echo "$@" > {tmp_path}/cancelled; sed -i /^1/d {tmp_path}/queue; rm {done}'
    for name, script in (("squeue", f"cat {tmp_path}/queue"), ("scancel", cancel)):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert leftovers.cancel_jobs(tmp_path, tmp_path / "scratch") == ["1"]
    assert done.read_text() == "finished" and not begun.exists()
    assert (tmp_path / "cancelled").read_text() == "1\n"
