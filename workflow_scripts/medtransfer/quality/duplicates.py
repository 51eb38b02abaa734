"""Images that occur more than once: within a patient, under several patient ids, in several cohorts."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medtransfer.quality.hashes import BLANK, LOW, SIGNS, blocks, hash_frequencies, low_frequencies, near_pairs
from medtransfer.quality.pixels import RELATIVES, likeness, thumbnail

RADIUS = 8  # bits in which the hashes of a pair may differ
SAME = 0.94  # likeness from which on two images are one: follow-up films of a patient stay below 0.85
BATCH = 1024  # pairs compared at a time
MEMBER = ("cohort", "dataset", "image_id", "patient_id", "split", "row")
PAIR = ("kind", "relation", "distance", "correlation", "same_patient", "group")


def duplicates(cohorts: dict[str, pd.DataFrame], stores: dict[str, np.ndarray], threads: int = 1) -> pd.DataFrame:
    """All pairs of images that show the same picture.

    Images whose hashes are near are compared by their pixels. Copies that were re-encoded, resized, brightened,
    cropped by some 2 % of a side or written upon are found, mirrored ones and negatives too; films of one patient on
    different days are no copies. Copies that were cropped more, turned, or widely over-exposed can be missed. Blank
    images are not compared.

    Args:
        cohorts: For each cohort its table, with the columns `dataset` (whose store holds the image) and `row`.
        stores: For each dataset its image store.
        threads: How many compare pixels; the result does not depend on it.

    Returns:
        One row for each pair, each column of MEMBER ending in `_a` and `_b`, and:
        `kind`: `exact` (the same stored pixels), `near`, or `shared`: one image that two cohorts take from a store,
        listed where its splits differ. Of several exact copies each is paired with the first alone.
        `relation`: `same image`, `mirrored` or `negative`.
        `distance`: bits in which the hashes differ; `correlation`: see `pixels.likeness`.
        `same_patient`: both are of one dataset and patient id.
        `group`: a number for each set of images that pairs connect.
    """
    members = pd.concat([table.assign(cohort=name)[list(MEMBER)] for name, table in cohorts.items()], ignore_index=True)
    members["image"] = members.groupby(["dataset", "row"], sort=False).ngroup()
    images = members.drop_duplicates("image")[["dataset", "row"]].reset_index(drop=True)
    itself = pd.DataFrame({"a": range(len(images)), "b": range(len(images)), "kind": "shared"})
    itself = itself.assign(relation="same image", distance=0, correlation=1.0)
    pairs = pd.concat([_same_pictures(images, stores, threads), itself], ignore_index=True)
    links = coo_array((np.ones(len(pairs)), (pairs["a"], pairs["b"])), shape=(len(images), len(images)))
    pairs["group"] = connected_components(links)[1][pairs["a"]]

    members = members.reset_index(names="member")
    pairs = pairs.merge(members.add_suffix("_a"), left_on="a", right_on="image_a")
    pairs = pairs.merge(members.add_suffix("_b"), left_on="b", right_on="image_b")
    splits_differ = (pairs["member_a"] < pairs["member_b"]) & (pairs["split_a"] != pairs["split_b"])
    pairs = pairs[(pairs["kind"] != "shared") | splits_differ]
    same_patient = (pairs["dataset_a"] == pairs["dataset_b"]) & (pairs["patient_id_a"] == pairs["patient_id_b"])
    pairs = pairs.assign(same_patient=same_patient, group=pd.factorize(pairs["group"])[0])
    return pairs[[*(f"{column}_{side}" for side in "ab" for column in MEMBER), *PAIR]].reset_index(drop=True)


def _same_pictures(images: pd.DataFrame, stores: dict[str, np.ndarray], threads: int) -> pd.DataFrame:
    """Pairs a < b of rows of `images`, each once, with kind, relation, distance and correlation."""
    frequencies = np.empty((len(images), LOW, LOW), dtype=np.float32)
    digests = np.empty(len(images), dtype=object)
    for dataset, rows in images.groupby("dataset"):
        store, places = stores[str(dataset)], rows["row"].to_numpy()
        frequencies[rows.index] = low_frequencies(store, places)
        digests[rows.index] = [
            hashlib.sha256(image.tobytes()).digest() for block in blocks(store, places) for image in block
        ]
    hashes = hash_frequencies(frequencies)
    first = pd.Series(np.arange(len(images))).groupby(digests).transform("min").to_numpy()
    copies = np.flatnonzero((first < np.arange(len(images))) & (hashes != BLANK))
    exact = pd.DataFrame({"a": first[copies], "b": copies, "kind": "exact", "relation": "same image"})
    near = _near(images, frequencies, np.flatnonzero(first == np.arange(len(images))), stores, threads)
    return pd.concat([exact.assign(distance=0, correlation=1.0), near], ignore_index=True)


def _near(
    images: pd.DataFrame, frequencies: np.ndarray, chosen: np.ndarray, stores: dict[str, np.ndarray], threads: int
) -> pd.DataFrame:
    """Pairs among the `chosen` images, none of which has the stored pixels of another."""

    def compare(relation: str, pairs: np.ndarray) -> pd.DataFrame:
        a, b, distance = pairs.T
        a, b = chosen[a], chosen[b]
        correlation = likeness(_thumbnails(images, a, stores), RELATIVES[relation](_thumbnails(images, b, stores)))
        batch = {"a": a, "b": b, "relation": relation, "distance": distance, "correlation": correlation}
        return pd.DataFrame(batch)[correlation >= SAME]

    hashes = hash_frequencies(frequencies[chosen])
    found = [pd.DataFrame(columns=["a", "b", "relation", "distance", "correlation"])]
    with ThreadPoolExecutor(threads) as pool:  # the time goes into numpy and scipy, outside of Python's lock
        for relation, signs in SIGNS.items():
            candidates = near_pairs(hashes, hash_frequencies(frequencies[chosen] * signs), RADIUS)
            found += pool.map(partial(compare, relation), _batches(candidates))
    types = {"a": int, "b": int, "relation": str, "distance": int, "correlation": float}
    # A symmetric image is its own mirror image.
    return pd.concat(found).astype(types).drop_duplicates(["a", "b"]).assign(kind="near")


def _batches(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The rows of all pieces, BATCH at a time."""
    waiting: list[np.ndarray] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(map(len, waiting)) >= BATCH:
            rows = np.concatenate(waiting)
            whole = len(rows) - len(rows) % BATCH
            yield from np.split(rows[:whole], whole // BATCH)
            waiting = [rows[whole:]]
    if any(map(len, waiting)):
        yield np.concatenate(waiting)


def _thumbnails(images: pd.DataFrame, numbers: np.ndarray, stores: dict[str, np.ndarray]) -> np.ndarray:
    unique, places = np.unique(numbers, return_inverse=True)
    chosen = images.iloc[unique]
    small = [thumbnail(stores[dataset][row]) for dataset, row in zip(chosen["dataset"], chosen["row"], strict=True)]
    return np.stack(small)[places]
