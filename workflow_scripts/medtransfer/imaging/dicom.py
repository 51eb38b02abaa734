"""DICOM images, to 8 bits by the grey scale that the header states.

Grey values pass the standard's chain (DICOM PS3.4 section N.2): modality LUT or rescale, then VOI LUT or window. The
first window counts where several are given. Without either, the whole range of the stored bits maps to 0..255: the
range that the pixels happen to span is never used, so films stay comparable.
"""

import io
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.jpeg12 import is_jpeg12, read_jpeg12

MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # the limit at which Pillow refuses everyday images
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")  # how files without preamble begin, in either byte order


def is_dicom(content: bytes) -> bool:
    """Whether a file's content is DICOM, with or without its 128-byte preamble."""
    return content[128:132] == b"DICM" or content[:4] == b"DICM" or content[:2] in FIRST_GROUPS


def read_dicom(content: bytes) -> np.ndarray:
    """Decode a DICOM image of one frame to uint8, [height, width] for grey images and [height, width, 3] for colour.

    MONOCHROME1 is inverted, so that bone is bright in every film; padding becomes black. YBR and palette colours
    become RGB. Raises DecodeError for files without pixels, with several frames, of absurd size or with floating-point
    pixels and no window, and whatever pydicom raises on broken files.
    """
    header = pydicom.dcmread(io.BytesIO(content), force=True)
    if not any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise DecodeError("DICOM without pixel data")
    frames = int(header.get("NumberOfFrames") or 1)
    if frames != 1:
        raise DecodeError(f"DICOM with {frames} frames, where a single image is expected")
    for name in ("Rows", "Columns", "PhotometricInterpretation"):
        if name not in header:
            raise DecodeError(f"DICOM header without {name}")
    if not 0 < header.Rows * header.Columns <= MAX_PIXELS:
        raise DecodeError(f"DICOM that declares {header.Rows} x {header.Columns} pixels; at most {MAX_PIXELS} are read")
    if "TransferSyntaxUID" not in header.file_meta:
        header.file_meta.TransferSyntaxUID = _transfer_syntax(header)

    pixels = read_jpeg12(content, header) if is_jpeg12(header) else header.pixel_array
    if header.PhotometricInterpretation == "PALETTE COLOR":
        colour = apply_color_lut(pixels, header)
        return _to_uint8(colour, 0, np.iinfo(colour.dtype).max)
    if pixels.ndim == 3:
        return _to_uint8(pixels, 0, 2**header.BitsStored - 1)
    return _grey(pixels, header)


def read_patient(path: Path) -> tuple[str, str]:
    """A DICOM file's patient sex and age, as its header writes them ("" where absent), without reading its pixels.

    Raises whatever pydicom raises on broken files.
    """
    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientSex", "PatientAge"], force=True)
    return str(header.get("PatientSex") or ""), str(header.get("PatientAge") or "")


def _grey(pixels: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    if pixels.dtype.itemsize > 2:
        grey = _displayed(pixels, header)
    else:
        # A film has millions of pixels but at most 65,536 grey values: the chain runs once for each value.
        bits = np.dtype(f"u{pixels.dtype.itemsize}")
        every_value = np.arange(2 ** (8 * bits.itemsize), dtype=bits).view(pixels.dtype)
        grey = _displayed(every_value, header)[pixels.view(bits)]
    if header.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    padding = header.get("PixelPaddingValue")
    if padding is not None:
        low, high = sorted((padding, header.get("PixelPaddingRangeLimit", padding)))
        grey[(pixels >= low) & (pixels <= high)] = 0
    return grey


def _displayed(values: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """Stored values to 8-bit display values, by modality LUT, then VOI LUT or window or the range of the bits."""
    values = apply_modality_lut(values, header)
    if header.get("VOILUTSequence"):
        depth = int(header.VOILUTSequence[0].LUTDescriptor[2])
        return _to_uint8(apply_voi(values, header), 0, 2**depth - 1)
    if header.get("WindowCenter") is not None and header.get("WindowWidth") is not None:
        return _to_uint8(apply_windowing(values, header), *_range(header))
    return _to_uint8(values, *sorted(_range(header)))


def _range(header: pydicom.Dataset) -> tuple[float, float]:
    """What the modality LUT or rescale makes of the lowest and of the highest stored value.

    The first is the greater under a negative slope, and `apply_windowing` then turns its output the same way round.
    """
    if header.get("ModalityLUTSequence"):
        return 0, 2 ** int(header.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    if "BitsStored" not in header:
        raise DecodeError("DICOM with floating-point pixels, whose range the header does not state")
    bits, signed = int(header.BitsStored), header.PixelRepresentation == 1
    stored = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope, intercept = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
    return slope * stored[0] + intercept, slope * stored[1] + intercept


def _to_uint8(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (values.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def _transfer_syntax(header: pydicom.Dataset) -> UID:
    """The uncompressed transfer syntax that fits how the elements of a file without file meta header are written."""
    implicit, little_endian = header.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
