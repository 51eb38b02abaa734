"""Whether two images are one picture: not similar films, not the same patient a day later."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 64  # pixels; smaller and larger images are brought to this size
COARSE = 2  # images are aligned at half of it
STEPS = 4  # of the alignment, which has settled by then
REACH = 0.25  # largest shift and change of scale, as a share of the half side
FINE = 2.0  # pixels; structures much wider than this do not count, since all chest films share them
TILE = 8  # pixels, the side of the squares that are compared one by one
STRUCTURE = 0.04  # fine structure that a square needs to count, as a share of the image's standard deviation
ENOUGH = 9  # squares of 36 that must count
RELATIVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "same image": lambda images: images,
    "mirrored": lambda images: images[:, :, ::-1],
    "negative": lambda images: 255 - images,
}


def thumbnail(image: np.ndarray) -> np.ndarray:
    """A stored image, uint8 [size, size] or [size, size, 3], in grey at the size of the comparison, [SIDE, SIDE]."""
    grey = Image.fromarray(image).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def likeness(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far two images agree in their fine structure, one float in -1 to 1 for each of k pairs [k, SIDE, SIDE].

    The first is shifted, scaled, brightened and given contrast until it fits the second, so that copies that were
    cropped or windowed are recognised. Then their fine structure is correlated square by square. Three quarters of the
    squares agree as well or better than the value returned: a letter drawn into one image does not matter much, a
    different stomach bubble does. Squares that are empty in either image do not count; where hardly any does, the
    value is 0.
    """
    images, others = _standardised(images), _standardised(others)
    aligned = _warp(images, _alignment(_coarse(images), _coarse(others)))
    first, second = _squares(_fine(aligned)), _squares(_fine(others))
    spread, other_spread = first.std(axis=-1), second.std(axis=-1)
    correlation = (first * second).mean(axis=-1) / (spread * other_spread + 1e-9)
    counts = np.minimum(spread, other_spread) >= STRUCTURE
    n = counts.sum(axis=1)
    ordered = np.sort(np.where(counts, correlation, np.inf), axis=1)
    return np.where(n >= ENOUGH, ordered[np.arange(len(n)), n // 4], 0.0)


def _alignment(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Horizontal and vertical scale - 1 and shift, [k, 4], by Gauss and Newton (Lucas & Kanade 1981).

    Contrast and brightness are fitted with them and forgotten.
    """
    side = images.shape[1]
    x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2)
    inside = slice(side // 16, -(side // 16))  # what a shift brings in from beyond the border is made up
    motion = np.zeros((len(images), 4))
    for _ in range(STEPS):
        warped = _warp(images, motion)
        down, right = (gradient * (side - 1) / 2 for gradient in np.gradient(warped, axis=(1, 2)))
        changes = np.stack([right * x, down * y, right, down, warped, np.ones_like(warped)], axis=1)
        changes = changes[:, :, inside, inside].reshape(len(images), 6, -1)
        error = (others - warped)[:, inside, inside].reshape(len(images), -1, 1)
        # The small diagonal keeps images without any structure solvable.
        normal = changes @ changes.transpose(0, 2, 1) + 1e-2 * np.eye(6)
        motion = (motion + np.linalg.solve(normal, changes @ error)[:, :4, 0]).clip(-REACH, REACH)
    return motion


def _warp(images: np.ndarray, motion: np.ndarray) -> np.ndarray:
    side = images.shape[1]
    x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2)
    scale_x, scale_y, shift_x, shift_y = motion.T[:, :, None, None]
    rows = ((1 + scale_y) * y + shift_y + 1) * (side - 1) / 2
    columns = ((1 + scale_x) * x + shift_x + 1) * (side - 1) / 2
    number = np.broadcast_to(np.arange(len(images))[:, None, None], rows.shape)
    return ndimage.map_coordinates(images, [number, rows, columns], order=1, mode="nearest")


def _standardised(images: np.ndarray) -> np.ndarray:
    centred = images - images.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    return (centred / np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-6)).astype(np.float32)


def _coarse(images: np.ndarray) -> np.ndarray:
    side = SIDE // COARSE
    return images.reshape(-1, side, COARSE, side, COARSE).mean(axis=(2, 4))


def _fine(images: np.ndarray) -> np.ndarray:
    return images - ndimage.gaussian_filter(images, (0, FINE, FINE), mode="nearest")


def _squares(images: np.ndarray) -> np.ndarray:
    """The squares inside the border, each with mean 0: [k, squares, pixels]."""
    number = SIDE // TILE - 2
    inside = images[:, TILE:-TILE, TILE:-TILE].reshape(-1, number, TILE, number, TILE)
    squares = inside.transpose(0, 1, 3, 2, 4).reshape(len(images), number**2, TILE**2)
    return squares - squares.mean(axis=-1, keepdims=True)
