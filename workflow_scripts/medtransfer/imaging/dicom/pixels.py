"""The stored values of a DICOM file, by the fastest decoder of each transfer syntax."""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import gdcm
import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import generate_frames, get_frame
from pydicom.pixels import get_decoder
from pydicom.pixels.utils import get_expected_length

from medtransfer.imaging.dicom.codestream import Codestream, read_codestream
from medtransfer.imaging.dicom.header import MAX_BYTES, PIXEL_DATA, read_header, stored_range
from medtransfer.imaging.dicom.jpeg12 import BITS, decode_jpeg12
from medtransfer.imaging.errors import DecodeError

# The fastest first (`python -m tests.bench.decoding`), then whoever may read what that one cannot; all agree. GDCM is
# asked only where it is the fastest or the only one: some broken codestreams make it end the process.
DECODERS = {
    uid.RLELossless: ("pylibjpeg", "pydicom"),
    uid.JPEGBaseline8Bit: ("pillow",),
    uid.JPEGExtended12Bit: ("pillow",),
    uid.JPEGLossless: ("gdcm",),
    uid.JPEGLosslessSV1: ("gdcm",),
    uid.JPEGLSLossless: ("pyjpegls",),
    uid.JPEGLSNearLossless: ("pyjpegls",),
    uid.JPEG2000Lossless: ("gdcm", "pylibjpeg"),
    uid.JPEG2000: ("gdcm", "pylibjpeg"),
    uid.HTJ2KLossless: ("pylibjpeg",),
    uid.HTJ2KLosslessRPCL: ("pylibjpeg",),
    uid.HTJ2K: ("pylibjpeg",),
}
UNCOMPRESSED = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
PRECISION = "the codestream's precision is not BitsStored"
SIGNED = "the codestream's sign contradicts PixelRepresentation, which was believed"
OUTSIDE = "stored values lie outside BitsStored"
SECOND_CHOICE = "a decoder refused the pixel data, which another one could read"
TOO_LONG = "there is more pixel data than the header declares"

for switch_off in (gdcm.Trace.DebugOff, gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff):
    switch_off()  # one line for each broken image would bury the list of them
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


class Stored(NamedTuple):
    """Stored values [rows, columns] or [rows, columns, 3], what they mean once decoded, and contradictions found."""

    pixels: np.ndarray
    photometric: str
    notes: list[str]


def stored_pixels(content: bytes) -> np.ndarray:
    """The stored values of all frames of a DICOM file, before any grey-scale step; YBR colours become RGB.

    Shape [rows, columns], frames before and 3 samples after where there are several; palette images hold indices.
    Raises DecodeError, with the reason, and whatever pydicom raises on broken files.
    """
    header, n_frames = read_header(content)
    if n_frames * header.Rows * header.Columns * header.SamplesPerPixel * header.BitsAllocated // 8 > MAX_BYTES:
        raise DecodeError(f"DICOM with {n_frames} frames, more than fit into {MAX_BYTES} bytes")
    return _read(header, None, n_frames, raw=False).pixels


def read_frame(header: pydicom.Dataset, frame: int, n_frames: int) -> Stored:
    """The stored values of one frame, from 0; colours as `photometric` says. Raises like `stored_pixels`."""
    stored = _read(header, frame, n_frames, raw=True)
    pixels = stored.pixels
    if "PixelData" not in header or header.BitsStored >= 8 * pixels.dtype.itemsize:
        return stored
    low, high = stored_range(header)
    if pixels.min() >= low and pixels.max() <= high:
        return stored
    if header.file_meta.TransferSyntaxUID not in (*uid.JPEG2000TransferSyntaxes, uid.JPEGExtended12Bit):
        # Bits above BitsStored are none of the sample's (PS3.5 section 8.1.1): they once held overlays. Where the
        # codec is lossy, a sample may exceed its bits, and the grey scale clips it.
        unused = 8 * pixels.dtype.itemsize - header.BitsStored
        pixels = pixels << unused >> unused
    return Stored(pixels, stored.photometric, [*stored.notes, OUTSIDE])


def _read(header: pydicom.Dataset, frame: int | None, n_frames: int, raw: bool) -> Stored:
    syntax = header.file_meta.TransferSyntaxUID
    if syntax not in (*DECODERS, *UNCOMPRESSED):
        raise DecodeError(f"transfer syntax {syntax.name}, which has no decoder")
    encapsulated = "PixelData" in header and header["PixelData"].is_undefined_length
    if encapsulated != (syntax in DECODERS):
        what = "encapsulated" if encapsulated else "not encapsulated"
        raise DecodeError(f"transfer syntax {syntax.name}, but pixel data that are {what}")
    if not encapsulated:
        notes = _check_length(header)
        return Stored(*_as_array(header, frame, raw), notes)
    notes = []
    if syntax == uid.RLELossless:
        if header.BitsAllocated % 8:
            raise DecodeError(f"RLE pixel data of {header.BitsAllocated} bit(s), which RLE in DICOM cannot hold")
        return Stored(*_decode(header, frame, raw, notes), notes)
    for content in _codestreams(header, frame, n_frames):
        codestream = read_codestream(content)
        notes += [note for note in _contradictions(codestream, header) if note not in notes]
    if syntax == uid.JPEGExtended12Bit and (codestream.precision, codestream.samples) == (BITS, 1):
        return _read_jpeg12(header, frame, n_frames, notes)
    return Stored(*_decode(header, frame, raw, notes), notes)


def _decode(header: pydicom.Dataset, frame: int | None, raw: bool, notes: list[str]) -> tuple[np.ndarray, str]:
    """Compressed pixels by the first decoder that can read them, and the photometric interpretation they then have."""
    syntax = header.file_meta.TransferSyntaxUID
    for plugin in DECODERS[syntax]:
        try:
            decoded = _as_array(header, frame, raw, plugin)
        except (MemoryError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a decoder in Rust panics with no less; the next one may read it
            reason = error
        else:
            notes += [SECOND_CHOICE] if plugin != DECODERS[syntax][0] else []
            return decoded
    raise DecodeError(f"{syntax.name} pixel data that no decoder can read") from reason


def _as_array(header: pydicom.Dataset, frame: int | None, raw: bool, plugin: str = "") -> tuple[np.ndarray, str]:
    """Decoded pixels, and the photometric interpretation that they then have."""
    decoder = get_decoder(header.file_meta.TransferSyntaxUID)
    options: Any = {"correct_unused_bits": not raw, "view_only": raw}
    pixels, facts = decoder.as_array(header, index=frame, raw=raw, decoding_plugin=plugin, **options)
    return pixels, str(facts["photometric_interpretation"])


def _codestreams(header: pydicom.Dataset, frame: int | None, n_frames: int) -> Iterator[bytes]:
    offsets = None
    if "ExtendedOffsetTable" in header and "ExtendedOffsetTableLengths" in header:
        offsets = header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths
    if frame is None:
        yield from generate_frames(header.PixelData, number_of_frames=n_frames, extended_offsets=offsets)
    else:
        yield get_frame(header.PixelData, frame, number_of_frames=n_frames, extended_offsets=offsets)


def _read_jpeg12(header: pydicom.Dataset, frame: int | None, n_frames: int, notes: list[str]) -> Stored:
    frames = [decode_jpeg12(content, header.Rows, header.Columns) for content in _codestreams(header, frame, n_frames)]
    return Stored(frames[0] if len(frames) == 1 else np.stack(frames), str(header.PhotometricInterpretation), notes)


def _contradictions(codestream: Codestream, header: pydicom.Dataset) -> Iterator[str]:
    """Where a codestream says other than the header. Raises DecodeError where that makes another image of it."""
    size, declared = (codestream.rows, codestream.columns), (header.Rows, header.Columns)
    if size != declared:
        raise DecodeError(
            f"a codestream of {size[0]} x {size[1]} pixels; the header says {declared[0]} x {declared[1]}"
        )
    if codestream.samples != header.SamplesPerPixel:
        raise DecodeError(
            f"a codestream with {codestream.samples} samples per pixel; the header says {header.SamplesPerPixel}"
        )
    if codestream.precision > header.BitsAllocated:
        raise DecodeError(f"a codestream of {codestream.precision} bits; the header allocates {header.BitsAllocated}")
    if codestream.precision != header.BitsStored:
        yield PRECISION
    if codestream.signed not in (None, bool(header.PixelRepresentation)):
        yield SIGNED


def _check_length(header: pydicom.Dataset) -> list[str]:
    """Compare the length of uncompressed pixel data with what the header makes it."""
    keyword = next(name for name in PIXEL_DATA if name in header)
    length, expected = len(header[keyword].value), get_expected_length(header)
    if length < expected:
        raise DecodeError(f"pixel data cut short: {length} of {expected} bytes")
    return [TOO_LONG] if length > expected + expected % 2 else []
