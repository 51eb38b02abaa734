"""Decoding of radiographs: images per second and core, by transfer syntax, beside every single decoder there is.

A single decoder makes stored values of a file that pydicom reads. `stored` is what this package does up to there, with
its checks, and `shown` up to 8 bits, through the grey scale of the header. All decode the same film in turn, in one
process.
"""

import io
from collections.abc import Callable

import gdcm
import numpy as np
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import Decoder
from threadpoolctl import threadpool_limits

from medtransfer.imaging.dicom import read_dicom, stored_pixels
from tests.bench.timing import seconds_of
from tests.dicom_files import as_bytes, compressed, compressed_by_gdcm, dataset, encapsulated

ROWS, COLUMNS, BITS = 2500, 2048, 12
ROUNDS = 5


def main() -> None:
    """Print the medians of each, and the share of the best single decoder that this package reaches."""
    film = _radiograph()
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    files = {
        "uncompressed": as_bytes(dataset(film, BITS, **window)),
        "RLE": compressed(dataset(film, BITS, **window), uid.RLELossless),
        "JPEG-LS": compressed(dataset(film, BITS, **window), uid.JPEGLSLossless),
        "JPEG lossless": compressed_by_gdcm(dataset(film, BITS, **window), gdcm.TransferSyntax.JPEGLosslessProcess14_1),
        "JPEG 2000": compressed(dataset(film, BITS, **window), uid.JPEG2000Lossless),
        "JPEG baseline": _baseline((film >> 4).astype(np.uint8)),
    }
    print(f"{ROWS} x {COLUMNS} pixels of {BITS} bits, one core, medians of {ROUNDS} rounds, images/s")
    print(f"{'transfer syntax':15} {'stored':>7} {'shown':>7}  {'share of best: stored, shown':30} single decoders")
    with threadpool_limits(1):
        for name, content in files.items():
            print(_line(name, content))


def _line(name: str, content: bytes) -> str:
    decoder = get_decoder(pydicom.dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID)
    alone = {plugin or "numpy": _alone(decoder, content, plugin) for plugin in decoder.available_plugins or ("",)}
    works = {"stored": lambda: stored_pixels(content), "shown": lambda: read_dicom(content), **alone}
    seconds = [[seconds_of(work) for work in works.values()] for _ in range(ROUNDS)]
    rates = dict(zip(works, 1 / np.median(seconds, axis=0), strict=True))
    stored, shown = rates.pop("stored"), rates.pop("shown")
    best = max(rates.values())
    single = ", ".join(f"{plugin} {rate:.1f}" for plugin, rate in sorted(rates.items(), key=lambda pair: -pair[1]))
    return f"{name:15} {stored:7.1f} {shown:7.1f}  {f'{stored / best:.2f}, {shown / best:.2f}':30} {single}"


def _alone(decoder: Decoder, content: bytes, plugin: str) -> Callable[[], object]:
    return lambda: decoder.as_array(pydicom.dcmread(io.BytesIO(content)), decoding_plugin=plugin)


def _radiograph() -> np.ndarray:
    """A film as smooth as a body and as noisy as a detector."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 2**BITS, (40, 33)).astype(np.float32))
    smooth = np.asarray(coarse.resize((COLUMNS, ROWS), Image.Resampling.BICUBIC))
    return (smooth + generator.normal(0, 8, smooth.shape)).clip(0, 2**BITS - 1).astype(np.uint16)


def _baseline(film: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(film).save(buffer, "JPEG", quality=95)
    return encapsulated(dataset(film, 8), buffer.getvalue(), uid.JPEGBaseline8Bit)


if __name__ == "__main__":
    main()
