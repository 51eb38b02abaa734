"""Hashes that stay the same when an image is re-encoded, resized or brightened.

The hash is that of Zauner (2010, "Implementation and benchmarking of perceptual image hash functions"): the signs of an
image's lowest frequencies about their median. The frequencies are taken from the stored pixels, whatever their size,
where Zauner first shrinks to 32 x 32: low frequencies are the same for both, so that stores of different sizes compare.
"""

from collections.abc import Iterator

import numpy as np

LOW = 8  # frequencies 1 to 8 along each side: 64 bits, none of them the mean
BLOCK = 64  # images hashed at a time
FLAT = 0.02  # grey levels: the lowest frequencies of a blank image do not spread by more
BLANK = np.uint64(0)  # the hash of an image without information; others have half of their bits set
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)

# Mirroring an image changes the sign of its odd horizontal frequencies, a negative changes all.
SIGNS = {
    "same image": np.ones((LOW, LOW), dtype=np.float32),
    "mirrored": np.tile((-1.0) ** np.arange(1, LOW + 1), (LOW, 1)).astype(np.float32),
    "negative": -np.ones((LOW, LOW), dtype=np.float32),
}


def low_frequencies(store: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The lowest frequencies of images, float32 [n, 8, 8] (vertical, horizontal): their DCT-II without the means.

    Args:
        store: uint8 [images, size, size] or [images, size, size, 3], of which some images at a time are read.
        rows: Which images.
    """
    phase = np.arange(store.shape[1]) + 0.5
    waves = np.cos(np.pi / store.shape[1] * np.arange(1, LOW + 1)[:, None] * phase).astype(np.float32)
    waves /= store.shape[1]
    found = [waves @ _grey(block) @ waves.T for block in blocks(store, rows)]
    return np.concatenate([np.empty((0, LOW, LOW), dtype=np.float32), *found])


def hash_frequencies(frequencies: np.ndarray) -> np.ndarray:
    """uint64 [n]: a bit for each of the lowest frequencies [n, 8, 8], set where it exceeds their median.

    Images whose lowest frequencies are all alike carry no information: their hash is BLANK.
    """
    flat = frequencies.reshape(-1, LOW * LOW)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    hashes = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return np.where(np.ptp(flat, axis=1) > FLAT, hashes, BLANK)


def perceptual_hashes(store: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The hashes of images, uint64 [n]; BLANK for images that carry no information. Arguments: `low_frequencies`."""
    return hash_frequencies(low_frequencies(store, rows))


def near_pairs(hashes: np.ndarray, others: np.ndarray, radius: int) -> Iterator[np.ndarray]:
    """All pairs i < j for which hashes[i] and others[j] differ in at most `radius` bits, without a miss.

    Yields int64 arrays [pairs, 3] of i, j and the number of bits, in an order that is always the same. Every pair is
    compared, at half a nanosecond each; memory stays at one tile of the comparison, also when all hashes are equal.
    BLANK hashes are in no pair.

    Args:
        hashes: uint64 [n].
        others: uint64 [n]: `hashes` again, or those of the images mirrored or negative.
        radius: Bits, 0 to 64.
    """
    height, width = 64, 4096  # a tile fits the cache of a processor
    for top in range(0, len(hashes), height):
        for left in range(top, len(others), width):
            rows, columns = hashes[top : top + height], others[left : left + width]
            bits = np.bitwise_count(rows[:, None] ^ columns)
            near = bits <= radius
            if not near.any():  # most tiles; looking for the places costs more than the comparison
                continue
            i, j = np.nonzero(near)
            wanted = (i + top < j + left) & (rows[i] != BLANK) & (columns[j] != BLANK)
            if wanted.any():
                yield np.stack([i + top, j + left, bits[i, j]], axis=1)[wanted]


def blocks(store: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The images of `rows`, a few at a time."""
    for start in range(0, len(rows), BLOCK):
        yield store[rows[start : start + BLOCK]]


def _grey(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) if images.ndim == 3 else images.astype(np.float32) @ LUMINANCE
