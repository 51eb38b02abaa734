"""Photographs and films cut to what they show: the disc of a retina, a breast with its chest wall to the left, or what
lies inside a frame.

Retina and breast are found on a copy of about 256 pixels: what stands out from a dark background, and of that the
largest connected part. An image without dark background or without such a part stays as it is.
"""

from collections.abc import Callable

import numpy as np
import scipy  # its parts load when first used: most decoder processes use none and start faster so
from PIL import Image

REDUCED = 256  # longer side of the copy, at most
DARK = 64  # a background is darker: digital ones are near 0, scanned film about 30
NOISE = 2  # grey values to both sides of its most frequent one that are surely background
BACKGROUND = 0.1  # least share of an image that is surely background; a picture taken inside of a retina has less
CONTRAST = 0.1  # background ends at this part of the way to the highlights
LEAST_RANGE = 16  # from background to highlights; below it there is nothing but noise
RETINA = 0.2  # least share of an image that a retina fills
BREAST = 0.02  # and a breast
SLACK = 0.02  # margins below this share of a side stay, so that an image which is cut already stays as it is
TAPE = 3  # half of the width of tape and film edges, in pixels of the copy; they do not tie a label to the breast
SKIN = 4  # how far the faint skin reaches beyond what stands out, in pixels of the copy
FRAME = 12  # grey values that a row of a frame spans at most: a few, and what JPEG adds beside an edge
RIM = 0.1  # share of the breast's width that is compared on both sides


def prepare(image: np.ndarray, preparation: str) -> np.ndarray:
    """An image, uint8 [height, width] or [height, width, 3], after one of `PREPARATIONS`.

    "none" leaves it alone, "frame" takes off a uniform frame, "fundus" cuts it to the box around the retina, "breast"
    to the box around the breast, black outside of the breast, mirrored where the chest wall was on the right. Any image
    is returned, unchanged where nothing was found in it. Raises KeyError for an unknown preparation.
    """
    return PREPARATIONS[preparation](image)


def cut_frame(image: np.ndarray) -> np.ndarray:
    """An image without the rows and columns at its edges that have one grey value, as scanners and screenshots add."""
    inside = image
    while True:  # there may be a frame within the frame
        grey = inside if inside.ndim == 2 else inside.max(axis=2)
        rows, columns = (np.flatnonzero(np.ptp(grey, axis=axis) > FRAME) for axis in (1, 0))
        if not (rows.size and columns.size):
            return image
        cut = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if cut.shape == inside.shape:
            return inside
        inside = cut


def cut_to_retina(image: np.ndarray) -> np.ndarray:
    """The part of a fundus photograph that the retina's disc spans."""
    grey, factor = _reduce(image)
    retina = _largest_part(_foreground(grey), RETINA)
    return image if retina is None else image[_box(retina, factor, image.shape)]


def cut_to_breast(image: np.ndarray) -> np.ndarray:
    """The part of a mammogram that the breast spans, without labels and markers beside it, chest wall to the left."""
    grey, factor = _reduce(image)
    bright = _foreground(grey)
    core = _largest_part(scipy.ndimage.binary_opening(bright, iterations=TAPE), BREAST)
    if core is None:
        return image
    found = scipy.ndimage.binary_dilation(core, iterations=TAPE, mask=bright)  # with the corners that opening took
    breast = scipy.ndimage.binary_fill_holes(scipy.ndimage.binary_dilation(found, iterations=SKIN))
    rows, columns = _box(breast, factor, image.shape)
    wall = _box(found, factor, image.shape)[1]
    mirrored = _wall_is_right(np.where(found, grey, 0))
    box = rows, slice(columns.start, wall.stop) if mirrored else slice(wall.start, columns.stop)
    cut = image[box].copy()
    cut[~breast.repeat(factor, axis=0).repeat(factor, axis=1)[: image.shape[0], : image.shape[1]][box]] = 0
    return cut[:, ::-1] if mirrored else cut


PREPARATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    "frame": cut_frame,
    "fundus": cut_to_retina,
    "breast": cut_to_breast,
}


def _reduce(image: np.ndarray) -> tuple[np.ndarray, int]:
    """A small grey copy (of colours the brightest channel), and how many pixels, each way, one of its pixels covers."""
    factor = -(-max(image.shape[:2]) // REDUCED)
    small = np.asarray(Image.fromarray(image).reduce(factor))
    return small if small.ndim == 2 else small.max(axis=2), factor


def _foreground(grey: np.ndarray) -> np.ndarray:
    """Which pixels stand out from the background, around the most frequent dark value; none without background."""
    counts = np.bincount(grey.ravel(), minlength=256)
    background = int(counts[:DARK].argmax())
    surely = counts[max(background - NOISE, 0) : background + NOISE + 1].sum()
    scale = np.percentile(grey, 99) - background
    if surely < BACKGROUND * grey.size or scale < LEAST_RANGE:
        return np.zeros_like(grey, dtype=bool)
    return grey > background + CONTRAST * scale


def _largest_part(mask: np.ndarray, least: float) -> np.ndarray | None:
    """The largest connected part of a mask; None where it fills less than the share `least`."""
    parts, _ = scipy.ndimage.label(mask)
    sizes = np.bincount(parts.ravel(), minlength=2)[1:]
    return parts == sizes.argmax() + 1 if sizes.max() >= least * mask.size else None


def _box(found: np.ndarray, factor: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns, in an image of `shape`, of the box around what was found on its copy."""
    rows, columns = (_span(np.flatnonzero(found.any(axis=1 - axis)), factor, shape[axis]) for axis in (0, 1))
    return rows, columns


def _span(found: np.ndarray, factor: int, side: int) -> slice:
    start, stop = int(found[0]) * factor, (int(found[-1]) + 1) * factor
    return slice(start if start > SLACK * side else 0, stop if side - stop > SLACK * side else side)


def _wall_is_right(breast: np.ndarray) -> bool:
    """Whether the chest wall is on the right of a breast on black.

    The detector cuts the breast there, straight and through its thickest part; towards the skin it narrows and fades.
    So the rim with more light in it is at the wall.
    """
    light = breast.sum(axis=0, dtype=np.int64)
    light = np.trim_zeros(light)
    rim = max(1, round(RIM * len(light)))
    return bool(light[-rim:].sum() > light[:rim].sum())
