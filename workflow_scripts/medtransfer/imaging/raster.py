"""JPEG, PNG and the other everyday image formats, to 8 bits."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medtransfer.imaging.errors import DecodeError

# Formats are tried by content, never by suffix. Pillow knows more, some of which run other programs.
FORMATS = ("JPEG", "PNG", "PPM", "TIFF", "BMP", "GIF", "WEBP")
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF tags
FIRST_OF_SEVERAL = "the file has several images, of which the first was read"
DEEP_COLOUR = "colour of 16 bits was cut to 8"


class Raster(NamedTuple):
    """An image, uint8 [height, width] or [height, width, 3], the name of its format, and oddities that were handled."""

    pixels: np.ndarray
    format: str
    notes: tuple[str, ...]


def read_raster(content: bytes) -> Raster:
    """Decode an everyday image to uint8, grey where it is stored as grey.

    EXIF orientation is applied, transparent parts lie over black, palettes and CMYK become RGB, colour profiles are
    left out. Grey images of 16 bits are divided by 65,535, the range of the format, whatever range their content spans;
    of 16-bit colour, the upper 8 bits are taken.

    Raises DecodeError for pixels without a known range (32-bit integers, floats) and whatever Pillow raises on broken
    or oversized files (more than twice `PIL.Image.MAX_IMAGE_PIXELS`, about 179 million pixels).
    """
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise DecodeError(f"neither DICOM nor a readable {', '.join(FORMATS)}") from error
    with opened:
        name = "JPEG" if opened.format == "MPO" else str(opened.format)  # several JPEG in one file, from cameras
        notes: tuple[str, ...] = (FIRST_OF_SEVERAL,) if getattr(opened, "is_animated", False) else ()
        if any(";16" in str(tile.args) for tile in opened.tile) and opened.mode in ("RGB", "RGBA"):
            notes += (DEEP_COLOUR,)
        opened.load()
        return Raster(_to_uint8(opened, ImageOps.exif_transpose(opened)), name, notes)


def _to_uint8(opened: Image.Image, image: Image.Image) -> np.ndarray:
    """Pixels of `image`, which is `opened` the right way up."""
    if image.mode.startswith("I;16") or (image.mode == "I" and opened.format in ("PNG", "PPM")):
        tags = getattr(opened, "tag_v2", {})
        highest = 2 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1
        grey = np.rint(np.asarray(image, dtype=np.float32) * (255 / highest)).clip(0, 255).astype(np.uint8)
        return 255 - grey if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else grey
    if image.mode in ("I", "F"):
        raise DecodeError(f"{opened.format} with pixels whose range the file does not state")
    if image.has_transparency_data:
        backdrop = Image.new("RGBA", image.size, "black")
        grey_mode = image.mode in ("L", "LA", "La")
        image = Image.alpha_composite(backdrop, image.convert("RGBA")).convert("L" if grey_mode else "RGB")
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
