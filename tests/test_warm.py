"""Calls carried out by a warm process are those that a new process would make, and nothing outlives its purpose."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from medtransfer import warm
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no warm processes")

COLD = {"MEDTRANSFER_WARM": "0"}

TARGETS = """
import os, signal, sys, time
from pathlib import Path
from medtransfer.errors import UserError

with open(os.environ["PLACE"] + "/imports", "a") as imports:
    imports.write("once\\n")

def report(name, seconds=0):
    print("to output")
    print("to errors", file=sys.stderr)
    time.sleep(seconds)
    writing = Path(f"{name}-writing")
    writing.write_text(f"{os.getpid()} {os.getppid()} {os.environ['PLACE']}")
    writing.rename(name)

def sleep(answers):
    def save(*_):
        Path("saved").touch()
        sys.exit(143)
    if answers:
        signal.signal(signal.SIGTERM, save)
    report("asleep")
    time.sleep(60)

def mend(): raise UserError("Mend it. " * 100_000)
def fail(): raise ValueError("not foreseen")
def leave(status): sys.exit(status)
def die(signum): os.kill(os.getpid(), signum)

def train(name):
    import torch
    torch.set_num_threads(2)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.Flatten(), torch.nn.Linear(16 * 30 * 30, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.randn(32, 3, 32, 32)).square().mean().backward()
        optimizer.step()
    weights = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    Path(name).write_bytes(weights.numpy().tobytes())
"""

CALLER = """
import json, sys
from medtransfer import warm
from medtransfer.logs import step_log

function, arguments, preload, idle = sys.argv[1:]
warm.IDLE_SECONDS = float(idle)
with step_log("log"):
    warm.call(f"targets:{function}", json.loads(arguments), [preload])
print("returned")
"""

Caller = subprocess.Popen[str]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder to call from. It stands in the environment, so that it has servers of its own."""
    (tmp_path / "targets.py").write_text(TARGETS)
    (tmp_path / "caller.py").write_text(CALLER)
    yield tmp_path
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"PLACE={tmp_path}\0" in (process / "environ").read_text(errors="replace"):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue


def call(
    place: Path,
    function: str,
    arguments: dict[str, Any] | None = None,
    preload: str = "targets",
    idle: float = 60,
    environment: dict[str, str] | None = None,
) -> Caller:
    known = {"PLACE": str(place), "PYTHONPATH": f"{ROOT / 'workflow_scripts'}:{place}"}
    return subprocess.Popen(
        [sys.executable, "caller.py", function, json.dumps(arguments or {}), preload, str(idle)],
        cwd=place,
        env={**os.environ, "MEDTRANSFER_WARM": "1", **known, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(caller: Caller) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    output, errors = caller.communicate(timeout=60)
    return caller.returncode, output, errors


def reported(place: Path, name: str) -> tuple[int, int]:
    """The process that has written a report, and its parent."""
    until((place / name).exists)
    child, parent, home = (place / name).read_text().split()
    assert home == str(place)
    return int(child), int(parent)


def asleep(place: Path, answers: bool = False) -> tuple[Caller, int, int]:
    """A caller whose child sleeps, that child, and its server."""
    (place / "asleep").unlink(missing_ok=True)
    caller = call(place, "sleep", {"answers": answers})
    return caller, *reported(place, "asleep")


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def is_running(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def test_children_of_one_server_have_the_folder_the_environment_and_the_outputs_of_their_callers(place: Path) -> None:
    servers = set()
    for name in ("first", "second"):
        caller = call(place, "report", {"name": name})
        assert outcome(caller) == (0, "to output\nreturned\n", "")
        assert (place / "log").read_text() == "to errors\n"
        child, server = reported(place, name)
        assert caller.pid not in (child, server)
        servers.add(server)
    assert len(servers) == 1
    assert (place / "imports").read_text() == "once\n"


def test_callers_that_race_share_one_server_and_run_side_by_side(place: Path) -> None:
    callers = [call(place, "report", {"name": str(number), "seconds": 0.5}) for number in range(6)]
    assert [outcome(caller)[0] for caller in callers] == [0] * 6
    reports = [reported(place, str(number)) for number in range(6)]
    assert len({child for child, _ in reports}) == 6
    assert len({server for _, server in reports}) == 1
    assert (place / "imports").read_text() == "once\n"


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("mend", {}), ("leave", {"status": 3}), ("leave", {"status": 143}),
     ("leave", {"status": "a last word"})],
)  # fmt: skip
def test_an_end_is_the_same_as_in_a_process_of_its_own(place: Path, function: str, arguments: dict[str, Any]) -> None:
    warm_end, cold_end = (
        (*outcome(call(place, function, arguments, environment=environment)), (place / "log").read_text())
        for environment in ({}, COLD)
    )
    assert warm_end == cold_end


def test_an_unforeseen_error_has_the_traceback_of_where_it_was_raised(place: Path) -> None:
    status, _, errors = outcome(call(place, "fail"))
    assert status == 1
    for text in (errors, (place / "log").read_text()):
        assert "targets.py" in text and "ValueError: not foreseen" in text


def test_a_child_that_is_killed_is_told_from_one_that_fails(place: Path) -> None:
    status, _, errors = outcome(call(place, "die", {"signum": signal.SIGKILL}))
    assert (status, errors) == (1, (place / "log").read_text())
    assert "targets:die was killed by signal 9; was it out of memory?" in errors
    assert "memory" not in outcome(call(place, "die", {"signum": signal.SIGSEGV}))[2]


@pytest.mark.parametrize("answers", [True, False])
def test_sigterm_goes_on_to_the_child_and_its_status_comes_back(place: Path, answers: bool) -> None:
    caller, child, server = asleep(place, answers)
    # A batch system sends the signal to every process of a job.
    os.kill(server, signal.SIGTERM)
    caller.terminate()
    assert outcome(caller)[0] == 143
    assert (place / "saved").exists() == answers
    assert not is_running(child) and is_running(server)


def test_a_caller_that_is_killed_takes_its_child_and_no_other_with_it(place: Path) -> None:
    caller, child, server = asleep(place)
    other, others_child, others_server = asleep(place)
    assert server == others_server
    caller.kill()
    until(lambda: not is_running(child))
    assert is_running(others_child)
    other.send_signal(signal.SIGINT)
    outcome(other)
    # Snakemake removes the outputs of a job that it has interrupted: nothing may be written after that.
    assert not is_running(others_child)
    outcome(caller)


def test_when_the_server_is_killed_callers_fail_and_the_next_has_another(place: Path) -> None:
    caller, child, server = asleep(place)
    os.kill(server, signal.SIGKILL)
    status, _, errors = outcome(caller)
    assert status == 1 and "was killed" in errors and "Start again" in errors
    until(lambda: not is_running(child))
    assert outcome(call(place, "report", {"name": "next"}))[0] == 0
    assert reported(place, "next")[1] != server


def test_a_caller_that_is_killed_before_the_imports_are_made_leaves_no_call_behind(place: Path) -> None:
    (place / "slow.py").write_text("import os, time\nopen(os.environ['PLACE'] + '/begun', 'w')\ntime.sleep(1)\n")
    caller = call(place, "report", {"name": "early"}, preload="slow")
    until((place / "begun").exists)
    caller.kill()
    outcome(caller)
    assert outcome(call(place, "report", {"name": "late"}, preload="slow"))[0] == 0
    assert not (place / "early").exists()


def test_a_server_that_is_idle_ends(place: Path) -> None:
    outcome(call(place, "report", {"name": "report"}, idle=0.2))
    server = reported(place, "report")[1]
    until(lambda: not is_running(server))


@pytest.mark.parametrize(("preload", "environment"), [("targets", COLD), ("no_such_module", {})])
def test_without_a_server_the_caller_does_the_work(place: Path, preload: str, environment: dict[str, str]) -> None:
    caller = call(place, "report", {"name": "report"}, preload, environment=environment)
    assert outcome(caller)[0] == 0
    assert reported(place, "report") == (caller.pid, os.getpid())


def test_a_server_is_shared_only_where_a_new_process_would_inherit_the_same(tmp_path: Path, monkeypatch) -> None:
    code = tmp_path / "package" / "module.py"
    code.parent.mkdir()
    code.touch()

    def identity(*preload: str) -> str:
        return warm.identity(preload or ("json",), code.parent)

    identities = [identity(), identity("json", "csv")]
    assert identity() == identities[0]
    os.utime(code, (1, 1))
    identities.append(identity())
    code.with_name("another.py").touch()
    identities.append(identity())
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    identities.append(identity())
    mask = os.umask(0o007)
    identities.append(identity())
    os.umask(mask)
    assert len(set(identities)) == len(identities)


@pytest.mark.slow
def test_training_gives_the_same_bits_in_every_child_and_in_a_process_of_its_own(place: Path) -> None:
    for name, environment in (("first", {}), ("second", {}), ("cold", COLD)):
        assert outcome(call(place, "train", {"name": name}, "torch", environment=environment))[0] == 0
    assert (place / "first").read_bytes() == (place / "second").read_bytes() == (place / "cold").read_bytes()
