"""The two official file layouts of CIFAR-10 and CIFAR-100: binary and Python pickle.

Binary: records of one label byte (CIFAR-100: a coarse and a fine one) and 3,072 pixel bytes, the red, green and blue
plane of 32 x 32 each. Pickle: a dictionary with the same pixels as one array [n, 3072] and a list of labels.
"""

import io
import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PIXELS = 3 * 32 * 32
LABEL_BYTES = {"train.bin": 2, "test.bin": 2}  # CIFAR-100; every file of CIFAR-10 has one


class Batch(NamedTuple):
    """One file: `labels` [n] (fine ones for CIFAR-100) and `images` uint8 [n, 32, 32, 3]."""

    labels: np.ndarray
    images: np.ndarray


def read_batch(path: Path) -> Batch:
    """Read a batch file of either layout. Raises ValueError when its size or content is not that of a batch."""
    return _read_batch(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)  # records are asked for one by one, and a batch holds ten thousand of them
def _read_batch(path: Path, modified: int) -> Batch:
    if path.suffix == ".bin":
        return _read_binary(path)
    content = read_pickle(path)
    labels = content.get("fine_labels", content.get("labels"))
    pixels = content.get("data")
    if labels is None or not isinstance(pixels, np.ndarray) or pixels.shape != (len(labels), PIXELS):
        raise ValueError("a CIFAR batch has data [n, 3072] and n labels or fine_labels")
    return Batch(np.asarray(labels), _images(pixels))


def _read_binary(path: Path) -> Batch:
    label_bytes = LABEL_BYTES.get(path.name, 1)
    content = np.fromfile(path, dtype=np.uint8)
    if content.size % (label_bytes + PIXELS):
        raise ValueError(f"{content.size} bytes are no whole number of {label_bytes + PIXELS}-byte records: cut short?")
    records = content.reshape(-1, label_bytes + PIXELS)
    return Batch(records[:, label_bytes - 1], _images(records[:, label_bytes:]))


def _images(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def read_pickle(path: Path) -> dict[str, Any]:
    """Read one of CIFAR's pickled dictionaries, with its keys as text, running no code that the file names.

    Raises ValueError for anything but plain Python values and numpy arrays.
    """
    try:
        content = _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ImportError, AttributeError, IndexError, TypeError) as error:
        raise ValueError(f"not a pickle of plain values and arrays: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("not a pickled dictionary")
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in content.items()}


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles arrays and plain values; a pickle can otherwise run anything."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 writes bytes
            return lambda text, encoding: text.encode(encoding)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
