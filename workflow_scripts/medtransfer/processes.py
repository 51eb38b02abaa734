"""Who works on something, told so that others can see whether that process is still there."""

import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

TOLD = {"host", "pid", "started", "slurm_job"}


def this_process() -> dict[str, Any]:
    """Machine, id and start time of this process, and the SLURM job it belongs to."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": start_time(os.getpid()),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def is_alive(process: dict[str, Any]) -> bool | None:
    """Whether a process is still there; None: it is on another machine, so that it cannot be seen from here."""
    if process["host"] == socket.gethostname():
        return start_time(process["pid"]) == process["started"]
    if process["slurm_job"] is not None and process["slurm_job"] == os.environ.get("SLURM_JOB_ID"):
        # Jobs here have one node: this one was started again elsewhere, which SLURM does only when it has ended.
        return False
    return None


def start_time(pid: int) -> str | None:
    """When a process of this machine started, in ticks of the kernel, since ids are used again; None: there is none."""
    if sys.platform != "linux":
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            return ""
        return None
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    return None


def read_process(path: Path) -> dict[str, Any] | None:
    """What `this_process` told, read from a JSON file; None if there is none, or not a whole one."""
    with suppress(FileNotFoundError, ValueError):
        process = json.loads(path.read_text())
        if isinstance(process, dict) and process.keys() >= TOLD:
            return process
    return None
