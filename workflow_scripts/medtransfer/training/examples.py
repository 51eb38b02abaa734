"""Training and evaluation examples: rows of a memory-mapped image store with their targets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from medtransfer.errors import UserError


@dataclass(frozen=True)
class Examples:
    """Images that are read when asked for.

    Attributes:
        stores: Image stores [n, size, size] or [n, size, size, 3], uint8, usually memory-mapped; all of one shape.
        store: Number of the store that each example lies in.
        rows: Its row there.
        targets: [examples, labels] float32, NaN where a label has no value.
    """

    stores: Sequence[np.ndarray]
    store: np.ndarray
    rows: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> int:
        """Side of the stored images, in pixels."""
        return int(self.stores[0].shape[1])

    def pixels(self, indices: np.ndarray) -> torch.Tensor:
        """Images of some examples as uint8 [batch, channels, size, size], with one channel or three."""
        images = np.empty((len(indices), *self.stores[0].shape[1:]), dtype=np.uint8)
        for number, store in enumerate(self.stores):
            here = self.store[indices] == number
            images[here] = store[self.rows[indices[here]]]
        batch = torch.from_numpy(images)
        return batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)


def examples(cohort: pd.DataFrame, stores: Mapping[str, np.ndarray], targets: np.ndarray) -> Examples:
    """The images of a cohort's rows, each from the store of its dataset, with their targets.

    Raises UserError when those stores hold images of different shapes.
    """
    number, datasets = pd.factorize(cohort["dataset"])
    used = [stores[dataset] for dataset in datasets]
    if len({store.shape[1:] for store in used}) > 1:
        shapes = ", ".join(f"{name} {store.shape[1:]}" for name, store in zip(datasets, used, strict=True))
        raise UserError(f"A cohort cannot put images of different shapes together: {shapes}.")
    return Examples(used, number, cohort["row"].to_numpy(), targets)


def open_store(path: Path | str) -> np.ndarray:
    """The pixels of an image store, memory-mapped and read-only."""
    return np.load(path, mmap_mode="r")


def store_digest(path: Path | str) -> str:
    """SHA-256 of an image store's pixels, from the JSON beside it: it was computed when the store was built."""
    digest: str = json.loads(Path(path).with_suffix(".json").read_text())["sha256"]
    return digest


def batch_indices(n_examples: int, batch: int, step: int, seed: int) -> np.ndarray:
    """Which examples make up a step: consecutive pieces of an endless row of shuffled epochs.

    It depends on its arguments alone, so that a resumed run continues with the very batches it would have seen. A
    training set smaller than the batch fills it from the following epochs.
    """
    first, last = step * batch, (step + 1) * batch
    epochs = range(first // n_examples, (last - 1) // n_examples + 1)
    order = np.concatenate([_epoch_order(n_examples, epoch, seed) for epoch in epochs])
    start = first - epochs[0] * n_examples
    return order[start : start + batch]


@lru_cache(maxsize=2)
def _epoch_order(n_examples: int, epoch: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(n_examples)
