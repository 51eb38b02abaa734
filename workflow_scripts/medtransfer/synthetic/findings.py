"""What findings do to the air in the lungs of a phantom film.

Every drawer takes the air so far, the lungs, a severity 0..1 and a generator, and returns the air that is left.
Faint findings are meant to be missed: severity runs from barely visible to obvious.
"""

from collections.abc import Callable

import numpy as np

from medtransfer.synthetic.anatomy import LEFT, RIGHT, Lungs
from medtransfer.synthetic.fields import Field, blob, edge, texture

Drawer = Callable[[Field, Lungs, float, np.random.Generator], Field]


def effusion(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """Fluid from the costophrenic angle upwards, its surface a meniscus that climbs the chest wall."""
    share = (1.0, float(rng.choice((0.0, 0.6), p=(0.6, 0.4))))
    for side, part in zip(rng.permutation((RIGHT, LEFT)), share, strict=True):
        wall = np.clip((lungs.outer - side * lungs.x) / 0.16, 0, None)
        level = lungs.domes[int(side)] + 0.30 - 0.62 * severity * part - 0.22 * severity * np.exp(-wall)
        air = air * (1 - 0.85 * (part > 0) * (side * lungs.x > 0) * edge(lungs.y - level, 0.10))
    return air


def consolidation(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """A lobar, patchy opacity in one lung."""
    return air * (1 - (0.20 + 0.60 * severity) * _patch(lungs, 0.13 + 0.12 * severity, rng))


def pneumonia(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """One or two smaller patches."""
    for _ in range(2):
        air = air * (1 - (0.15 + 0.45 * severity) * _patch(lungs, 0.09 + 0.06 * severity, rng))
    return air


def infiltration(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """Faint, wide, ill-defined opacity."""
    return air * (1 - (0.12 + 0.30 * severity) * _patch(lungs, 0.28, rng))


def edema(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """Bilateral perihilar haze with fine horizontal lines near the chest wall (Kerley B)."""
    wings = blob(lungs.u, lungs.y, (0.24, 0.05), (0.17 + 0.10 * severity, 0.28))
    mottle = 1 + 0.35 * texture(rng, len(air), 12)
    lines = edge(np.sin(60 * lungs.y), 1.0) * edge(0.14 - (lungs.outer - lungs.u), 0.08) * edge(lungs.y, 0.2)
    return air * (1 - np.clip((0.12 + 0.50 * severity) * wings * mottle + 0.22 * severity * lines, 0, 0.9))


def atelectasis(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """Plate-like bands above the diaphragm; the volume loss is in the anatomy (raised dome, shifted midline)."""
    # The raised dome tells the side on which volume was lost.
    side = RIGHT if lungs.domes[RIGHT] + 0.05 < lungs.domes[LEFT] else LEFT
    for _ in range(2):
        height, tilt = lungs.domes[side] - rng.uniform(0.08, 0.30), rng.normal(-0.15, 0.25)
        along = side * lungs.x - rng.uniform(0.30, 0.50)
        band = edge(0.022 + 0.02 * severity - np.abs(lungs.y - height - tilt * along), 0.05)
        air = air * (1 - (0.20 + 0.55 * severity) * band * edge(0.20 - np.abs(along), 0.12))
    return air


def lung_lesion(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """A round nodule to mass."""
    side = int(rng.choice((RIGHT, LEFT)))
    centre = (side * rng.uniform(0.25, 0.5), rng.uniform(-0.45, 0.2))
    radius = 0.04 + 0.10 * severity
    return air * (1 - 0.65 * edge(radius - np.hypot(lungs.x - centre[0], lungs.y - centre[1]), 0.05))


def pneumothorax(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """A rim without vessels along the upper wall, and the thin pleural line of the lung that fell back."""
    side = int(rng.choice((RIGHT, LEFT)))
    inner = lungs.outer - (0.08 + 0.20 * severity) * edge(0.1 - lungs.y, 0.8)
    rim = edge(side * lungs.x - inner, 0.04) * lungs.field[side]
    line = edge(0.012 - np.abs(side * lungs.x - inner), 0.03) * lungs.field[side]
    return np.maximum(air, 1.15 * rim) - 0.22 * line * (0.3 + severity)


def fibrosis(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """Reticular texture at both bases."""
    net = np.clip(0.8 - 2 * np.abs(texture(rng, len(air), 22)), 0, 1)
    return air * (1 - (0.2 + 0.5 * severity) * net * edge(lungs.y - 0.0, 0.5))


def pleural_thickening(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """A dense band along one lateral wall and apex."""
    side = int(rng.choice((RIGHT, LEFT)))
    return air * (1 - 0.7 * edge(side * lungs.x - lungs.outer + 0.05 + 0.07 * severity, 0.05))


def emphysema(air: Field, lungs: Lungs, severity: float, rng: np.random.Generator) -> Field:
    """Over-inflated, dark, vessel-poor upper zones."""
    return air + 0.25 * severity * lungs.both * edge(-lungs.y, 0.8) * (1 - air)


def _patch(lungs: Lungs, radius: float, rng: np.random.Generator) -> Field:
    side = int(rng.choice((RIGHT, LEFT)))
    centre = (side * rng.uniform(0.25, 0.48), rng.uniform(-0.35, 0.28))
    spot = blob(lungs.x, lungs.y, centre, (radius, radius * rng.uniform(0.8, 1.3)))
    return np.clip(spot * (1 + 0.45 * texture(rng, len(spot), 9)), 0, 1)


DRAWERS: dict[str, Drawer] = {
    drawer.__name__: drawer
    for drawer in (
        effusion,
        consolidation,
        pneumonia,
        infiltration,
        edema,
        atelectasis,
        lung_lesion,
        pneumothorax,
        fibrosis,
        pleural_thickening,
        emphysema,
    )
}
