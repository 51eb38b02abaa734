"""The patient behind a phantom chest film: habitus, and the two lungs in which findings are placed."""

from dataclasses import dataclass

import numpy as np

from medtransfer.synthetic.fields import Field, edge

RIGHT, LEFT = -1, 1


@dataclass(frozen=True)
class Body:
    """What stays the same in all films of one patient. Lengths in image half-widths."""

    sex: str
    age: float
    girth: float  # 0 slim .. 1 obese
    chest: float  # half-width of the thorax
    heart: float  # half-width of the heart
    spacing: float  # between ribs
    aorta: float  # radius of the aortic knob


def draw_body(sex: str, age: float, rng: np.random.Generator) -> Body:
    """Draw a habitus: women have narrower chests, age and girth widen the heart, age the aorta."""
    girth = float(rng.beta(2.2, 3))
    return Body(
        sex=sex,
        age=age,
        girth=girth,
        chest=float(rng.normal(0.76 if sex == "male" else 0.71, 0.03)),
        heart=float(rng.normal(0.30 + 0.0006 * (age - 50) + 0.04 * (girth - 0.4), 0.028)),
        spacing=float(rng.normal(0.165, 0.01)),
        aorta=float(rng.normal(0.085 + 0.0006 * (age - 50), 0.012)),
    )


class Lungs:
    """The lungs of a frontal film; x and y are body coordinates, `u` the distance from the midline.

    `outer` is the chest wall's distance from the midline at each height, `domes` the height of either half of the
    diaphragm, `field` each lung's soft mask. The patient's left is at positive x.
    """

    def __init__(self, x: Field, y: Field, person: Body, domes: dict[int, float]) -> None:
        self.x, self.y, self.u, self.domes = x, y, np.abs(x), domes
        height = np.clip((y + 0.80) / 1.15, 0, 1)
        self.outer = person.chest * (0.28 + 0.72 * (1 - (1 - height) ** 2.4)) * (1 - 0.06 * height**3)
        self.field = {side: self._field(side) for side in (RIGHT, LEFT)}

    def _field(self, side: int) -> Field:
        u = side * self.x
        dome = self.domes[side] + 1.0 * (u - 0.32) ** 2 * (1 + 1.2 * (u > 0.32))
        apex = -0.78 + 0.5 * (u - 0.3) ** 2
        return (
            edge(self.outer - u, 0.045) * edge(u - 0.11, 0.07) * edge(dome - self.y, 0.045) * edge(self.y - apex, 0.06)
        )

    @property
    def both(self) -> Field:
        """Mask of either lung."""
        return self.field[RIGHT] + self.field[LEFT]
