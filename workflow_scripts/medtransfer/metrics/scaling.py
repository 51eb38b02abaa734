"""Straight lines of a score over the logarithm of what was scaled: parameters, upstream images, compute."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtransfer.errors import UserError

Floats = npt.NDArray[np.float64]
INTERCEPT = "intercept"
INTERACTION = "interaction"
# Singular values below this share of the largest are rounding; logarithms of real sizes are far from it.
SINGULAR = 1e-9


@dataclass(frozen=True)
class ScalingFit:
    """Coefficients by name, each [C], and the point of the log10 axes around which they hold."""

    coefficients: Mapping[str, Floats]
    centre: Mapping[str, float]

    def predict(self, sizes: Mapping[str, Floats]) -> Floats:
        """Fitted scores [points, C] at sizes [points] of the fitted axes, for lines and bands."""
        return _design(sizes, self.centre) @ np.stack(list(self.coefficients.values()))


def scaling_fit(sizes: Mapping[str, Floats], scores: Floats) -> ScalingFit:
    """Ordinary least squares of the scores on log10 of one size, or on log10 of two and their product.

    A coefficient is the score gained per tenfold of its axis: with two axes, at the centre (the mean logarithm) of the
    other. "interaction" is by how much the gain per tenfold of one axis grows with a tenfold of the other; it does not
    depend on the centre, and zero means that the two simply add up. "intercept" is the score at the centre.

    Every column of replicates is fitted by itself, so that an interval over columns speaks of the chance in patients
    and seeds. It does not speak of other networks, nor of how far the true relation is from a straight line; upstream
    sets, moreover, differ by more than their size.

    Args:
        sizes: One axis, such as {"compute": [cells]}, or two, {"parameters": [cells], "images": [cells]}; above 0.
        scores: [cells, C]; column 0 of all patients, the others of the bootstrap's draws. A NaN makes its column NaN.

    Raises:
        UserError: A size is not above 0, as for a network without upstream images; an axis does not vary; or there are
            too few cells, or too like each other, to tell the coefficients apart.
    """
    for axis, size in sizes.items():
        impossible = size[~(np.isfinite(size) & (size > 0))]
        if len(impossible):
            raise UserError(
                f"A scaling fit over {axis} takes their logarithm, and one of them is {impossible[0]:g}. Leave out the "
                "networks without: those trained from scratch have no upstream images."
            )
        if np.ptp(size) == 0:
            raise UserError(
                f"A scaling fit over {axis} needs two values of it or more, and all cells have {size[0]:g}."
            )
    centre = {axis: float(np.log10(size).mean()) for axis, size in sizes.items()}
    design = _design(sizes, centre)
    cells, terms = design.shape
    if np.linalg.matrix_rank(design, rtol=SINGULAR) < terms:
        raise UserError(
            f"A scaling fit over {' and '.join(sizes)} has {terms} coefficients, which these {cells} cells cannot tell "
            "apart. Each of two axes must vary while the other does not: add cells, or fit one axis alone."
        )
    names = [INTERCEPT, *sizes, *([INTERACTION] if len(sizes) > 1 else [])]
    return ScalingFit(dict(zip(names, np.linalg.pinv(design) @ scores, strict=True)), centre)


def _design(sizes: Mapping[str, Floats], centre: Mapping[str, float]) -> Floats:
    """[points, terms]: one, the centred logarithm of each axis, and their product where there are two."""
    tenfolds = [np.log10(sizes[axis]) - middle for axis, middle in centre.items()]
    product = [np.prod(tenfolds, axis=0)] if len(tenfolds) > 1 else []
    return np.column_stack([np.ones_like(tenfolds[0]), *tenfolds, *product])
