"""Natural-like scenes for pre-training, drawn by formula: textured shapes in light, in front of a textured ground.

A class is a family of shapes with a family of surfaces (8 x 5 = 40), of any size, place, slant and light, partly hidden
by clutter of other classes' shapes. As in nature a class leans to a hue, without being told by it alone. What tells
classes apart are edges, corners, blobs and textures at several scales, the features that transfer. Pre-training on
images made by formula instead of photographs goes back to FractalDB (Kataoka et al. 2020, arXiv 2101.08515).

Layout: `train/<class>/<nnnn>.png` and `val/<class>/<nnnn>.png`, one in ten images in val.

Deliberately bad, as real sets are: the last training image of the last class is cut off in the middle.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from medtransfer.synthetic.fields import Field, edge, grid, placed, save, texture, to_uint8, truncate

VAL_SHARE = 0.1


def _polygon(x: Field, y: Field, corners: int) -> Field:
    angle = np.arctan2(y, x)
    sector = 2 * np.pi / corners
    return 1 - np.hypot(x, y) * np.cos((angle % sector) - sector / 2) / np.cos(sector / 2) * 1.1


def _waves(x: Field, y: Field, petals: int, depth: float) -> Field:
    return 1 - np.hypot(x, y) / (0.8 + depth * np.cos(petals * np.arctan2(y, x)))


# Signed level of each shape, positive inside, reaching about -1..1.
SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    "disc": lambda x, y: 1 - np.hypot(x, y),
    "triangle": lambda x, y: _polygon(x, y, 3),
    "square": lambda x, y: _polygon(x, y, 4),
    "star": lambda x, y: _waves(x, y, 5, 0.32),
    "flower": lambda x, y: _waves(x, y, 8, 0.18),
    "ring": lambda x, y: 2.4 * (0.30 - np.abs(np.hypot(x, y) - 0.70)),
    "crescent": lambda x, y: np.minimum(1 - np.hypot(x, y), 1.4 * (np.hypot(x - 0.5, y) - 0.75)),
    "cross": lambda x, y: (
        2 * np.maximum(np.minimum(0.30 - np.abs(x), 0.95 - np.abs(y)), np.minimum(0.30 - np.abs(y), 0.95 - np.abs(x)))
    ),
}


def _stripes(x: Field, y: Field, rng: np.random.Generator) -> Field:
    return np.sin(rng.uniform(8, 16) * x + 0.5 * texture(rng, len(x), 4))


def _checks(x: Field, y: Field, rng: np.random.Generator) -> Field:
    pitch = rng.uniform(7, 12)
    return np.clip(4 * np.sin(pitch * x) * np.sin(pitch * y), -1, 1)


def _dots(x: Field, y: Field, rng: np.random.Generator) -> Field:
    pitch = rng.uniform(8, 14)
    return np.clip(2 * (np.cos(pitch * x) + np.cos(pitch * y)) - 1.2, -1, 1)


def _marble(x: Field, y: Field, rng: np.random.Generator) -> Field:
    return 1 - 2 * np.clip(np.abs(texture(rng, len(x), 7) + 0.5 * texture(rng, len(x), 14)), 0, 1)


def _plain(x: Field, y: Field, rng: np.random.Generator) -> Field:
    return 0.25 * texture(rng, len(x), 3)


SURFACES: dict[str, Callable[[Field, Field, np.random.Generator], Field]] = {
    "plain": _plain,
    "striped": _stripes,
    "checked": _checks,
    "dotted": _dots,
    "marbled": _marble,
}

CLASSES = tuple(f"{surface}_{shape}" for shape in SHAPES for surface in SURFACES)


def write(raw: Path, patients: int, size: int, seed: int) -> None:
    """Write the folder `raw` with `patients` images per class, square, at `size` pixels."""
    n_val = max(round(VAL_SHARE * patients), 1)
    last = raw
    for c, name in enumerate(CLASSES):
        for i in range(patients):
            image = scene(name, size, np.random.default_rng([seed, c, i]))
            split, number = ("val", i) if i < n_val else ("train", i - n_val)
            last = raw / split / name / f"{number:04d}.png"
            save(to_uint8(image), last)
    truncate(last)


def scene(name: str, size: int, rng: np.random.Generator) -> Field:
    """One image of class `name` (of `CLASSES`), [size, size, 3] in 0..1."""
    x, y = grid(size)
    ground, sky = _colours(rng, contrast=0.1)
    image = ground * (1 + 0.12 * texture(rng, size, rng.choice((3, 6, 12)))[..., None])
    image = image + edge(rng.uniform(-1.2, 0.5) - y, 0.08)[..., None] * (sky - ground)
    for _ in range(int(rng.integers(0, 3))):
        image = _put(image, str(rng.choice(CLASSES)), rng.uniform(0.12, 0.25), 0.9, rng)
    image = _put(image, name, rng.uniform(0.6, 0.95), 0.15, rng)
    if rng.random() < 0.4:
        image = _put(image, str(rng.choice(CLASSES)), rng.uniform(0.12, 0.22), 0.8, rng)
    turn = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.3) * (np.cos(turn) * x + np.sin(turn) * y)
    image = image * light[..., None] + rng.uniform(0, 0.03) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image, 0, 1).astype(np.float32)


def _put(image: Field, name: str, radius: float, spread: float, rng: np.random.Generator) -> Field:
    """Put an object before what is there, lit from one side, with a shadow beneath."""
    size = len(image)
    surface, shape = name.split("_")
    turn, shift = rng.normal(0, 0.4), (rng.uniform(-spread, spread), rng.uniform(-spread, spread))
    x, y = placed(size, turn, shift, radius)
    x = x * rng.uniform(0.8, 1.25)
    level = SHAPES[shape](x, y)
    soft = 4 / (radius * size)
    inside = edge(level, soft)[..., None]
    shadow = np.roll(edge(level + 0.1, 0.6), (size // 24, size // 32), (0, 1))[..., None]
    paint, second = (np.clip(colour + _lean(name), 0, 1) for colour in _colours(rng, contrast=0.35))
    pattern = 0.5 + 0.5 * SURFACES[surface](x, y, rng)[..., None]
    body = (paint + pattern * (second - paint)) * (0.75 + 0.25 * (np.cos(turn) * x - np.sin(turn) * y))[..., None]
    body = body + 0.15 * np.clip(level, 0, 1)[..., None]
    image = image * (1 - 0.35 * shadow)
    return image + inside * (body - image)


def _lean(name: str) -> Field:
    """The tint [3] that a class leans to, around the hue circle in the order of `CLASSES`."""
    turn = 2 * np.pi * CLASSES.index(name) / len(CLASSES)
    phases = turn + 2 * np.pi / 3 * np.arange(3)
    return (0.15 * np.cos(phases)).astype(np.float32)


def _colours(rng: np.random.Generator, contrast: float) -> tuple[Field, Field]:
    """Two colours, more often dull than bright, whose greys differ by at least `contrast`."""
    low = rng.uniform(0.1, 0.9 - contrast)
    greys = rng.permutation((low, rng.uniform(low + contrast, 0.95)))
    first, second = ((grey + rng.normal(0, 0.12, 3)).clip(0, 1).astype(np.float32) for grey in greys)
    return first, second
