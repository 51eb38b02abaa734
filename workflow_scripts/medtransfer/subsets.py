"""Budgets: nested, stratified, patient-level fractions of a training cohort."""

import numpy as np
import pandas as pd

from medtransfer.errors import UserError


def patient_fraction(
    patients: pd.Series, targets: np.ndarray, labels: list[str], fraction: float, seed: int
) -> np.ndarray:
    """Which images belong to a fraction of the patients, as a mask [images].

    A patient's stratum is the rarest label that one of the patient's images has. Every stratum is shuffled once by
    `seed` and cut at the fraction, rounded up: a smaller fraction lies inside a larger one, no patient is divided and
    no stratum vanishes.

    Args:
        patients: Patient id of each image.
        targets: [images, labels] of 1, 0 and NaN.
        labels: Names of the labels, for messages.
        fraction: Share of the patients, in (0, 1].
        seed: Seed of the shuffle. The mask depends on the ids and targets, not on the order of rows.

    Raises:
        UserError: A label has no positive image in the subset.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"A fraction of {fraction} of the patients was asked for; allowed: above 0, at most 1.")
    strata = _strata(patients, targets)
    generator = np.random.default_rng(np.random.SeedSequence([seed, len(labels)]))
    chosen: set[str] = set()
    for _, members in strata.groupby(strata, sort=True):
        ids = np.sort(members.index.to_numpy(dtype=object))
        count = int(np.ceil(round(fraction * len(ids), 9)))
        chosen.update(generator.permutation(ids)[:count])
    mask = patients.isin(chosen).to_numpy()
    if empty := [label for label, some in zip(labels, (targets[mask] == 1).any(axis=0), strict=True) if not some]:
        raise UserError(
            f"The subset of {fraction:g} of the patients (seed {seed}, {mask.sum()} images) has no positive image of "
            f"{', '.join(empty)}. Use a larger fraction or leave these labels out of the task."
        )
    return mask


def _strata(patients: pd.Series, targets: np.ndarray) -> pd.Series:
    """Each patient's stratum: the index of the rarest label the patient has, or -1 for none."""
    positive = pd.DataFrame(targets == 1).groupby(patients.to_numpy()).any()
    rarest_first = np.argsort(positive.sum(axis=0).to_numpy(), kind="stable")
    has = positive.to_numpy()[:, rarest_first]
    first = np.where(has.any(axis=1), rarest_first[has.argmax(axis=1)], -1)
    return pd.Series(first, index=positive.index)
