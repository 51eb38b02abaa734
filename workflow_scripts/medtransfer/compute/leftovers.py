"""What a Snakemake that was killed leaves behind: its lock on the working directory, and its jobs on the cluster."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from medtransfer.files import write_json, write_text
from medtransfer.processes import is_alive, read_process, start_time, this_process
from medtransfer.training.attempt import OUTCOME

SIGNED = Path(".snakemake/medtransfer")
LOCKS = Path(".snakemake/locks")
JOB_NAME = re.compile(r"medtransfer_(?P<host>[A-Za-z0-9-]+)_(?P<pid>\d+)_.*")
"""What slurm/config.yaml calls jobs (slurm-jobname-prefix): by the machine and process that wait for them."""
SLURM_SECONDS = 60


def sign(folder: Path) -> None:
    """Leave word that this process works in a folder."""
    write_json(this_process(), _signature(folder))


def sign_off(folder: Path) -> None:
    """Take that word back."""
    _signature(folder).unlink(missing_ok=True)


def unlock(folder: Path) -> bool:
    """Remove Snakemake's locks from a folder, if all who have worked there are known to be no more; whether they were.

    Snakemake's locks do not say whose they are. Where somebody still works there, or may do so on another machine, or
    where nobody has left word, they are left alone.
    """
    locks, signed = list((folder / LOCKS).glob("*")), list((folder / SIGNED).glob("*.json"))
    owners = [owner for path in signed if (owner := read_process(path))]
    if not locks or not owners or any(is_alive(owner) is not False for owner in owners):
        return False
    for left in [*locks, *signed]:
        left.unlink(missing_ok=True)
    who = ", ".join(str(owner["pid"]) for owner in owners)
    print(f"A Snakemake that was killed (process {who}) had locked {folder}: unlocked.", file=sys.stderr)
    return True


def cancel_jobs(folder: Path, scratch: Path) -> list[str]:
    """Cancel the jobs of this folder whose Snakemake, on this machine, is no more, and return their ids.

    Nobody waits for them, and the same will be submitted again. They save their state and end.

    Args:
        folder: The working directory.
        scratch: Folder of the scratch folders of runs. A job that had just finished its runs counts as failed when it
            is cancelled, and removes what it says of them; as this is planned with already, it is put back.
    """
    left = [job for job, name, place in _queue() if Path(place) == folder.resolve() and _is_orphan(name)]
    if left:
        print(f"Cancelling jobs of a Snakemake that was killed: {' '.join(left)}", file=sys.stderr)
        outcomes = {path: path.read_text() for path in scratch.rglob(OUTCOME)}
        subprocess.run(["scancel", *left], timeout=SLURM_SECONDS, check=True)
        deadline = time.monotonic() + SLURM_SECONDS
        while {job for job, *_ in _queue()} & set(left) and time.monotonic() < deadline:
            time.sleep(1)
        for path, content in outcomes.items():
            if not path.exists():
                write_text(content, path)
    return left


def _queue() -> list[list[str]]:
    """Id, name and working directory of each job of this user."""
    ask = ["squeue", "--me", "--noheader", "--format=%A|%j|%Z"]
    told = subprocess.run(ask, capture_output=True, text=True, timeout=SLURM_SECONDS, check=True).stdout
    return [line.split("|") for line in told.splitlines()]


def _is_orphan(job_name: str) -> bool:
    found = JOB_NAME.fullmatch(job_name)
    return found is not None and found["host"] == _host() and start_time(int(found["pid"])) is None


def _signature(folder: Path) -> Path:
    process = this_process()
    return folder / SIGNED / f"{process['host']}-{process['pid']}.json"


def _host() -> str:
    """The name of this machine as it stands in the names of jobs."""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:25]
