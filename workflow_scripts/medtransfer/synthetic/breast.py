"""Phantom mammograms: attenuation of a schematic compressed breast, projected by formula.

Fat is dark and glandular tissue bright; a cancer is about as bright as gland, so that it stands out in fat and hides in
a dense breast, as it does in life. Lengths are in halves of the image's height; `depth` runs from the chest wall to the
nipple, y downwards. None of this is medicine: it looks like a mammogram at a glance, and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from medtransfer.synthetic.fields import Field, blob, edge, grid, texture
from medtransfer.synthetic.hospital import LETTERS

FAT, GLAND, MUSCLE, CANCER, CALCIUM, SILICONE = 0.30, 0.75, 0.70, 0.88, 1.0, 0.98


@dataclass(frozen=True)
class View:
    """How a projection shows the breast: its reach above and below the nipple, and where the pectoral muscle ends.

    above, below: of the outline, in units of the breast's half-height; muscle: its width at the upper edge of the
    image, 0 where it is not shown; foot: the height at which it meets the chest wall; drop: of the nipple.
    """

    above: float
    below: float
    drop: float
    muscle: float = 0.0
    foot: float = 0.0


VIEWS = {
    "CC": View(above=1.0, below=1.0, drop=0.0),
    "MLO": View(above=2.3, below=0.95, drop=0.22, muscle=0.60, foot=0.25),
    "ML": View(above=1.9, below=0.95, drop=0.20, muscle=0.32, foot=-0.10),
    "AT": View(above=2.6, below=0.90, drop=0.48, muscle=0.75, foot=0.50),
}


@dataclass(frozen=True)
class Machine:
    """A mammography unit.

    width: of the image, as a share of its height; fat: brightness of fatty tissue against other units; gamma and
    contrast: the tone curve; haze: of the background, 0..1; grain: noise of a white pixel; blur: in heights of the
    image; strands: how clearly fibres show; boxed: whether the side marker is dark on a white box, not white on the
    background.
    """

    width: float
    fat: float
    gamma: float
    contrast: float
    haze: float
    grain: float
    blur: float
    strands: float
    boxed: bool


@dataclass(frozen=True)
class Woman:
    """What both breasts share. density: 0..4, whose whole part tells the letters A to D."""

    density: float
    length: float  # from the chest wall to the nipple
    height: float  # half of the breast's height
    implants: bool

    @property
    def density_letter(self) -> str:
        """The breast composition category, A (fatty) to D (extremely dense)."""
        return "ABCD"[int(self.density)]


@dataclass(frozen=True)
class Lesion:
    """A finding in one breast, seen in all its views.

    radius 0: no mass; contrast 0..1; spicules: rays about the mass, 0 for a smooth outline; calcifications: their
    number, in a cluster of the spread `scatter`; place: depth, and height in the craniocaudal and in the other views,
    as shares of the breast.
    """

    radius: float
    contrast: float
    spicules: int
    calcifications: int
    scatter: float
    place: tuple[float, float, float]


def draw_woman(age: float, rng: np.random.Generator) -> Woman:
    """Draw the breasts of a woman: less dense and larger with age; implants are in 4 of 100."""
    stature = rng.normal(0, 1)
    return Woman(
        density=float(np.clip(rng.normal(1.95 - 0.025 * (age - 58), 0.85), 0, 3.99)),
        length=float(np.clip(0.92 + 0.16 * stature + 0.003 * (age - 58) + rng.normal(0, 0.05), 0.55, 1.3)),
        height=float(np.clip(0.64 + 0.09 * stature + rng.normal(0, 0.04), 0.42, 0.88)),
        implants=bool(rng.random() < 0.04),
    )


def draw_cancer(rng: np.random.Generator) -> Lesion:
    """A spiculated mass, a cluster of micro-calcifications, or both; from barely visible to obvious."""
    kind = str(rng.choice(("mass", "cluster", "both"), p=(0.55, 0.15, 0.30)))
    return Lesion(
        radius=0.0 if kind == "cluster" else float(0.06 + 0.12 * rng.beta(1.5, 2.5)),
        contrast=float(0.35 + 0.6 * rng.beta(1.5, 1.5)),
        spicules=int(rng.integers(9, 16)),
        calcifications=0 if kind == "mass" else int(rng.integers(8, 20)),
        scatter=float(rng.uniform(0.04, 0.08)),
        place=_place(rng),
    )


def draw_benign(rng: np.random.Generator) -> Lesion:
    """A smooth, fainter mass such as a cyst, or a few coarse calcifications far apart."""
    cyst = rng.random() < 0.5
    return Lesion(
        radius=float(rng.uniform(0.05, 0.13)) if cyst else 0.0,
        contrast=float(rng.uniform(0.3, 0.8)),
        spicules=0,
        calcifications=0 if cyst else int(rng.integers(1, 4)),
        scatter=0.25,
        place=_place(rng),
    )


def _place(rng: np.random.Generator) -> tuple[float, float, float]:
    depth, across, along = rng.uniform((0.25, -0.6, -0.6), (0.75, 0.6, 0.6))
    return float(depth), float(across), float(along)


def mammogram(
    woman: Woman,
    lesions: Sequence[Lesion],
    side: str,
    view: str,
    machine: Machine,
    size: int,
    rng: np.random.Generator,
) -> Field:
    """Expose one image of a breast, [size, `machine.width` x size] in 0..1, white for dense tissue.

    `side` is L or R; `view` one of `VIEWS`. The chest wall is at the image's left for the left breast and at its right
    for the right one.
    """
    shown = VIEWS[view]
    x, y = grid(size)
    depth, y = x + 1, y - shown.drop - rng.normal(0, 0.04)
    length = woman.length * rng.normal(1, 0.03)
    half = woman.height * np.where(y < 0, shown.above, shown.below)
    # Squeezed flat, a breast is a little squarer than an ellipse.
    level = 1 - (np.abs(depth / length) ** 2.2 + np.abs(y / half) ** 2.2) ** (1 / 2.2)
    nipple = blob(depth, y, (0.99 * length, rng.normal(0, 0.02)), (0.035, 0.03))

    tissue = machine.fat * FAT + (GLAND - machine.fat * FAT) * _gland(woman, machine, level, depth / length, y, rng)
    if shown.muscle:
        tissue = np.maximum(tissue, _muscle(shown, depth, y, rng))
    for lesion in lesions:
        share = lesion.place[1] if view == "CC" else lesion.place[2]
        reach = woman.height * np.sqrt(1 - lesion.place[0] ** 2)
        tissue = _with_lesion(tissue, lesion, depth, y, (lesion.place[0] * length, share * reach), rng)
    if woman.implants:
        inside = 1 - np.hypot((depth - 0.18 * length) / (0.45 * length), y / (0.62 * woman.height))
        tissue = np.maximum(tissue, SILICONE * edge(inside, 0.08) * (0.85 + 0.15 * np.sqrt(np.clip(inside, 0, 1))))

    # Towards the skin the breast is thinner; the paddle keeps the rest at one thickness.
    thickness = 1 - np.clip(1 - level / 0.22, 0, 1) ** 2
    image = edge(level, 0.03) * thickness * tissue + 0.3 * nipple
    return _expose(image, side, machine, rng)


def _gland(woman: Woman, machine: Machine, level: Field, depth: Field, y: Field, rng: np.random.Generator) -> Field:
    """Share of glandular tissue, 0..1: a cone behind the nipple, with lobules, and fibres that run to the nipple."""
    size = len(level)
    lobules = sum(texture(rng, size, cells) / weight for cells, weight in ((4, 1.4), (9, 2.0), (19, 3.0), (38, 5.0)))
    cone = edge(level - 0.12, 0.25) * np.exp(-0.5 * (((depth - 0.62) / 0.36) ** 2 + (y / (0.62 * woman.height)) ** 2))
    lobed = edge(0.55 * lobules + 1.8 * cone - 2.2 + 0.55 * woman.density, 2.0)
    angle = np.arctan2(y, 1.05 - depth)
    fibres = np.clip(0.35 - np.abs(np.sin(9 * angle + 1.6 * texture(rng, size, 5))), 0, 1)
    net = np.clip(0.5 - np.abs(texture(rng, size, 16)), 0, 1)
    return np.clip(lobed * (0.35 + 0.65 * cone) + machine.strands * (0.6 * fibres + 0.35 * net), 0, 1)


def _muscle(shown: View, depth: Field, y: Field, rng: np.random.Generator) -> Field:
    """The pectoral muscle: a triangle at the upper chest wall, thicker towards it."""
    foot = (y + 1 + shown.drop) / (1 + shown.foot + shown.drop)
    inside = 1 - depth / shown.muscle / rng.normal(1, 0.12) - foot
    return MUSCLE * edge(inside, 0.14) * (0.85 + 0.15 * edge(inside, 1.6) + 0.05 * texture(rng, len(y), 7))


def _with_lesion(
    tissue: Field, lesion: Lesion, depth: Field, y: Field, centre: tuple[float, float], rng: np.random.Generator
) -> Field:
    size = len(tissue)
    if lesion.radius:
        across, down = depth - centre[0], y - centre[1]
        distance = np.hypot(across, down) / lesion.radius
        mass = edge(1 - distance, 0.35)
        if lesion.spicules:
            turn = np.arctan2(down, across) + rng.uniform(0, 2 * np.pi) + 0.25 * texture(rng, size, 5)
            rays = np.clip(np.cos(lesion.spicules * turn), 0, 1) ** 4 * np.clip(0.6 + 0.5 * np.cos(3 * turn), 0, 1)
            core = edge(0.8 + 0.3 * texture(rng, size, 16) - distance, 0.9)
            mass = np.maximum(core, 0.8 * rays * np.exp(-0.5 * (distance / 1.3) ** 2))
        tissue = tissue + lesion.contrast * mass * np.clip(CANCER - tissue, 0, None)
    grain = max(0.012, 0.7 / size)
    for column, row in rng.normal(centre, lesion.scatter, (lesion.calcifications, 2)):
        spot = blob(depth, y, (column, row), (grain, grain))
        tissue = tissue + rng.uniform(0.4, 1.2) * lesion.contrast * spot * np.clip(CALCIUM - tissue, 0, None)
    return tissue


def _expose(image: Field, side: str, machine: Machine, rng: np.random.Generator) -> Field:
    size = len(image)
    image = image[:, : round(machine.width * size)] * np.exp(rng.normal(0, 0.05))
    image = machine.contrast * np.clip(image, 0, 1.3) ** (machine.gamma * np.exp(rng.normal(0, 0.08)))
    image = gaussian_filter(image, machine.blur * size)
    image = image + machine.haze * (1 - np.clip(image, 0, 1)) * rng.uniform(0.5, 1.5)
    image = image + machine.grain * np.sqrt(np.clip(image, 0, 1)) * rng.standard_normal(image.shape, dtype=np.float32)
    if side == "R":
        image = image[:, ::-1].copy()
    _mark(image, side, machine.boxed, rng)
    return np.clip(image, 0, 1).astype(np.float32)


def _mark(image: Field, side: str, boxed: bool, rng: np.random.Generator) -> None:
    """Burn the side letter into the upper corner away from the chest wall."""
    pixels = max(len(image) // 48, 1)
    glyph = np.pad(np.kron(LETTERS[side], np.ones((pixels, pixels), dtype=np.float32)), pixels)
    stamp = 0.95 * (1 - glyph if boxed else glyph)
    height, width = stamp.shape
    top, inset = rng.integers(1, height, 2)
    start = inset if side == "R" else image.shape[1] - inset - width
    corner = image[top : top + height, start : start + width]
    np.maximum(corner, stamp, out=corner)
