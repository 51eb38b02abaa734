"""Bootstrapped AUCs: all replicates at once against scikit-learn in a loop, with identical draws and results."""

import numpy as np
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from medtransfer.metrics.bootstrap import patient_counts
from medtransfer.metrics.ranking import auc
from tests.bench.timing import seconds_of

IMAGES, LABELS, REPLICATES = 25_000, 5, 1000
LOOPED = 10  # replicates that the loop is timed on, for each label
ROUNDS = 5


def main() -> None:
    """Print a line for the loop, the vectorised AUC and the draws: medians over rounds that alternate between them."""
    generator = np.random.default_rng(0)
    targets = (generator.random((LABELS, IMAGES)) < [[0.03], [0.08], [0.15], [0.25], [0.4]]).astype(float)
    scores = (generator.normal(size=(LABELS, IMAGES)) + targets).astype(np.float32)
    patients = [f"patient{image // 2}" for image in range(IMAGES)]
    counts = patient_counts(patients, REPLICATES, [0])
    first_counts = np.ascontiguousarray(counts[:LOOPED])

    def loop() -> np.ndarray:
        return np.array(
            [
                [roc_auc_score(target, score, sample_weight=drawn) for drawn in first_counts]
                for target, score in zip(targets, scores, strict=True)
            ]
        )

    def at_once() -> np.ndarray:
        return np.array([auc(score, target, counts) for target, score in zip(targets, scores, strict=True)])

    # One thread for both: what a job of one thread has, and steadier on a machine with other work.
    with threadpool_limits(1):
        difference = np.abs(at_once()[:, :LOOPED] - loop()).max()
        rounds = [
            (seconds_of(loop), seconds_of(at_once), seconds_of(lambda: patient_counts(patients, REPLICATES, [0])))
            for _ in range(ROUNDS)
        ]
    looped, vectorised, draws = np.median(rounds, axis=0)
    looped *= REPLICATES / LOOPED
    what = f"{REPLICATES} bootstraps of {LABELS} AUCs on {IMAGES} images"
    print(f"{what}, scikit-learn loop: {looped:.1f} s (timed on {LOOPED} replicates, scaled)")
    print(
        f"{what}, vectorised: {vectorised:.3f} s, {looped / vectorised:.0f} times faster, differing by {difference:.0e}"
    )
    print(f"{REPLICATES} draws of the patients of {IMAGES} images, needed by both: {draws:.3f} s")


if __name__ == "__main__":
    main()
