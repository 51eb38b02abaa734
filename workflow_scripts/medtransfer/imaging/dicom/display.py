"""From stored values to 8 bits: the grey-scale chain, palettes and colour spaces, and square pixels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels import apply_color_lut

from medtransfer.imaging.dicom.header import MAX_PIXELS, stored_range
from medtransfer.imaging.errors import DecodeError

BLOCK = 1 << 18  # values at a time, so that what numpy makes of them in between stays in the processor's cache
MAX_STRETCH = 8  # no detector has pixels that are longer than wide by more
NOT_SQUARE = "pixels are not square: the shorter axis was enlarged"
STRETCHED = "the header's pixel aspect ratio is absurd and was left out"
NO_WINDOW = "the window's width is not positive: it was left out"
NOT_NUMBERS = "some pixels are not numbers: they are black"

Shade = Callable[[np.ndarray], np.ndarray]


def to_uint8(pixels: np.ndarray, photometric: str, header: pydicom.Dataset, notes: list[str]) -> np.ndarray:
    """Stored values to what a display shows, uint8 of the same size. Appends to `notes`; raises DecodeError."""
    if photometric == "PALETTE COLOR":
        colour = apply_color_lut(pixels, header)
        return _blockwise(lambda block: _scaled(block, 0, np.iinfo(colour.dtype).max), colour)
    if photometric.startswith("YBR_FULL"):
        if pixels.dtype != np.uint8:
            raise DecodeError(f"{photometric} of {header.BitsAllocated} bits; 8 can be read")
        # Several times faster than pydicom's conversion, from which it differs by 1 at most.
        return np.asarray(Image.fromarray(np.ascontiguousarray(pixels), "YCbCr").convert("RGB"))
    if pixels.ndim == 3:
        if pixels.dtype == np.uint8 and header.BitsStored == 8:
            return pixels
        return _blockwise(lambda block: _scaled(block, 0, 2**header.BitsStored - 1), pixels)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        notes.append(NOT_NUMBERS)
    shade = _grey_scale(header, notes)
    if pixels.dtype.itemsize > 2:
        return _blockwise(shade, pixels)
    # A film has millions of pixels but at most 65,536 grey values: the chain runs once for each value.
    bits = np.dtype(f"u{pixels.dtype.itemsize}")
    every_value = np.arange(2 ** (8 * bits.itemsize), dtype=bits).view(pixels.dtype.newbyteorder("="))
    table = shade(every_value)
    if np.array_equal(table, every_value):  # 8 bits that are shown as they are
        return pixels
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return _blockwise(lambda block: table.take(block, mode="clip"), native.view(bits))


def to_square(image: np.ndarray, header: pydicom.Dataset, notes: list[str]) -> np.ndarray:
    """The image with square pixels: rows or columns are repeated along the axis on which a pixel is longer."""
    height, width = _pixel_shape(header)
    stretch = max(height, width) / min(height, width)
    if stretch < 1.01:
        return image
    rows, columns = image.shape[:2]
    rows, columns = (
        (round(rows * height / width), columns) if height > width else (rows, round(columns * width / height))
    )
    if stretch > MAX_STRETCH or rows * columns > MAX_PIXELS:
        notes.append(STRETCHED)
        return image
    notes.append(NOT_SQUARE)
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((columns, rows), Image.Resampling.NEAREST)
    return np.asarray(resized)


def _pixel_shape(header: pydicom.Dataset) -> tuple[float, float]:
    """Height and width of a pixel, in any unit: the spacing between rows and between columns."""
    for name in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        try:
            height, width = (float(side) for side in header.get(name) or ())
        except (TypeError, ValueError):  # absent, or not two numbers
            continue
        if 0 < height < np.inf and 0 < width < np.inf:
            return height, width
    return 1, 1


def _grey_scale(header: pydicom.Dataset, notes: list[str]) -> Shade:
    """The function from stored to display values: modality LUT, then VOI LUT or window or the range of the bits."""
    modality, low, high = _modality(header)
    voi = _values_of_interest(header, low, high, notes)
    padding = _first(header.get("PixelPaddingValue"))

    def shade(values: np.ndarray) -> np.ndarray:
        grey = voi(modality(values))
        if header.PhotometricInterpretation == "MONOCHROME1":
            grey = 255 - grey
        if padding is not None:
            first, last = sorted((padding, _first(header.get("PixelPaddingRangeLimit"), padding)))
            grey[(values >= first) & (values <= last)] = 0
        grey[np.isnan(values)] = 0
        return grey

    return shade


def _modality(header: pydicom.Dataset) -> tuple[Shade, float | None, float | None]:
    """The function from stored to the modality's values, and the lowest and the highest of these, if known."""
    if header.get("ModalityLUTSequence"):
        table, highest = _table(header, header.ModalityLUTSequence[0])
        return table, 0, highest
    slope, intercept = float(_first(header.get("RescaleSlope"), 1)), float(_first(header.get("RescaleIntercept"), 0))
    if slope == 0:
        raise DecodeError("RescaleSlope is 0, which makes every pixel the same")

    def rescale(values: np.ndarray) -> np.ndarray:
        return values * slope + intercept

    if "PixelData" not in header:
        return rescale, None, None
    low, high = sorted(slope * value + intercept for value in stored_range(header))
    return rescale, low, high


def _values_of_interest(header: pydicom.Dataset, low: float | None, high: float | None, notes: list[str]) -> Shade:
    """The function from the modality's values to 8 bits; they lie between `low` and `high`."""
    if header.get("VOILUTSequence"):
        table, highest = _table(header, header.VOILUTSequence[0])
        return lambda values: _scaled(table(values), 0, highest)
    centre, width = _first(header.get("WindowCenter")), _first(header.get("WindowWidth"))
    if centre is not None and width is not None:
        function = str(header.get("VOILUTFunction") or "LINEAR")
        if width >= 1 or (width > 0 and function != "LINEAR"):
            return lambda values: _scaled(_window(values, float(centre), float(width), function), 0, 1)
        notes.append(NO_WINDOW)
    if low is None or high is None:
        raise DecodeError("DICOM with floating-point pixels, whose range the header does not state")
    return lambda values: _scaled(values, low, high)


def _table(header: pydicom.Dataset, item: pydicom.Dataset) -> tuple[Shade, int]:
    """The function that a LUT stands for (PS3.3 section C.11.1.1), and the highest value of its bits."""
    entries, first, bits = (int(value) for value in item.LUTDescriptor)
    entries = entries % 2**16 or 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
        data = np.frombuffer(data, dtype="u1" if len(data) < 2 * entries else f"{order}u2")
    table = np.atleast_1d(np.asarray(data))[:entries]
    if not 0 < bits <= 16 or len(table) < entries:
        raise DecodeError(f"a lookup table of {entries} entries of {bits} bits, of which {len(table)} are there")
    return lambda values: table[(np.rint(values) - first).clip(0, entries - 1).astype(np.intp)], 2**bits - 1


def _window(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """The window functions of PS3.3 section C.11.2.1.2 and C.11.2.1.3, to 0..1 and beyond."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp((-4 * (values - centre) / width).clip(-700, 700)))
    if function == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    if width == 1:
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5


def _first(value: Any, default: Any = None) -> Any:
    """A tag's value, or the first of several."""
    if isinstance(value, pydicom.multival.MultiValue):
        return value[0] if len(value) else default
    return default if value is None else value


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (values.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(np.nan_to_num(scaled.clip(0, 255))).astype(np.uint8)


def _blockwise(shade: Shade, pixels: np.ndarray) -> np.ndarray:
    flat, image = np.ascontiguousarray(pixels).reshape(-1), np.empty(pixels.size, dtype=np.uint8)
    for start in range(0, flat.size, BLOCK):
        image[start : start + BLOCK] = shade(flat[start : start + BLOCK])
    return image.reshape(pixels.shape)
