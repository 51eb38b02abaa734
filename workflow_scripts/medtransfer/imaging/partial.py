"""The part of an image store that is done, so that a stopped build goes on where it was."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medtransfer import versions
from medtransfer.imaging.chunk import Chunk, Findings, Form

SYNC_SECONDS = 10.0


class Partial:
    """A store under way in a folder: `pixels.npy`, written in order, and `journal.jsonl`, which says what is in it.

    The journal follows the pixels to the disk, every few seconds, so it never speaks of images that are not there. A
    folder left by another job (`key`) is begun anew.

    Attributes:
        done: Images that are in the store.
        failures: (row, reason) of each that could not be decoded.
        notes: (row, note).
    """

    def __init__(self, folder: Path, key: str, n_images: int, form: Form) -> None:
        self.folder = folder
        self.done = 0
        self.failures: Findings = []
        self.notes: Findings = []
        folder.mkdir(parents=True, exist_ok=True)
        pixels, journal, self.key_file = folder / "pixels.npy", folder / "journal.jsonl", folder / "key"
        if not (self.key_file.exists() and self.key_file.read_text() == key):
            for path in (self.key_file, pixels, journal):
                path.unlink(missing_ok=True)
        self.pixels = pixels.open("r+b" if pixels.exists() else "w+b")
        self.journal = journal.open("a+")
        header = {"descr": "|u1", "fortran_order": False, "shape": (n_images, *form.shape)}
        np.lib.format.write_array_header_1_0(self.pixels, header)
        start = self.pixels.tell()
        self._read_journal((pixels.stat().st_size - start) // int(np.prod(form.shape)))
        self.pixels.truncate(start + self.done * int(np.prod(form.shape)))
        self.pixels.seek(0, os.SEEK_END)
        self.key_file.write_text(key)
        self.waiting: list[str] = []
        self.synced = time.monotonic()

    def _read_journal(self, n_written: int) -> None:
        """Take over what the journal says of images that are written; a line cut short by a kill ends it."""
        self.journal.seek(0)
        valid = 0
        for line in self.journal:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                break
            if not line.endswith("\n") or self.done + entry["images"] > n_written:
                break
            self._count(entry["images"], entry["failures"], entry["notes"])
            valid += len(line.encode())
        self.journal.truncate(valid)

    def append(self, chunk: Chunk) -> None:
        """Add the next images."""
        self.pixels.write(chunk.pixels.data)
        entry = {"images": len(chunk.pixels), "failures": chunk.failures, "notes": chunk.notes}
        self.waiting.append(json.dumps(entry) + "\n")
        self._count(len(chunk.pixels), chunk.failures, chunk.notes)
        if time.monotonic() - self.synced > SYNC_SECONDS:
            self.sync()

    def _count(self, images: int, failures: Findings, notes: Findings) -> None:
        self.failures += [(self.done + position, reason) for position, reason in failures]
        self.notes += [(self.done + position, note) for position, note in notes]
        self.done += images

    def sync(self) -> None:
        """Bring pixels, then journal, to the disk."""
        self.pixels.flush()
        os.fsync(self.pixels.fileno())
        self.journal.writelines(self.waiting)
        self.journal.flush()
        self.waiting.clear()
        self.synced = time.monotonic()

    def close(self) -> None:
        """Keep what is done, for the next time."""
        self.sync()
        self.pixels.close()
        self.journal.close()

    def finish(self, out: Path) -> None:
        """Move the whole store to `out` and remove the folder."""
        out.parent.mkdir(parents=True, exist_ok=True)
        Path(self.pixels.name).replace(out)
        Path(self.journal.name).unlink()
        self.key_file.unlink()
        self.folder.rmdir()


def job_key(raw: Path, paths: Sequence[str], form: Form) -> str:
    """What a build depends on: its images their sizes and times of change, their form, the recipe's version."""
    digest = hashlib.sha256(json.dumps([versions.IMAGE_STORE, form]).encode())
    for path in paths:
        digest.update(f"{path}\n{_stamp(raw, path)}\n".encode())
    return digest.hexdigest()


def _stamp(raw: Path, path: str) -> str:
    for file in (raw / path, raw / path.rpartition("#")[0]):
        try:
            found = file.stat()
        except OSError:
            continue
        return f"{found.st_size} {found.st_mtime_ns}"
    return "absent"
