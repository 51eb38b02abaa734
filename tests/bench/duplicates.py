"""Duplicated images: hashing images, comparing all pairs of hashes without a miss, comparing candidates by pixels."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from medtransfer.quality.duplicates import BATCH, RADIUS
from medtransfer.quality.hashes import near_pairs, perceptual_hashes
from medtransfer.quality.pixels import SIDE, likeness

HASHES, PLANTED, EQUAL = 200_000, 1000, 2000
IMAGES, STORED = 2000, 224


def main() -> None:
    """Print a line for each of the three steps, all on one core."""
    generator = np.random.default_rng(0)
    with threadpool_limits(1):
        hashes = generator.integers(1, 2**64, HASHES, dtype=np.uint64)
        originals, copies = generator.choice(HASHES, (2, PLANTED), replace=False)
        flipped = generator.permuted(np.tile(np.arange(64), (PLANTED, 1)), axis=1)[:, :RADIUS].astype(np.uint64)
        hashes[copies] = hashes[originals] ^ np.bitwise_or.reduce(np.uint64(1) << flipped, axis=1)
        planted = {tuple(sorted(pair)) for pair in zip(originals.tolist(), copies.tolist(), strict=True)}
        started = time.perf_counter()
        found = {tuple(pair) for pairs in near_pairs(hashes, hashes, RADIUS) for pair in pairs[:, :2].tolist()}
        seconds = time.perf_counter() - started
        print(
            f"{HASHES:,} hashes within {RADIUS} bits: {seconds:.1f} s, {len(planted & found)} of {PLANTED} pairs found"
        )

        equal = np.full(EQUAL, hashes[0])
        started = time.perf_counter()
        number = sum(len(pairs) for pairs in near_pairs(equal, equal, RADIUS))
        print(f"{EQUAL:,} equal hashes: {time.perf_counter() - started:.2f} s, {number:,} pairs, a tile at a time")

        store = generator.integers(0, 256, (IMAGES, STORED, STORED), dtype=np.uint8)
        started = time.perf_counter()
        perceptual_hashes(store, np.arange(IMAGES))
        print(f"hashing {STORED} px images: {IMAGES / (time.perf_counter() - started):,.0f} images/s")

        images, others = generator.integers(0, 256, (2, BATCH, SIDE, SIDE), dtype=np.uint8)
        started = time.perf_counter()
        likeness(images, others)
        print(f"comparing pixels: {BATCH / (time.perf_counter() - started):,.0f} pairs/s")


if __name__ == "__main__":
    main()
