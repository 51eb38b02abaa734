"""The image store: a dataset's decoded pixels in one array file, made once and read by every run."""

import hashlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from tqdm import tqdm

from medtransfer.errors import UserError
from medtransfer.imaging.chunk import SECONDS, Chunk, Findings, Form, decode_chunk, limit_process
from medtransfer.imaging.partial import Partial, job_key

CHUNK = 16  # images a worker decodes at a time
SPAWN = multiprocessing.get_context("spawn")  # a fork copies the locks of other threads in whatever state they are
DEATHS = {
    -signal.SIGALRM: f"takes more than {SECONDS} seconds to decode",
    -signal.SIGKILL: "its decoder process was killed (out of memory?)",
    -signal.SIGSEGV: "its decoder crashed",
}


def build_store(
    raw: Path, paths: Sequence[str], form: Form, out: Path, scratch: Path, workers: int
) -> tuple[Findings, Findings]:
    """Decode images in parallel into one uint8 .npy file, [n, size, size] or [n, size, size, 3].

    Row i is image i of `paths` (relative to `raw`), prepared as `form` says, then resized to a square whatever its
    aspect ratio, as the BiT recipe does (Kolesnikov et al. 2020), with antialiased bilinear interpolation. The bytes do
    not depend on `workers`, nor on whether the build was stopped: what is done lies in the folder `scratch` (on the
    same disk as `out`), and the next call with the same images goes on from there. Memory stays at a few chunks per
    worker. A full disk raises OSError and leaves nothing at `out`.

    Returns (row, reason) for every image that could not be decoded, whose row is zero, and (row, note) for what was
    odd about others, both in order. The batch also goes on when a decoder takes its whole process down or never ends:
    that image is found and listed like the others. Call it under `if __name__ == "__main__"` where it is called from a
    script, since the workers import the calling module.
    """
    partial = Partial(scratch, job_key(raw, paths, form), len(paths), form)
    chunks = [paths[start : start + CHUNK] for start in range(partial.done, len(paths), CHUNK)]
    try:
        # Written in order, not through a memory map: a full disk kills a process that writes to a map.
        with tqdm(total=len(paths), initial=partial.done, unit="image", file=sys.stderr, mininterval=2) as progress:
            for chunk in _decoded_chunks(raw, chunks, form, workers):
                partial.append(chunk)
                progress.update(len(chunk.pixels))
    finally:
        partial.close()
    partial.finish(out)
    return partial.failures, partial.notes


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


def _decoded_chunks(raw: Path, chunks: Sequence[Sequence[str]], form: Form, workers: int) -> Iterator[Chunk]:
    """Results of `decode_chunk` for every chunk, in order, from a pool that is started anew when a worker dies."""
    waiting = deque(chunks)
    while waiting:
        running: deque[tuple[Sequence[str], Future]] = deque()
        suspects: list[Sequence[str]] = []
        with _pool(workers) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
                        future = pool.submit(decode_chunk, raw, waiting[0], form)
                        running.append((waiting.popleft(), future))
                    yield running[0][1].result()
                    running.popleft()
            except BrokenProcessPool:
                suspects = [chunk for chunk, _ in running]
        for chunk in suspects:
            yield _decode_singly(raw, chunk, form)


def _decode_singly(raw: Path, paths: Sequence[str], form: Form) -> Chunk:
    """Like `decode_chunk`, each image alone in a process, so that one that kills it names itself."""
    together = Chunk(np.zeros((len(paths), *form.shape), dtype=np.uint8), [], [])
    for position, path in enumerate(paths):
        receiver, sender = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=_decode_alone, args=(sender, raw, path, form))
        process.start()
        sender.close()
        try:
            chunk: Chunk = receiver.recv()
        except EOFError:
            process.join()
            code = process.exitcode or 0
            together.failures.append((position, DEATHS.get(code, f"its decoder process died with status {code}")))
        else:
            process.join()
            together.pixels[position] = chunk.pixels[0]
            together.failures.extend((position, reason) for _, reason in chunk.failures)
            together.notes.extend((position, note) for _, note in chunk.notes)
    return together


def _decode_alone(sender: Connection, raw: Path, path: str, form: Form) -> None:
    limit_process()
    sender.send(decode_chunk(raw, [path], form))


def _pool(workers: int) -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(workers, mp_context=SPAWN, initializer=limit_process)
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise UserError(
            "Decoder processes cannot be started. Where build_store is called from a script, the call must stand "
            "under `if __name__ == '__main__':`, and there must be memory for the workers."
        ) from error
    return pool
