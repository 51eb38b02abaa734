"""What a Snakemake that was killed leaves behind: its lock on the working directory, and its jobs on the cluster."""

import subprocess
import sys
from pathlib import Path

from medtransfer.files import write_json
from medtransfer.processes import is_alive, read_process, this_process

OWNER = Path(".snakemake/owner.json")
LOCKS = Path(".snakemake/locks")
JOB_NAMES = "medtransfer_"
"""What the names of our jobs begin with: slurm-jobname-prefix in slurm/config.yaml."""
SLURM_SECONDS = 60


def sign(folder: Path) -> None:
    """Leave word of who works in a folder, once Snakemake has locked it."""
    write_json(this_process(), folder / OWNER)


def unlock(folder: Path) -> bool:
    """Remove Snakemake's lock from a folder whose owner is known to be no more; whether there was such a one.

    Snakemake's lock does not say whose it is. A lock of a process on another machine, or of one that left no word, is
    left alone.
    """
    locks, owner = list((folder / LOCKS).glob("*")), read_process(folder / OWNER)
    if not locks or owner is None or is_alive(owner) is not False:
        return False
    for lock in locks:
        lock.unlink(missing_ok=True)
    print(f"A Snakemake that was killed (process {owner['pid']}) had locked {folder}: unlocked.", file=sys.stderr)
    return True


def cancel_jobs(folder: Path) -> list[str]:
    """Cancel the jobs that an earlier Snakemake has submitted from a folder, and return their ids.

    Nobody waits for them any more, and theirs will be submitted again. They save their state and end. To be called by
    the Snakemake that holds the lock of the folder, before it submits anything.
    """
    ask = ["squeue", "--me", "--noheader", "--format=%A|%j|%Z"]
    told = subprocess.run(ask, capture_output=True, text=True, timeout=SLURM_SECONDS, check=True).stdout
    jobs = [line.split("|") for line in told.splitlines()]
    mine = [job for job, name, place in jobs if name.startswith(JOB_NAMES) and Path(place) == folder.resolve()]
    if mine:
        print(
            f"Cancelling jobs of an earlier Snakemake, which go on where they were: {' '.join(mine)}", file=sys.stderr
        )
        subprocess.run(["scancel", *mine], timeout=SLURM_SECONDS, check=True)
    return mine
