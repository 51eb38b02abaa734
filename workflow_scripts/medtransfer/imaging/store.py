"""The image store: a cohort's decoded pixels in one array file, made once and read by every run."""

import hashlib
import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from tqdm import tqdm

from medtransfer.errors import UserError
from medtransfer.files import atomic
from medtransfer.imaging.chunk import Failures, decode_chunk

CHUNK = 16  # images a worker decodes at a time
DIED = "its decoder process died (a crash, or out of memory)"


def build_store(raw: Path, paths: Sequence[str], channels: int, size: int, out: Path, workers: int) -> Failures:
    """Decode images in parallel into one uint8 .npy file, [n, size, size] or [n, size, size, 3].

    Row i is image i of `paths` (relative to `raw`), resized to a square whatever its aspect ratio, as the BiT recipe
    does (Kolesnikov et al. 2020), with antialiased bilinear interpolation. The bytes do not depend on `workers`.
    Memory stays at a few chunks per worker. The file is moved into place when whole: a full disk raises OSError and
    leaves nothing behind.

    Returns (row, reason) for every image that could not be decoded, in order; its row is left zero. The batch also
    goes on when a decoder takes its whole process down: that image is found and listed like the others. Call it under
    `if __name__ == "__main__"` where it is called from a script, since the workers import the calling module.
    """
    shape = (size, size) if channels == 1 else (size, size, channels)
    failures: Failures = []
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    with atomic(out) as temporary, temporary.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        row = 0
        # Written in order, not through a memory map: a full disk kills a process that writes to a map.
        with tqdm(total=len(paths), unit="image", file=sys.stderr, mininterval=2) as progress:
            for pixels, reasons in _decoded_chunks(raw, chunks, shape, workers):
                file.write(pixels.data)
                failures += [(row + offset, reason) for offset, reason in reasons]
                row += len(pixels)
                progress.update(len(pixels))
    return failures


def store_facts(store: Path) -> dict[str, int | str]:
    """What an image store holds: number of images, size and channels, and the SHA-256 of its pixels in C order.

    Reads a few rows at a time. The header of the .npy file is not part of the hash.
    """
    pixels = np.load(store, mmap_mode="r")
    digest = hashlib.sha256()
    for start in range(0, len(pixels), CHUNK):
        digest.update(np.ascontiguousarray(pixels[start : start + CHUNK]).data)
    channels = pixels.shape[3] if pixels.ndim == 4 else 1
    return {"n": len(pixels), "size": pixels.shape[1], "channels": channels, "sha256": digest.hexdigest()}


def _decoded_chunks(
    raw: Path, chunks: Sequence[Sequence[str]], shape: tuple[int, ...], workers: int
) -> Iterator[tuple[np.ndarray, Failures]]:
    """Results of `decode_chunk` for every chunk, in order, from a pool that is started anew when a worker dies."""
    waiting = deque(chunks)
    while waiting:
        running: deque[tuple[Sequence[str], Future]] = deque()
        suspects: list[Sequence[str]] = []
        with _pool(workers) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
                        future = pool.submit(decode_chunk, raw, waiting[0], shape)
                        running.append((waiting.popleft(), future))
                    yield running[0][1].result()
                    running.popleft()
            except BrokenProcessPool:
                suspects = [chunk for chunk, _ in running]
        for chunk in suspects:
            yield _decode_singly(raw, chunk, shape)


def _decode_singly(raw: Path, paths: Sequence[str], shape: tuple[int, ...]) -> tuple[np.ndarray, Failures]:
    """Like `decode_chunk`, each image alone in a process, so that one that kills it names itself."""
    pixels = np.zeros((len(paths), *shape), dtype=np.uint8)
    failures: Failures = []
    pool = _pool(1)
    for position, path in enumerate(paths):
        try:
            single, reasons = pool.submit(decode_chunk, raw, [path], shape).result()
        except BrokenProcessPool:
            failures.append((position, DIED))
            pool = _pool(1)
        else:
            pixels[position] = single[0]
            failures += [(position, reason) for _, reason in reasons]
    pool.shutdown()
    return pixels, failures


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork copies the locks of other threads in whatever state they are.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise UserError(
            "Decoder processes cannot be started. Where build_store is called from a script, the call must stand "
            "under `if __name__ == '__main__':`, and there must be memory for the workers."
        ) from error
    return pool
