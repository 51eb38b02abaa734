"""Any image of any dataset, to an 8-bit array."""

import re
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from medtransfer.imaging.cifar import read_batch
from medtransfer.imaging.dicom import is_dicom, read_dicom
from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.raster import read_raster

RECORD = re.compile(r"(?P<file>.+)#(?P<number>\d+)")


def decode(raw: Path, path: str, channels: int) -> np.ndarray:
    """Decode one image of a cohort.

    `path` is relative to the dataset's folder `raw`; `name#12` is record 12, counted from 0, of a Parquet file
    (column `image_bytes`) or of a CIFAR batch. The format is told by content, never by suffix. Returns uint8,
    [height, width] for one channel (colour as ITU-R 601 luma) and [height, width, 3] for three (grey repeated).

    Raises DecodeError, with the reason, for whatever cannot be decoded; no other error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about oddities that they then handle
            image = _read(raw, path)
    except DecodeError:
        raise
    except Exception as error:  # decoders raise anything at all on hostile bytes, and one image must not stop a batch
        reason = " ".join(str(error).split())[:200]
        raise DecodeError(f"cannot be decoded: {reason or type(error).__name__}") from error
    return _with_channels(image, channels)


def _read(raw: Path, path: str) -> np.ndarray:
    record = RECORD.fullmatch(path)
    if record and not (raw / path).exists():
        file, number = raw / record["file"], int(record["number"])
        if file.suffix != ".parquet":
            return read_batch(file).images[number]
        content = _packed_images(file, file.stat().st_mtime_ns)[number].as_py()
    else:
        content = (raw / path).read_bytes()
    if not content:
        raise DecodeError("empty file")
    return read_dicom(content) if is_dicom(content) else read_raster(content)


@lru_cache(maxsize=2)  # records are asked for one by one, in the order of the file
def _packed_images(file: Path, modified: int) -> pa.ChunkedArray:
    return pq.read_table(file, columns=["image_bytes"], use_threads=False)["image_bytes"]


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    if channels == 1:
        return image if image.ndim == 2 else np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L"))
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
