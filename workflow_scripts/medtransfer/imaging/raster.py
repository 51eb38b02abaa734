"""JPEG, PNG and the other everyday image formats, to 8 bits."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medtransfer.imaging.errors import DecodeError

# Formats are tried by content, never by suffix. Pillow knows more, some of which run other programs.
FORMATS = ("JPEG", "PNG", "PPM", "TIFF", "BMP", "GIF", "WEBP")


def read_raster(content: bytes) -> np.ndarray:
    """Decode an everyday image to uint8, [height, width] for grey images and [height, width, 3] for colour.

    EXIF orientation is applied, transparent parts lie over black, palettes and CMYK become RGB. Grey images of 16 bits
    are divided by 65,535, the range of the format, whatever range their content spans.

    Raises DecodeError for pixels without a known range (32-bit integers, floats) and whatever Pillow raises on broken
    or oversized files (more than twice `PIL.Image.MAX_IMAGE_PIXELS`, about 179 million pixels).
    """
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise DecodeError(f"neither DICOM nor a readable {', '.join(FORMATS)}") from error
    with opened:
        opened.load()
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16") or (image.mode == "I" and opened.format in ("PNG", "PPM")):
            return np.rint(np.asarray(image, dtype=np.float32) * (255 / 65535)).astype(np.uint8)
        if image.mode in ("I", "F"):
            raise DecodeError(f"{opened.format} with 32-bit pixels, whose range the file does not state")
        if image.has_transparency_data:
            backdrop = Image.new("RGBA", image.size, "black")
            grey = image.mode in ("L", "LA", "La")
            image = Image.alpha_composite(backdrop, image.convert("RGBA")).convert("L" if grey else "RGB")
        return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
