"""Phantom skin lesions: what melanin, blood and keratin leave of the light that skin reflects.

Melanin and haemoglobin absorb (Beer-Lambert, stronger towards blue), keratin and scars scatter towards white, a
veil towards blue-grey. A pigmented lesion therefore shows less on dark skin, as it does in life. The eight classes
differ in means of overlapping distributions, none of them a textbook case.
"""

from dataclasses import dataclass

import numpy as np

from medtransfer.synthetic.fields import Field, edge, grid, strokes, texture

MELANIN = np.array([0.55, 1.05, 1.45], dtype=np.float32)
BLOOD = np.array([0.10, 1.00, 0.75], dtype=np.float32)
KERATIN_COLOUR = np.array([0.92, 0.86, 0.72], dtype=np.float32)
VEIL_COLOUR = np.array([0.46, 0.50, 0.60], dtype=np.float32)

# Reflectance of skin types I to VI (Fitzpatrick 1988), by eye.
SKIN = np.array(
    [
        [0.93, 0.79, 0.73],
        [0.89, 0.73, 0.65],
        [0.82, 0.64, 0.53],
        [0.71, 0.51, 0.39],
        [0.53, 0.36, 0.26],
        [0.36, 0.24, 0.18],
    ],
    dtype=np.float32,
)


@dataclass(frozen=True)
class Look:
    """Mean strengths, about 0..1, of what is seen in a diagnosis; `radius` in image half-widths."""

    radius: float
    melanin: float
    blood: float
    irregular: float = 0.10  # of the outline
    variegated: float = 0.3  # uneven pigment
    soft: float = 0.3  # border
    network: float = 0.0
    globules: float = 0.0
    lacunae: float = 0.0
    vessels: float = 0.0
    scale: float = 0.0
    crust: float = 0.0
    veil: float = 0.0
    scar: float = 0.0


LOOKS = {
    "mel": Look(0.56, 0.95, 0.20, irregular=0.18, variegated=0.7, network=0.4, globules=0.3, veil=0.45),
    "nv": Look(0.46, 0.70, 0.15, irregular=0.09, variegated=0.3, network=0.5, globules=0.3),
    "bcc": Look(0.46, 0.20, 0.40, irregular=0.12, globules=0.15, vessels=0.8, crust=0.15, veil=0.15),
    "ak": Look(0.50, 0.15, 0.50, irregular=0.14, soft=0.7, vessels=0.2, scale=0.6),
    "bkl": Look(0.48, 0.50, 0.12, irregular=0.13, variegated=0.45, soft=0.15, network=0.15, globules=0.5, scale=0.45),
    "df": Look(0.36, 0.42, 0.22, irregular=0.06, soft=0.6, network=0.35, scar=0.7),
    "vasc": Look(0.38, 0.12, 0.95, irregular=0.09, soft=0.2, lacunae=0.9, veil=0.1),
    "scc": Look(0.48, 0.15, 0.60, irregular=0.13, soft=0.4, vessels=0.4, scale=0.4, crust=0.7),
}


@dataclass(frozen=True)
class Camera:
    """How a lesion is photographed.

    zoom: size of lesions against dermoscopy's; structure: share of fine structure that is seen; balance: gain of
    red, green, blue; shade: strength of the lighting gradient; blur 0..1; noise; vignette, hairs, ruler: shares of
    images; off_centre: spread of the lesion's place.
    """

    zoom: float
    structure: float
    balance: tuple[float, float, float]
    shade: float
    blur: float
    noise: float
    vignette: float
    hairs: float
    ruler: float
    off_centre: float


@dataclass(frozen=True)
class Lesion:
    """One lesion: its strengths, drawn once, and the seed of its texture, so that its images resemble one another."""

    look: Look
    outline: tuple[float, ...]
    skin_type: int  # 1 to 6
    texture: int


def draw_lesion(diagnosis: str, skin_type: int, rng: np.random.Generator) -> Lesion:
    """Draw a lesion of one of the classes in `LOOKS`.

    Every strength has a spread of half its mean, and every lesion borrows up to half of its look from another class:
    many are not typical, in life as here.
    """
    other, borrowed = LOOKS[str(rng.choice(list(LOOKS)))], 0.6 * rng.beta(1.3, 2.0)
    means = {
        name: (1 - borrowed) * mean + borrowed * getattr(other, name) for name, mean in vars(LOOKS[diagnosis]).items()
    }
    strengths = {name: float(mean * rng.gamma(4) / 4) for name, mean in means.items()}
    strengths["radius"] = float(np.clip(means["radius"] * rng.lognormal(0, 0.22), 0.15, 0.75))
    return Lesion(Look(**strengths), tuple(rng.normal(0, 1, 10)), skin_type, int(rng.integers(2**32)))


def photograph(lesion: Lesion, camera: Camera, size: int, rng: np.random.Generator) -> Field:
    """One image of a lesion, [size, size, 3] in 0..1."""
    own = np.random.default_rng(lesion.texture)
    look = lesion.look
    x, y = grid(size)
    x, y = x - rng.normal(0, camera.off_centre), y - rng.normal(0, camera.off_centre)
    inside, centre = _outline(lesion, x / camera.zoom, y / camera.zoom, own, rng)

    uneven = look.variegated * (0.7 * texture(own, size, 5) + 0.3 * texture(own, size, 12) + 0.5 * own.normal() * x)
    melanin = look.melanin * np.exp(uneven)
    melanin = melanin * (1 + camera.structure * look.network * _network(own, x, y))
    melanin = melanin + camera.structure * look.globules * edge(texture(own, size, size / 3) - 1.0, 1.0)
    blood = look.blood * (1 + 0.3 * texture(own, size, 6))
    blood = blood + 0.9 * look.lacunae * edge(texture(own, size, 9) - 0.2, 0.9)
    blood = blood + 0.9 * camera.structure * look.vessels * edge(0.08 - np.abs(texture(own, size, 9)), 0.2)
    keratin = 0.6 * look.scale * edge(texture(own, size, size / 3) + 0.5 * texture(own, size, 6) - 0.8, 1.4)
    keratin = keratin + 0.7 * look.crust * centre * edge(texture(own, size, 9) + 0.2, 1.6) + 0.5 * look.scar * centre
    veil = 0.8 * look.veil * edge(texture(own, size, 4) - 0.2, 1.6)

    image = _skin(lesion.skin_type, size, own)
    image = image * np.exp(-inside[..., None] * (melanin[..., None] * MELANIN + blood[..., None] * BLOOD))
    image = _mix(image, KERATIN_COLOUR, np.clip(inside * keratin, 0, 0.85))
    image = _mix(image, VEIL_COLOUR, np.clip(inside * veil, 0, 0.7))
    return _expose(image, camera, rng)


def _outline(
    lesion: Lesion, x: Field, y: Field, own: np.random.Generator, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Soft mask of the lesion and of its centre; turned anew in every image."""
    angle = np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)
    wave = sum(
        (a * np.cos(k * angle) + b * np.sin(k * angle)) * (2 / k) ** 1.3
        for k, (a, b) in enumerate(zip(lesion.outline[::2], lesion.outline[1::2], strict=True), start=2)
    )
    ragged = 0.5 * texture(own, len(x), 7) + 0.5 * texture(own, len(x), 15)
    reach = lesion.look.radius * np.clip(1 + 0.9 * lesion.look.irregular * wave, 0.4, 1.8)
    distance = np.hypot(x, y) / reach + 0.9 * lesion.look.irregular * ragged
    return edge(1 - distance, 0.12 + 0.6 * lesion.look.soft), np.exp(-0.5 * (distance / 0.45) ** 2)


def _network(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """A honeycomb of dark lines about pale holes: three plane waves at 60 degrees."""
    pitch, turn = rng.uniform(34, 50), rng.uniform(0, np.pi)
    x, y = x + 0.04 * texture(rng, len(x), 6), y + 0.04 * texture(rng, len(x), 6)
    waves = sum(np.cos(pitch * (np.cos(turn + a) * x + np.sin(turn + a) * y)) for a in (0, np.pi / 3, 2 * np.pi / 3))
    return np.clip(-0.45 * waves, -0.7, 0.7)


def _skin(skin_type: int, size: int, rng: np.random.Generator) -> Field:
    base = SKIN[skin_type - 1] * (1 + rng.normal(0, 0.03)) * (1 + rng.normal(0, 0.02, 3).astype(np.float32))
    mottle = 0.04 + 0.05 * texture(rng, size, 4) + 0.03 * texture(rng, size, 14)
    return base * np.exp(-mottle[..., None] * BLOOD) * (1 + 0.015 * texture(rng, size, size / 2)[..., None])


def _mix(image: Field, colour: Field, share: Field) -> Field:
    return image + share[..., None] * (colour - image)


def _expose(image: Field, camera: Camera, rng: np.random.Generator) -> Field:
    size = len(image)
    x, y = grid(size)
    if rng.random() < camera.hairs:
        image = _mix(image, np.array([0.12, 0.08, 0.06], dtype=np.float32), 0.75 * _hairs(size, rng))
    if rng.random() < camera.ruler:
        image = _mix(image, np.array([0.15, 0.15, 0.18], dtype=np.float32), 0.8 * _ruler(size))
    turn = rng.uniform(0, 2 * np.pi)
    light = 1 + camera.shade * (np.cos(turn) * x + np.sin(turn) * y) - 0.5 * camera.shade * np.hypot(x, y)
    if rng.random() < camera.vignette:
        light = light * (0.08 + 0.92 * edge(rng.uniform(0.95, 1.25) - np.hypot(x, y), 0.25))
    balance = np.array(camera.balance, dtype=np.float32) * (1 + rng.normal(0, 0.03, 3).astype(np.float32))
    image = image * light[..., None] * balance
    # Automatic exposure, which brightens dark skin but does not hide that it is dark.
    image = image * (0.55 / image.mean()) ** 0.35 * (1 + rng.normal(0, 0.06))
    if camera.blur:
        for axis in (0, 1):
            image = (1 - camera.blur) * image + camera.blur * (np.roll(image, 1, axis) + np.roll(image, -1, axis)) / 2
    image = image + camera.noise * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image, 0, 1).astype(np.float32)


def _hairs(size: int, rng: np.random.Generator) -> Field:
    """Three to twelve gently bent hairs, most of them lying in one direction."""
    lie = rng.uniform(0, np.pi)
    lines = []
    for _ in range(int(rng.integers(3, 13))):
        along = lie + rng.normal(0, 0.35) + np.linspace(0, rng.normal(0, 0.8), 6)
        start = rng.uniform(-1, 1, 2)
        path = start + np.cumsum(np.stack([np.cos(along), np.sin(along)], 1) * rng.uniform(0.12, 0.32), 0)
        lines.append([(float(px), float(py)) for px, py in path])
    return strokes(size, lines, 0.012)


def _ruler(size: int) -> Field:
    """Tick marks along the lower edge."""
    ticks = np.linspace(-0.9, 0.9, 19)
    return strokes(
        size, [[(float(t), 0.97), (float(t), 0.83 if i % 5 == 0 else 0.90)] for i, t in enumerate(ticks)], 0.012
    )
