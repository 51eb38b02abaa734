"""Any image of any dataset, to an 8-bit array."""

import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from medtransfer.imaging.cifar import read_batch
from medtransfer.imaging.dicom import is_dicom, read_dicom
from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.npz import read_npz_row
from medtransfer.imaging.raster import read_raster

RECORD = re.compile(r"(?P<file>.+)#(?P<number>\d+)")
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "PPM": (".pgm", ".ppm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "DICOM": (".dcm", ".dicom"),
}


class Decoded(NamedTuple):
    """An image, uint8 [height, width] or [height, width, 3], and what was odd in its file and how it was taken.

    A note is one of few sentences, the same for every image that it holds for, so that notes can be counted.
    """

    pixels: np.ndarray
    notes: tuple[str, ...]


def decode(raw: Path, path: str, channels: int) -> np.ndarray:
    """The pixels of `decode_noting`."""
    return decode_noting(raw, path, channels).pixels


def decode_noting(raw: Path, path: str, channels: int) -> Decoded:
    """Decode one image of a cohort.

    `path` is relative to the dataset's folder `raw`; `name#12` is record 12, counted from 0, of a Parquet file
    (column `image_bytes`), of a CIFAR batch, of a DICOM file with several frames or, as `name.npz/array#12`, of an
    array in an archive. The format of an image is told by content, never by suffix. Pixels are uint8, [height, width]
    for one channel (colour as ITU-R 601 luma) and [height, width, 3] for three (grey repeated).

    Raises DecodeError, with the reason, for whatever cannot be decoded, and MemoryError; no other error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about oddities that they then handle
            image, notes = _read(raw, path)
            return Decoded(_with_channels(image, channels), notes)
    except (DecodeError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything at all on hostile bytes, and one image must not stop a batch
        reason = " ".join(str(error).split())[:200]
        raise DecodeError(f"cannot be decoded: {reason or type(error).__name__}") from error


def _read(raw: Path, path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    record = RECORD.fullmatch(path)
    if record and not (raw / path).exists():
        file, number = raw / record["file"], int(record["number"])
        if file.parent.suffix == ".npz":
            return read_npz_row(file.parent, file.name, number), ()
        if file.suffix == ".parquet":
            return _read_image(_packed_images(file, file.stat().st_mtime_ns)[number].as_py(), suffix="")
        if is_dicom(_beginning(file)):
            return read_dicom(_content(file, file.stat().st_mtime_ns), frame=number)
        return read_batch(file).images[number], ()
    return _read_image((raw / path).read_bytes(), Path(path).suffix.lower())


def _read_image(content: bytes, suffix: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if not content:
        raise DecodeError("empty file")
    if is_dicom(content):
        image, notes = read_dicom(content)
        return image, notes + _misnamed(suffix, "DICOM")
    raster = read_raster(content)
    return raster.pixels, raster.notes + _misnamed(suffix, raster.format)


def _misnamed(suffix: str, name: str) -> tuple[str, ...]:
    known = any(suffix in suffixes for suffixes in SUFFIXES.values())
    return (f"named {suffix} but is {name}",) if known and suffix not in SUFFIXES[name] else ()


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(132)


@lru_cache(maxsize=1)  # frames are asked for one by one
def _content(file: Path, modified: int) -> bytes:
    return file.read_bytes()


@lru_cache(maxsize=2)  # records are asked for one by one, in the order of the file
def _packed_images(file: Path, modified: int) -> pa.ChunkedArray:
    return pq.read_table(file, columns=["image_bytes"], use_threads=False)["image_bytes"]


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    if channels == 1:
        return image if image.ndim == 2 else np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L"))
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
