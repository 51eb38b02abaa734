"""Arrays in NumPy archives (.npz), a few rows at a time: those of MedMNIST at 224 pixels do not fit into memory."""

import zipfile
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class NpzArray:
    """One array of an archive: its `shape` and `dtype` from its header, its rows on demand.

    Raises ValueError where there is no such array, or one that is pickled, in Fortran order or not of the size that its
    header says; and whatever `zipfile` and `numpy.lib.format` raise on broken files.
    """

    def __init__(self, file: Path, array: str) -> None:
        self._file, self._member = file, f"{array}.npy"
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if self._member not in names:
                raise ValueError(f"it has no {self._member}, only {', '.join(names) or 'nothing'}")
            with archive.open(self._member) as stream:
                version = npy.read_magic(stream)
                if version not in HEADERS:
                    raise ValueError(f"{array} has the .npy version {version}; known are 1.0 and 2.0")
                self.shape, fortran_order, self.dtype = HEADERS[version](stream)
                self._start = stream.tell()
            there = archive.getinfo(self._member).file_size
        if self.dtype.hasobject:
            raise ValueError(f"{array} is pickled, and a pickle can run anything: it is not read")
        if fortran_order or not self.shape:
            raise ValueError(f"{array} is not an array of rows in C order")
        self._row_bytes = prod(self.shape[1:]) * self.dtype.itemsize
        needed = self._start + len(self) * self._row_bytes
        if there != needed:
            raise ValueError(f"{array} has {there} bytes; its shape {self.shape} needs {needed}")

    @cached_property
    def _stream(self) -> IO[bytes]:
        with zipfile.ZipFile(self._file) as archive:
            return archive.open(self._member)  # stays open when the archive is closed

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`, exclusive, as [stop - start, *shape[1:]].

        A compressed array is read forward from where it was left, and from its beginning for an earlier row: ask for
        rows in order. Raises IndexError for rows that it does not have, and what `zipfile` raises on damaged ones.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"rows {start} to {stop} of {len(self)}")
        self._stream.seek(self._start + start * self._row_bytes)
        content = self._stream.read((stop - start) * self._row_bytes)
        return np.frombuffer(content, self.dtype).reshape(stop - start, *self.shape[1:])


def open_images(file: Path, array: str) -> NpzArray:
    """An array of images: uint8 [n, height, width], or [n, height, width, 3] for colour. Others raise ValueError."""
    images = NpzArray(file, array)
    grey_or_colour = len(images.shape) == 3 or (len(images.shape) == 4 and images.shape[3] == 3)
    if images.dtype != np.uint8 or not grey_or_colour or 0 in images.shape[1:]:
        raise ValueError(f"{array} is {images.dtype} {list(images.shape)}, not uint8 images [n, height, width(, 3)]")
    return images


def read_npz_row(file: Path, array: str, row: int) -> np.ndarray:
    """Image `row`, counted from 0, of an array of images: uint8 [height, width], or [height, width, 3] for colour.

    The array stays open for the next row. Raises what `open_images` and `NpzArray.rows` raise.
    """
    return _images(file, array, file.stat().st_mtime_ns).rows(row, row + 1)[0]


@lru_cache(maxsize=2)  # rows are asked for one by one, in order, and opening anew means reading from the beginning
def _images(file: Path, array: str, modified: int) -> NpzArray:
    return open_images(file, array)
