"""One piece of training and its scratch folder: who works on it, what is finished, what became of it.

Clusters start things twice: a job that was pre-empted is requeued while Snakemake submits it again, or Snakemake was
killed and, started again, knows nothing of the jobs it has left. Whoever is first therefore claims the folder, and the
others wait and then find the work finished. Files that are finished stay in the folder, as further names of the
results' own files, since Snakemake removes the outputs of a job that it has not seen the end of.

A claim is a file whose modification time is a heartbeat. It works on any shared file system and never hangs, as locks
on a network file system may. Clocks are not compared: whether a heart beats is seen by looking twice.
"""

import json
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from medtransfer.errors import UserError
from medtransfer.files import link, write_json
from medtransfer.processes import is_alive, read_process, this_process

BEAT_SECONDS = 15.0
STALE_SECONDS = 120.0
"""So long without a heartbeat, and an owner on another machine is taken to be no more."""
POLL_SECONDS = 2.0
OWNER, PROGRESS, CRASHES, FINISHED = "owner.json", "progress.json", "crashes.json", "finished"
CHECKPOINT, OUTCOME = "checkpoint.pt", "outcome.json"
RECORD = "run.json"
"""Of what was finished; it is written last."""


@contextmanager
def claimed(folder: Path, beat: float = BEAT_SECONDS, stale: float = STALE_SECONDS) -> Iterator[None]:
    """Have a scratch folder for oneself, after having waited for whoever works there.

    Args:
        folder: The scratch folder; it is made if it is not there.
        beat: Seconds between heartbeats.
        stale: Seconds without one after which an owner that cannot be looked at is taken to be no more.

    A process that others took to be dead, and so took the claim from, ends as soon as it sees that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, mine = folder / OWNER, {"token": uuid.uuid4().hex, **this_process()}
    told = False
    while not _create(path, mine):
        owner = read_process(path)
        if _is_gone(path, owner, stale):
            _take_away(path, owner)
        elif not told:
            print(f"waiting for the process that works on {folder}: {owner}", file=sys.stderr, flush=True)
            told = True
        else:
            time.sleep(POLL_SECONDS)
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(path, mine["token"], beat, ended), daemon=True)
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()
        if _is_mine(path, mine["token"]):
            path.unlink(missing_ok=True)


def finished(folder: Path, identity: str, elsewhere: Path | None = None) -> Path | None:
    """The folder of a piece of training that was finished before, with all its files, or None.

    Args:
        folder: Its scratch folder.
        identity: A digest of all that it depends on.
        elsewhere: Where its files may lie, too: the results, when the scratch folder was removed.
    """
    kept = folder / FINISHED
    if elsewhere and _identity(elsewhere) == identity != _identity(kept):
        # The record last, as it was written.
        for file in sorted(elsewhere.iterdir(), key=lambda file: file.name == RECORD):
            if file.is_file():
                link(file, kept / file.name)
    return kept if _identity(kept) == identity else None


def crashed_before(folder: Path) -> bool:
    """Note that this piece of training ended by an error nobody expected, and say whether it had before."""
    path = folder / CRASHES
    before = path.exists()
    write_json({"time": time.time(), "error": traceback.format_exc()}, path)
    return before


def write_outcome(path: Path | str, status: Literal["finished", "failed"], reason: str = "") -> None:
    """Say what became of a run: the file that the workflow waits for."""
    write_json({"status": status, "reason": reason}, path)


def clear(folder: Path) -> None:
    """Remove what is needed only until a piece of training is done."""
    for name in (CHECKPOINT, PROGRESS, CRASHES):
        (folder / name).unlink(missing_ok=True)


def _identity(folder: Path) -> str | None:
    """The identity in the record that is written last; None if there is no such record."""
    with suppress(FileNotFoundError, NotADirectoryError):
        identity: str | None = json.loads((folder / RECORD).read_text()).get("identity")
        return identity
    return None


def _create(path: Path, owner: dict[str, Any]) -> bool:
    """Whether the claim file could be made: linking fails where there is one, on network file systems, too."""
    draft = path.with_name(f".{path.name}-{owner['token']}")
    try:
        with draft.open("w") as file:
            file.write(json.dumps(owner))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _is_mine(path: Path, token: str) -> bool:
    return (read_process(path) or {}).get("token") == token


def _is_gone(path: Path, owner: dict[str, Any] | None, stale: float) -> bool:
    """Whether the owner of a claim is no more: at once where that can be seen, otherwise after a while of silence."""
    alive = is_alive(owner) if owner else None
    if alive is not None:
        return not alive
    deadline = time.monotonic() + stale
    with suppress(FileNotFoundError):
        last = path.stat().st_mtime_ns
        while time.monotonic() < deadline:
            time.sleep(min(POLL_SECONDS, stale))
            if path.stat().st_mtime_ns != last:
                return False
        return read_process(path) == owner
    return False


def _take_away(path: Path, owner: dict[str, Any] | None) -> None:
    """Remove the claim of an owner that is no more, and not that of another who was faster."""
    moved = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        path.rename(moved)
        if read_process(moved) != owner:
            with suppress(FileExistsError):
                os.link(moved, path)
        moved.unlink()


def _beat(path: Path, token: str, seconds: float, ended: threading.Event) -> None:
    while not ended.wait(seconds):
        # A file system that does not answer for a moment must not end the training.
        with suppress(OSError):
            if not _is_mine(path, token):
                print(f"{path.parent} was taken over: this process was silent for too long and stops", file=sys.stderr)
                os._exit(1)
            os.utime(path)


def publish(outcome: Path, outputs: list[Path]) -> None:
    """Give the files of a finished run their names among the results.

    Raises:
        UserError: The run failed; the message is its reason.
    """
    told = json.loads(outcome.read_text())
    if told["status"] == "failed":
        raise UserError(
            f"{told['reason']}\nIt is not tried again until something that it depends on changes; "
            f"to do so now: rm {outcome}"
        )
    for output in outputs:
        source = outcome.parent / FINISHED / output.name
        if not source.exists():
            raise UserError(f"{source} is not there, though its run was finished. To train it again: rm {outcome}")
        give(source, output)


def give(source: Path, output: Path) -> None:
    """Give a finished file its name among the results."""
    link(source, output)
    # Not older than what it was made from, also where that was made anew and came out the same.
    os.utime(output)
