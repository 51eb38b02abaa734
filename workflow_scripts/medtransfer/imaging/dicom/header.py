"""The header of a DICOM file: found with or without preamble and meta header, and checked before pixels are decoded."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pydicom
from PIL import Image
from pydicom.datadict import dictionary_has_tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medtransfer.imaging.errors import DecodeError

MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # the limit at which Pillow refuses everyday images
MAX_BYTES = 2**30  # of decoded pixels, and of an inflated file
SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# Nothing else is read: no other patient tag can reach a product.
TAGS = (
    *("Modality", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(
        f"{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", *PIXEL_DATA),
)
# What enhanced multi-frame files state for all frames or for each.
FRAME_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence")


def is_dicom(content: bytes) -> bool:
    """Whether a file's content, or its beginning, is DICOM, with or without its 128-byte preamble."""
    if b"DICM" in (content[128:132], content[:4]):
        return True
    if len(content) < 8:
        return False
    for order in "<>":
        group, element, length = struct.unpack(f"{order}HHI", content[:8])
        if group in (0x0002, 0x0008) and dictionary_has_tag((group, element)):
            explicit = content[4:6].isalpha() and content[4:6].isupper()
            return explicit or (order == "<" and length < 1024)
    return False


def read_header(content: bytes) -> tuple[pydicom.Dataset, int]:
    """A file's image tags, with pixel data still encoded, and its number of frames.

    Raises DecodeError, with the reason, where tags are missing, contradict each other or declare an absurd size.
    """
    if not is_dicom(content):
        kind = "gzip file" if content[:2] == b"\x1f\x8b" else f"begins with the bytes {content[:4].hex(' ')}"
        raise DecodeError(f"{kind}, not DICOM")
    header = pydicom.dcmread(_opened(io.BytesIO(content)), force=True, specific_tags=list(TAGS))
    if not any(name in header for name in PIXEL_DATA):
        # pydicom drops an element that the file ends in.
        cut = any(tag + vr in content for tag in (b"\xe0\x7f\x10\x00",) for vr in (b"OB", b"OW"))
        raise DecodeError("pixel data cut short: the file ends within them" if cut else "DICOM without pixel data")
    n_frames = _whole_number(header, "NumberOfFrames", "number of frames", default=1) or 1
    _check_size(header, n_frames)
    if "TransferSyntaxUID" not in header.file_meta:
        if "PixelData" in header and header["PixelData"].is_undefined_length:
            raise DecodeError("compressed pixel data without a transfer syntax that says how")
        header.file_meta.TransferSyntaxUID = _transfer_syntax(header)
    return header, n_frames


def read_patient(path: Path) -> tuple[str, str]:
    """A DICOM file's patient sex and age, as its header writes them ("" where absent), without reading its pixels.

    Raises whatever pydicom raises on broken files.
    """
    header = read_tags(path, ["PatientSex", "PatientAge"])
    return str(header.get("PatientSex") or ""), str(header.get("PatientAge") or "")


def read_tags(path: Path, names: Sequence[str]) -> pydicom.Dataset:
    """Some tags of a DICOM file's header, without reading its pixels.

    Raises whatever pydicom raises on broken files.
    """
    with path.open("rb") as file:
        return pydicom.dcmread(_opened(file), stop_before_pixels=True, specific_tags=list(names), force=True)


def frame_header(header: pydicom.Dataset, frame: int) -> pydicom.Dataset:
    """The header with what the functional groups of an enhanced multi-frame file say of one frame, from 0."""
    shared = header.get("SharedFunctionalGroupsSequence") or []
    each = header.get("PerFrameFunctionalGroupsSequence") or []
    for groups in (*shared, *each[frame : frame + 1]):
        for name in FRAME_GROUPS:
            for item in groups.get(name) or []:
                header.update(item)
    return header


def stored_range(header: pydicom.Dataset) -> tuple[int, int]:
    """The lowest and the highest value that BitsStored can hold."""
    bits = int(header.BitsStored)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if header.PixelRepresentation == 1 else (0, 2**bits - 1)


def _check_size(header: pydicom.Dataset, n_frames: int) -> None:
    if "PhotometricInterpretation" not in header:
        raise DecodeError("DICOM header without PhotometricInterpretation")
    samples = _whole_number(header, "SamplesPerPixel")
    expected = SAMPLES.get(str(header.PhotometricInterpretation))
    if expected is None:
        raise DecodeError(f"photometric interpretation '{header.PhotometricInterpretation}' is none that is known")
    if samples != expected:
        raise DecodeError(f"{header.PhotometricInterpretation} with {samples} samples per pixel")
    rows, columns = _whole_number(header, "Rows"), _whole_number(header, "Columns")
    if not 0 < rows * columns <= MAX_PIXELS:
        raise DecodeError(f"DICOM that declares {rows} x {columns} pixels; at most {MAX_PIXELS} are read")
    allocated = _whole_number(header, "BitsAllocated")
    if allocated not in (1, 8, 16, 32, 64):
        raise DecodeError(f"DICOM with {allocated} bits allocated; 1, 8, 16, 32 or 64 can be read")
    if rows * columns * samples * allocated // 8 > MAX_BYTES or n_frames < 0:
        raise DecodeError(
            f"DICOM that declares {n_frames} frames of {rows} x {columns} x {samples} of {allocated} bits"
        )
    if "PixelData" in header:
        stored = _whole_number(header, "BitsStored")
        if not 0 < stored <= allocated:
            raise DecodeError(f"{stored} bits stored in {allocated} allocated")
        if _whole_number(header, "PixelRepresentation") not in (0, 1):
            raise DecodeError(f"pixel representation {header.PixelRepresentation} is neither 0 nor 1")


def _whole_number(header: pydicom.Dataset, name: str, words: str = "", default: int | None = None) -> int:
    if name not in header or header.get_item(name).value in (None, "", b""):
        if default is None:
            raise DecodeError(f"DICOM header without {name}")
        return default
    written = header.get_item(name).value  # as in the file: a wrong number raises once it is converted
    try:
        return int(header[name].value)
    except (TypeError, ValueError) as error:
        text = written.decode("ascii", "replace").strip("\0 ") if isinstance(written, bytes) else written
        raise DecodeError(f"{words or name} '{text}' is not a number") from error


def _opened(file: BinaryIO) -> BinaryIO:
    """The file as pydicom reads it: with its preamble, and inflated within bounds where it is deflated.

    Pydicom would inflate anything, to any size (the deflated transfer syntax: PS3.5 section A.5).
    """
    beginning = file.read(2**16)
    file.seek(0)
    if beginning[:4] == b"DICM":
        file = io.BytesIO(bytes(128) + file.read())
    if DeflatedExplicitVRLittleEndian.encode() not in beginning:
        return file
    pydicom.filereader.read_preamble(file, force=True)
    meta = pydicom.filereader.read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        file.seek(0)
        return file
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(file.read(), MAX_BYTES)
    if inflater.unconsumed_tail:
        raise DecodeError(f"deflated DICOM that inflates to more than {MAX_BYTES} bytes")
    if not inflater.eof:
        raise DecodeError("deflated DICOM that is cut short")
    syntax = ExplicitVRLittleEndian.encode() + b"\0"
    return io.BytesIO(bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 16, b"UI", len(syntax)) + syntax + inflated)


def _transfer_syntax(header: pydicom.Dataset) -> UID:
    """The uncompressed transfer syntax that fits how the elements of a file without file meta header are written."""
    implicit, little_endian = header.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
