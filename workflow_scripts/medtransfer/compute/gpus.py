"""The GPUs of one machine, shared out among the jobs that run on it.

Snakemake counts the resource `gpu` but does not say which device a job shall use, so that all would use the first
(snakemake#281). Jobs therefore lease their devices, each of which is a lock in a folder of this user and machine.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from itertools import takewhile
from pathlib import Path
from urllib.parse import quote

from medtransfer.compute.locks import private_folder, take
from medtransfer.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"
LIST = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
LIST_SECONDS = 60
"""A broken driver never answers."""
POLL_SECONDS = 1.0


@contextmanager
def lease(count: int) -> Iterator[tuple[str, ...]]:
    """Have some devices for oneself, waiting until so many are free: the first free ones, as `devices` lists them.

    They are to be made visible to whatever computes: `CUDA_VISIBLE_DEVICES` is their ids joined by commas. That process
    must end with this one, since a lease ends with this process, also when it is killed. Nobody holds some devices
    while waiting for more, hence no deadlock. Jobs exclude each other that have the same user and the same folder for
    temporary files ($TMPDIR or /tmp).

    Args:
        count: Number of devices; 0 looks for none, so that it works on any machine. Processes that a job on several
            devices has started for them (they have LOCAL_RANK) get none either: they use those of their parent.

    Raises:
        UserError: There are fewer devices than that.
    """
    if count == 0 or "LOCAL_RANK" in os.environ:
        yield ()
        return
    known = devices()
    if len(known) < count:
        there = f"{len(known)} ({', '.join(known)})" if known else "none"
        source = f"{VISIBLE}={os.environ[VISIBLE]!r}" if VISIBLE in os.environ else " ".join(LIST)
        raise UserError(
            f"A job needs {count} GPU(s), but there is {there} here, says {source}. "
            "Lower training.devices, set training.accelerator to cpu, or run it on another machine."
        )
    taken = _take(known, count)
    if not taken:
        print(f"waiting for {count} of the GPUs {', '.join(known)}: other jobs use them", file=sys.stderr, flush=True)
    while not taken:
        # At another moment than others who wait, each of whom may have taken a part of what the other needs.
        time.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)
        taken = _take(known, count)
    try:
        yield tuple(taken)
    finally:
        _free(taken)


def devices() -> list[str]:
    """Ids of the devices that this process may use, numbers or UUIDs.

    Those that CUDA_VISIBLE_DEVICES names, as CUDA reads it: up to the first that is no id, none if it is empty. Where
    it is not set, all that nvidia-smi lists, none without nvidia-smi.

    Raises:
        UserError: nvidia-smi fails.
    """
    if VISIBLE in os.environ:
        named = (name.strip() for name in os.environ[VISIBLE].split(","))
        return list(dict.fromkeys(takewhile(_is_id, named)))
    try:
        listed = subprocess.run(LIST, capture_output=True, text=True, timeout=LIST_SECONDS, check=False)
    except FileNotFoundError:
        return []
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"The GPUs cannot be listed: {error}. Or name them in {VISIBLE}.") from None
    ids = [line.strip() for line in listed.stdout.splitlines()]
    if listed.returncode or not all(map(_is_id, ids)):
        said = (listed.stdout + listed.stderr).strip()
        raise UserError(f"The GPUs cannot be listed: {' '.join(LIST)} says: {said}. Or name them in {VISIBLE}.")
    return ids


def _is_id(name: str) -> bool:
    return re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", name) is not None


def _take(known: Sequence[str], count: int) -> dict[str, FileIO]:
    """The locks of the first `count` devices that are free; of none if there are fewer."""
    folder = private_folder(Path(tempfile.gettempdir()) / f"medtransfer-gpus-{os.getuid()}")
    # SLURM has shared out the devices already, and may call the first one of each of its jobs 0.
    owner = os.environ.get("SLURM_JOB_ID", "local")
    taken: dict[str, FileIO] = {}
    for device in known:
        if file := take(folder / quote(f"{owner}-{device}", safe="")):
            taken[device] = file
        if len(taken) == count:
            return taken
    _free(taken)
    return {}


def _free(taken: dict[str, FileIO]) -> None:
    for file in taken.values():
        # In a forked child it is closed, and its parent's.
        if not file.closed:
            Path(file.name).unlink(missing_ok=True)
            file.close()
