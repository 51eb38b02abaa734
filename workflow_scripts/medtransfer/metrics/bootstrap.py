"""Patient-level bootstrap: patients are drawn with replacement, and all images of a patient come and go together."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

# Where a metric is undefined in more than this share of the replicates (no positive image drawn, say), the rest would
# be an interval of something else, and none is given.
MOST_UNDEFINED = 0.5


def patient_counts(patient_ids: Sequence[str] | pd.Series, replicates: int, seed_words: Sequence[int]) -> np.ndarray:
    """How often each image is drawn: uint8 [replicates, images], stored image by image (Fortran order).

    Each replicate draws as many patients as there are, with replacement; an image counts as often as its patient was
    drawn. The draws depend on `seed_words` and the sorted distinct patients alone, not on the order or number of
    images: two runs that were evaluated on the same patients share their replicates, and so differences between them
    have (paired) intervals. Several hundred draws of one patient, more than a uint8 holds, do not occur: the count is
    Poisson(1) but for a correction of the order of 1 / patients. The array is shared by all who ask for the same draws,
    and cannot be written to.
    """
    return _drawn(tuple(patient_ids), replicates, tuple(seed_words))


# The runs of a cell are measured on the same images, one after another, and drawing takes a third of that time.
@lru_cache(maxsize=8)
def _drawn(patient_ids: tuple[str, ...], replicates: int, seed_words: tuple[int, ...]) -> np.ndarray:
    image_patient, patients = pd.factorize(pd.Series(patient_ids), sort=True)
    if (image_patient < 0).any():
        raise ValueError("every image needs a patient_id")
    generator = np.random.default_rng(seed_words)
    drawn = np.empty((replicates, len(patients)), dtype=np.uint8)
    for replicate in drawn:
        replicate[:] = np.bincount(generator.integers(len(patients), size=len(patients)), minlength=len(patients))
    counts = np.ascontiguousarray(drawn.T)[image_patient].T
    counts.flags.writeable = False
    return counts


def defined(replicates: np.ndarray) -> np.ndarray:
    """The replicates [B] that are not NaN; none at all where more than MOST_UNDEFINED of them are."""
    known = replicates[~np.isnan(replicates)]
    return known if len(known) >= (1 - MOST_UNDEFINED) * len(replicates) else known[:0]


def percentile_interval(replicates: np.ndarray, confidence: float) -> tuple[float, float]:
    """The central `confidence` (0 to 1) of the replicates [B] of a metric, those where it is undefined (NaN) left out.

    Both ends are NaN where more than MOST_UNDEFINED of the replicates are undefined. Percentile method: Efron and
    Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.
    """
    known = defined(replicates)
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
