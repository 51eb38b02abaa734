"""What a decoder process does. It stands alone so that such a process starts without pandas, in half the time."""

import resource
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from medtransfer.imaging.decode import decode_noting
from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.prepare import prepare

Findings = list[tuple[int, str]]
"""Positions of images, each with what is to be said of it."""

MEMORY = 6 * 2**30
"""Bytes of address space that a decoder process may use: a file that declares more must not take the machine down."""
SECONDS = 120
"""How long one image may take: a decoder that loops for ever must not stop the batch."""


class Form(NamedTuple):
    """What a store's images look like: `channels` 1 or 3, `size` in pixels, and how they are prepared."""

    channels: int
    size: int
    preparation: str = "none"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: [size, size] or [size, size, 3]."""
        return (self.size, self.size) if self.channels == 1 else (self.size, self.size, self.channels)


class Chunk(NamedTuple):
    """Some decoded images: `pixels` uint8 [k, *shape], `failures` whose pixels are zero, and `notes`."""

    pixels: np.ndarray
    failures: Findings
    notes: Findings


def limit_process() -> None:
    """Bound this process's memory; what needs more fails with MemoryError, which is a reason like any other."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    with suppress(ValueError, OSError):  # macOS knows this limit and refuses to set it
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def decode_chunk(raw: Path, paths: Sequence[str], form: Form) -> Chunk:
    """Decode, prepare and resize a few images.

    An image that takes more than SECONDS ends this process by SIGALRM: no exception could reach a decoder written in C.
    """
    chunk = Chunk(np.zeros((len(paths), *form.shape), dtype=np.uint8), [], [])
    for position, path in enumerate(paths):
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            decoded = decode_noting(raw, path, form.channels)
            chunk.pixels[position] = _resized(prepare(decoded.pixels, form.preparation), form.size)
        except DecodeError as error:
            chunk.failures.append((position, str(error)))
        except MemoryError:
            chunk.failures.append((position, f"needs more than {MEMORY / 2**30:.0f} GiB of memory to decode"))
        else:
            chunk.notes.extend((position, note) for note in decoded.notes)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return chunk


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized)
