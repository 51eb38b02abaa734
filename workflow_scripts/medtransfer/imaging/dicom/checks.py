"""Contradictions between a DICOM header and its pixels that leave an image, but one that somebody should look at."""

from collections.abc import Iterator

import numpy as np
import pydicom
from PIL import Image

# Computed and digital radiography, and film: what they show has air around it and a midline. A breast has neither.
FILMS = ("CR", "DX", "RG")
ONE_VALUE = "every pixel has the same value"
WINDOWED_AWAY = "the header's grey scale makes every pixel the same"
INVERTED = "looks inverted: the border is brighter than the middle"
HIGH_BIT = "HighBit is not BitsStored - 1: samples were taken from the lowest bit on"
SHAPE = "PresentationLUTShape contradicts PhotometricInterpretation, which was believed"

THUMBNAIL = 128  # pixels on either side of the copy that is looked at
BORDER = 4  # its width in the copy, 3 %
BRIGHTER = 8  # grey values


def header_notes(header: pydicom.Dataset) -> Iterator[str]:
    """What in the header contradicts itself."""
    inverse = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}.get(str(header.PhotometricInterpretation))
    if inverse and header.get("PresentationLUTShape") not in (None, "", inverse):
        yield SHAPE
    if "PixelData" in header and header.get("HighBit", header.BitsStored - 1) != header.BitsStored - 1:
        yield HIGH_BIT


def image_notes(image: np.ndarray, pixels: np.ndarray, header: pydicom.Dataset) -> Iterator[str]:
    """What the displayed image, uint8, gives away."""
    if image.min() == image.max():
        yield ONE_VALUE if (pixels == pixels.flat[0]).all() else WINDOWED_AWAY
    elif header.get("Modality") in FILMS and image.ndim == 2 and looks_inverted(image):
        yield INVERTED


def looks_inverted(film: np.ndarray) -> bool:
    """Whether a film, uint8 [height, width], has a border brighter than its middle and a midline darker than its sides.

    Air is around a body and a spine, or a limb's bone, along its midline. The border alone would also tell on films
    whose collimator left it unexposed, which is white: of 1,551 chest films, 12 % are told by the border alone and
    0.3 % by both, and 68 % of their negatives.
    """
    reduced = np.asarray(Image.fromarray(film).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), dtype=np.float64)
    border = np.ones(reduced.shape, dtype=bool)
    border[BORDER:-BORDER, BORDER:-BORDER] = False
    quarter = THUMBNAIL // 4
    middle = reduced[quarter:-quarter, quarter:-quarter].mean()
    columns = reduced[quarter : 5 * quarter // 2].mean(axis=0)  # at the height of the chest
    midline = columns[THUMBNAIL * 7 // 16 : THUMBNAIL * 9 // 16].mean()
    sides = np.r_[columns[THUMBNAIL // 5 : THUMBNAIL * 3 // 8], columns[THUMBNAIL * 5 // 8 : THUMBNAIL * 4 // 5]].mean()
    return bool(reduced[border].mean() > middle + BRIGHTER and midline < sides)
