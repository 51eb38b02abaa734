"""Where phantom films come from: a hospital's patients, its case mix and its detector.

Two hospitals differ in all three, so that a model of one meets a real shift at the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from medtransfer.synthetic.anatomy import Body, draw_body
from medtransfer.synthetic.chest import frontal, lateral
from medtransfer.synthetic.fields import Field, edge, grid, texture

# Change of the log-odds of a finding, per ten years of age above 60 and for women.
PER_DECADE = {"cardiomegaly": 0.30, "edema": 0.25, "effusion": 0.20, "atelectasis": 0.12, "support_devices": 0.15}
FOR_WOMEN = {"cardiomegaly": 0.45, "effusion": -0.35, "edema": -0.25, "consolidation": -0.30, "lung_lesion": -0.20}

LETTERS = {
    "L": np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=np.float32),
    "R": np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1], [1, 0, 1]], dtype=np.float32),
}


@dataclass(frozen=True)
class Hospital:
    """A case mix and a detector.

    prevalence: of each finding among men of 60 examined upright; age: mean and spread in years; women, supine:
    shares of patients and films; subtle: how faint findings are, 0 or more; gamma, contrast, noise (of a white
    pixel) and blur (0..1): the detector; framed: share of films with a visible collimator; marker: side letter
    burned in, or "".
    """

    prevalence: Mapping[str, float]
    age: tuple[float, float]
    women: float
    supine: float
    subtle: float
    gamma: float
    contrast: float
    noise: float
    blur: float
    framed: float
    marker: str


@dataclass(frozen=True)
class Patient:
    """A body and how ill it is: `illness` raises the log-odds of every finding."""

    body: Body
    illness: float


def draw_patient(hospital: Hospital, rng: np.random.Generator) -> Patient:
    """Draw sex, age (whole years, 18 to 90) and habitus."""
    sex = "female" if rng.random() < hospital.women else "male"
    age = float(np.clip(round(rng.normal(*hospital.age)), 18, 90))
    return Patient(draw_body(sex, age, rng), illness=float(rng.normal(0, 0.7)))


def draw_findings(hospital: Hospital, patient: Patient, view: str, rng: np.random.Generator) -> dict[str, float]:
    """Draw the findings of one study, each with a severity from 0.15 (barely visible) to 1."""
    severity = {}
    for finding, prevalence in hospital.prevalence.items():
        odds = float(logit(prevalence)) + patient.illness + 0.4 * (view == "AP")
        odds += PER_DECADE.get(finding, 0.05) * (patient.body.age - 60) / 10
        odds += FOR_WOMEN.get(finding, 0.0) * (patient.body.sex == "female")
        present, grade = rng.random() < expit(odds), rng.beta(1.6, 2.2 + hospital.subtle)
        if present:
            severity[finding] = float(0.15 + 0.85 * grade)
    return severity


def film(
    hospital: Hospital, patient: Patient, severity: dict[str, float], view: str, size: int, rng: np.random.Generator
) -> Field:
    """Expose one film, [size, size] in 0..1, white for dense tissue. `view` is PA, AP or lateral."""
    if view == "lateral":
        return _develop(lateral(patient.body, severity, size, rng), hospital, view, rng)
    return _develop(frontal(patient.body, severity, view, size, rng), hospital, view, rng)


def _develop(attenuation: Field, hospital: Hospital, view: str, rng: np.random.Generator) -> Field:
    size = len(attenuation)
    x, y = grid(size)
    exposure = 1.12 + rng.normal(0, 0.07)
    image = np.clip(attenuation / exposure, 0, 1.2) ** (hospital.gamma * np.exp(rng.normal(0, 0.10)))
    image = 0.5 + hospital.contrast * (image - 0.5) + rng.normal(0, 0.03) * x + rng.normal(0, 0.03) * y
    if hospital.blur:
        near = (np.roll(image, 1, 0) + np.roll(image, -1, 0) + np.roll(image, 1, 1) + np.roll(image, -1, 1)) / 4
        image = (1 - hospital.blur) * image + hospital.blur * near
    # Films lying down are taken with mobile tubes at low dose: more grain.
    grain = hospital.noise * (1.4 if view == "AP" else 1.0) * (0.35 + 0.65 * np.clip(image, 0, 1))
    image = image + grain * (rng.standard_normal((size, size), dtype=np.float32) + 0.5 * texture(rng, size, size / 2))
    if rng.random() < hospital.framed:
        image = _collimate(image, rng)
    if hospital.marker and rng.random() < 0.85:
        _burn_in(image, hospital.marker, rng)
    return np.clip(image, 0, 1).astype(np.float32)


def _collimate(image: Field, rng: np.random.Generator) -> Field:
    x, y = grid(len(image))
    left, right, top, bottom = rng.uniform(-0.06, 0.14, 4)
    tilt = rng.normal(0, 0.02)
    inside = edge(1 - right - x - tilt * y, 0.03) * edge(1 - left + x + tilt * y, 0.03)
    return image * inside * edge(1 - bottom - y + tilt * x, 0.03) * edge(1 - top + y - tilt * x, 0.03)


def _burn_in(image: Field, letter: str, rng: np.random.Generator) -> None:
    """Burn the side letter into an upper corner: L at the image's right, R at its left."""
    pixels = max(len(image) // 48, 1)
    glyph = np.kron(LETTERS[letter], np.ones((pixels, pixels), dtype=np.float32))
    height, width = glyph.shape
    top = int(rng.integers(height // 2, 2 * height))
    inset = int(rng.integers(width // 2, 2 * width))
    start = len(image) - inset - width if letter == "L" else inset
    corner = image[top : top + height, start : start + width]
    np.maximum(corner, 0.95 * glyph, out=corner)
