"""What a decoder process does. It stands alone so that such a process starts without pandas, in half the time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from medtransfer.imaging.decode import decode
from medtransfer.imaging.errors import DecodeError

Failures = list[tuple[int, str]]


def decode_chunk(raw: Path, paths: Sequence[str], shape: tuple[int, ...]) -> tuple[np.ndarray, Failures]:
    """Decode and resize a few images: their pixels [k, *shape], and (position, reason) of those that failed."""
    pixels = np.zeros((len(paths), *shape), dtype=np.uint8)
    failures: Failures = []
    for position, path in enumerate(paths):
        try:
            image = Image.fromarray(np.ascontiguousarray(decode(raw, path, channels=3 if len(shape) == 3 else 1)))
        except DecodeError as error:
            failures.append((position, str(error)))
        else:
            pixels[position] = np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
    return pixels, failures
