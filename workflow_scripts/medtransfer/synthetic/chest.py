"""Phantom chest films: attenuation of a schematic thorax, projected by formula.

The lungs are air inside soft tissue, and every finding takes air away (or, for a pneumothorax, gives some back), so
that findings overlap and hide one another as they do on film. Coordinates are -1..1; the patient's left is on the
image's right, as films are read. None of this is medicine: it looks like a chest at a glance, and no more.
"""

import numpy as np

from medtransfer.synthetic.anatomy import LEFT, RIGHT, Body, Lungs
from medtransfer.synthetic.fields import Field, blob, edge, grid, placed, strokes, texture
from medtransfer.synthetic.findings import DRAWERS


def frontal(person: Body, severity: dict[str, float], view: str, size: int, rng: np.random.Generator) -> Field:
    """Attenuation [size, size], 0 (air) to about 1.3 (bone on abdomen), of a PA or AP film.

    `severity` maps findings (cardiomegaly, enlarged_cardiomediastinum, support_devices and those of
    `findings.DRAWERS`) to 0..1. An AP film is taken lying down: askew, shallow breath, large heart.
    """
    supine = view == "AP"
    shift = (rng.normal(0, 0.05), rng.normal(0.02, 0.04))
    x, y = placed(size, rng.normal(0, 0.05 if supine else 0.025), shift, rng.normal(1.0, 0.05))
    breath = rng.normal(-0.10 if supine else 0.0, 0.05)
    side_of_collapse = int(rng.choice((RIGHT, LEFT)))
    loss = severity.get("atelectasis", 0.0)
    domes = {
        side: 0.46 + breath - 0.05 * (side == RIGHT) - 0.16 * loss * (side == side_of_collapse)
        for side in (RIGHT, LEFT)
    }
    lungs = Lungs(x - 0.05 * loss * side_of_collapse, y, person, domes)

    heart = person.heart * (1.12 if supine else 1.0) * (1 + 0.48 * severity.get("cardiomegaly", 0.0))
    wide = 0.135 + 0.10 * severity.get("enlarged_cardiomediastinum", 0.0)
    air = lungs.both * (1 - 0.92 * _mediastinum(lungs, heart, wide, person.aorta)) * (1 - _vessels(lungs, size, rng))
    for finding in sorted(severity.keys() & DRAWERS.keys()):
        air = DRAWERS[finding](air, lungs, severity[finding], rng)

    soft = _trunk(x, y, person) - _stomach_bubble(lungs, rng)
    if person.sex == "female":
        soft = soft + _breasts(lungs, person, rng)
    image = soft - (0.64 - 0.16 * person.girth) * air + _bones(lungs, person)
    return _with_devices(image, severity.get("support_devices", 0.0), rng)


def _trunk(x: Field, y: Field, person: Body) -> Field:
    neck = 0.24 + 0.05 * person.girth
    trunk = person.chest + 0.12 + 0.16 * person.girth
    slope = np.sqrt(np.clip((y + 0.88) / 0.42, 0, 1))
    half = neck + (trunk + 0.16 - neck) * slope - 0.16 * edge(y + 0.10, 0.5)
    depth = np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    return edge(half - np.abs(x), 0.05) * (0.40 + 0.40 * depth + 0.10 * person.girth + 0.08 * edge(y - 0.45, 0.4))


def _mediastinum(lungs: Lungs, heart: float, wide: float, aorta: float) -> Field:
    """Heart, great vessels and aortic knob; two thirds of the heart lie left of the midline."""
    x, y = lungs.x, lungs.y
    bottom = min(lungs.domes.values()) + 0.09
    h, v = (x - 0.36 * heart) / (1.05 * heart), (y - bottom + 0.62 * heart) / (0.85 * heart)
    along, across = 0.92 * h + 0.39 * v, 0.92 * v - 0.39 * h
    silhouette = 1 - np.sqrt((along / 1.08) ** 2 + (across / 0.95) ** 2)
    waist = wide + 0.35 * heart * np.clip((y - bottom + 1.9 * heart) / (1.9 * heart), 0, 1) ** 2
    central = edge(waist - np.abs(x - 0.10 * heart), 0.07)
    knob = edge(aorta - np.hypot(x - 0.11, y + 0.26), 0.06)
    return np.maximum(np.maximum(edge(silhouette, 0.28), central), knob)


def _vessels(lungs: Lungs, size: int, rng: np.random.Generator) -> Field:
    hila = blob(lungs.u, lungs.y, (0.20, 0.0), (0.06, 0.12))
    reach = np.exp(-np.hypot(lungs.u - 0.15, lungs.y - 0.02) / 0.32)
    branches = np.clip(0.9 - np.abs(texture(rng, size, 15)), 0, 1)
    return np.clip(0.40 * hila + 0.45 * reach * branches, 0, 0.8)


def _bones(lungs: Lungs, person: Body) -> Field:
    u, y = lungs.u, lungs.y
    cage = edge(lungs.outer + 0.05 - u, 0.05) * edge(y + 0.74, 0.1) * edge(0.55 - y, 0.3)
    behind = np.abs(((y - 0.62 * u**2 + 0.12 * u) / person.spacing) % 1 - 0.5)
    front = np.abs(((y + 0.55 * u) / (1.15 * person.spacing)) % 1 - 0.5)
    ribs = 0.085 * edge(0.18 - behind, 0.14) + 0.045 * edge(0.16 - front, 0.14) * edge(u - 0.28, 0.2)
    clavicles = edge(0.034 - np.abs(y + 0.50 + 0.20 * u - 0.08 * np.sin(5 * u)), 0.035)
    clavicles = clavicles * edge(u - 0.08, 0.05) * edge(person.chest + 0.1 - u, 0.1)
    vertebrae = edge(0.09 - u, 0.05) * (0.06 + 0.04 * edge(np.abs((y / 0.13) % 1 - 0.5) - 0.12, 0.1))
    blades = edge(0.05 - np.abs(u - person.chest - 0.02 + 0.35 * (y + 0.35)), 0.08) * edge(0.2 - np.abs(y + 0.38), 0.2)
    trachea = edge(0.05 - u, 0.04) * edge(-0.16 - y, 0.2)
    return cage * ribs + 0.14 * clavicles + vertebrae + 0.06 * blades - 0.16 * trachea


def _breasts(lungs: Lungs, person: Body, rng: np.random.Generator) -> Field:
    drop = 0.20 + 0.002 * (person.age - 50) + rng.normal(0, 0.03)
    distance = np.hypot(lungs.u - 0.46, 0.85 * (lungs.y - drop))
    fold = edge(0.30 + 0.10 * person.girth - distance, 0.14)
    return (0.05 + 0.09 * person.girth) * fold * (0.5 + 0.5 * edge(lungs.y - drop, 0.5))


def _stomach_bubble(lungs: Lungs, rng: np.random.Generator) -> Field:
    """Gas below the left dome, which two in three films show."""
    amount, across = max(rng.uniform(-0.15, 0.3), 0.0), rng.uniform(0.26, 0.42)
    return amount * blob(lungs.x, lungs.y, (across, lungs.domes[LEFT] + 0.14), (0.11, 0.05)) * (1 - lungs.both)


def _with_devices(image: Field, severity: float, rng: np.random.Generator) -> Field:
    """Add a central line, a tube, a pacemaker or a wire, where `severity` is not zero."""
    if severity == 0:
        return image
    paths = {
        "line": [(-0.55, -0.75), (-0.30, -0.60), (-0.16, -0.45), (-0.13, -0.20), (-0.12, 0.05)],
        "tube": [(0.0, -1.0), (0.01, -0.8), (0.0, -0.6), (0.01, -0.45), (0.0, -0.3)],
        "pacemaker": [(0.50, -0.52), (0.30, -0.56), (0.05, -0.40), (-0.04, 0.0), (0.10, 0.30)],
        "wire": [(-0.90, -0.20), (-0.50, -0.30), (0.0, -0.05), (0.45, -0.30), (0.95, 0.10)],
    }
    kind = str(rng.choice(list(paths)))
    path = [(px + dx, py + dy) for (px, py), (dx, dy) in zip(paths[kind], rng.normal(0, 0.03, (5, 2)), strict=True)]
    drawn = strokes(len(image), [path], 0.016)
    if kind == "pacemaker":
        x, y = grid(len(image))
        drawn = np.maximum(drawn, edge(0.09 - np.hypot(x - path[0][0], y - path[0][1]), 0.03))
    return image + (0.15 + 0.25 * severity) * drawn


def lateral(person: Body, severity: dict[str, float], size: int, rng: np.random.Generator) -> Field:
    """Attenuation [size, size] of a left lateral film: spine on the right, sternum and heart on the left.

    Cardiomegaly, consolidation, edema, effusion and support devices show; other findings do not.
    """
    shift = (rng.normal(0, 0.04), rng.normal(0, 0.04))
    x, y = placed(size, rng.normal(0, 0.04), shift, rng.normal(1.05, 0.05))
    half = 0.66 + 0.14 * person.girth - 0.30 * edge(-0.60 - y, 0.5)
    trunk = edge(half - np.abs(x), 0.06) * (0.55 + 0.30 * np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1)))
    wall = 0.54 - 0.9 * np.clip(-y - 0.35, 0, 1) ** 1.5
    front_dome = 0.36 + rng.normal(0, 0.03) + 0.6 * x**2 + 0.25 * np.clip(x, 0, 1)
    back_dome = front_dome + rng.normal(0.06, 0.02)
    lung = edge(wall - np.abs(x + 0.02), 0.06) * edge(y + 0.82, 0.08)
    air = lung * (0.6 * edge(front_dome - y, 0.05) + 0.4 * edge(back_dome - y, 0.05))

    heart = person.heart * (1 + 0.55 * severity.get("cardiomegaly", 0.0))
    h, v = (x + 0.22) / (1.15 * heart), (y - 0.24) / (1.05 * heart)
    silhouette = edge(1 - np.hypot(h + 0.35 * v, v), 0.6)
    arch = edge(0.10 - np.abs(np.hypot(x - 0.02, y + 0.20) - 0.22), 0.10) * edge(-0.12 - y, 0.2)
    patch = blob(x, y, (rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.2)), (0.16, 0.13)) * (
        1 + 0.4 * texture(rng, size, 8)
    )
    wings = blob(x, y, (0.02, -0.05), (0.25, 0.28))
    vessels = np.clip(0.9 - np.abs(texture(rng, size, 13)), 0, 1)
    air = air * (1 - 0.8 * silhouette) * (1 - 0.25 * arch) * (1 - 0.35 * vessels * wings)
    air = (
        air * (1 - 0.5 * edge(-0.45 - y, 0.5)) * (1 - np.clip(0.7 * severity.get("consolidation", 0.0) * patch, 0, 0.9))
    )
    air = air * (1 - 0.5 * severity.get("edema", 0.0) * wings)
    if "effusion" in severity:
        air = air * (1 - 0.85 * edge(y - 0.60 + 0.50 * severity["effusion"] + 0.25 * x, 0.12))

    vertebrae = 0.08 + 0.05 * edge(np.abs((y / 0.15) % 1 - 0.5) - 0.12, 0.1)
    spine = edge(0.085 - np.abs(x - 0.40 + 0.10 * y**2), 0.05) * vertebrae * edge(half - x, 0.1)
    sternum = (
        0.08 * edge(0.03 - np.abs(x + 0.53 + 0.35 * np.clip(-y - 0.3, -1, 0)), 0.04) * edge(0.3 - np.abs(y + 0.15), 0.2)
    )
    ribs = 0.04 * edge(0.16 - np.abs(((y - 0.5 * x) / person.spacing) % 1 - 0.5), 0.14) * lung
    return _with_devices(
        trunk - 0.55 * air + spine + sternum + ribs * edge(back_dome + 0.2 - y, 0.2),
        severity.get("support_devices", 0.0),
        rng,
    )
