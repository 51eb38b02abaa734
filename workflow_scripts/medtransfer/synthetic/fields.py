"""Fields over the image plane from which every phantom is composed: coordinates, edges, blobs, noise, strokes."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

# Floating point, [size, size] or [size, size, 3]; single precision where speed counts.
Field = NDArray[Any]


@lru_cache(maxsize=8)
def grid(size: int) -> tuple[Field, Field]:
    """Pixel centres x (rightwards) and y (downwards) of a square image, each [size, size] in -1..1."""
    axis = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    x.setflags(write=False)
    y.setflags(write=False)
    return x, y


def placed(size: int, turn: float, shift: tuple[float, float], scale: float) -> tuple[Field, Field]:
    """The grid seen by an object that is turned (radians), shifted (image half-widths) and scaled."""
    x, y = grid(size)
    x, y = (x - shift[0]) / scale, (y - shift[1]) / scale
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    return cos * x + sin * y, cos * y - sin * x


def edge(distance: Field, width: float) -> Field:
    """A soft step: 0 below, 1 above, linear over `width` about zero distance."""
    return np.clip(distance / np.float32(width) + np.float32(0.5), 0, 1)


def blob(x: Field, y: Field, centre: tuple[float, float], radii: tuple[float, float]) -> Field:
    """A Gaussian spot with peak 1 and standard deviations `radii`."""
    return np.exp(-0.5 * (((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2)).astype(np.float32)


def texture(rng: np.random.Generator, size: int, cells: float) -> Field:
    """Smooth noise of about unit variance with `cells` features across the image."""
    n = min(max(round(cells), 2), size)
    noise = Image.fromarray(rng.standard_normal((n, n), dtype=np.float32))
    return np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC))


def strokes(size: int, lines: list[list[tuple[float, float]]], width: float) -> Field:
    """Polylines through points in -1..1, `width` in image half-widths, antialiased; 1 on the lines."""
    fine = 2 * size
    canvas = Image.new("L", (fine, fine))
    draw = ImageDraw.Draw(canvas)
    for points in lines:
        draw.line([((x + 1) * size, (y + 1) * size) for x, y in points], fill=255, width=max(round(width * size), 1))
    return np.asarray(canvas.reduce(2), dtype=np.float32) / np.float32(255)


def to_uint8(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Clip 0..1 and quantise to 8 bits."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def save(image: NDArray[np.uint8], path: Path) -> None:
    """Write an 8-bit image, JPEG at quality 92 or PNG by the suffix of `path`, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=92, compress_level=1)


def truncate(path: Path) -> None:
    """Cut a file in half, as an interrupted download leaves it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
