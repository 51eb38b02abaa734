"""A stopped build of an image store goes on where it was, and nothing that decodes badly stops it."""

import itertools
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.imaging import chunk, partial, store
from medtransfer.imaging.chunk import Chunk, Form, decode_chunk
from medtransfer.imaging.decode import Decoded
from medtransfer.imaging.partial import Partial, job_key
from medtransfer.imaging.store import build_store

FORM = Form(1, 16)
PATHS = [*(f"{number}.png" for number in range(40)), "absent.png", *(f"{number}.png" for number in range(40, 60))]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(60):
        Image.fromarray(generator.integers(0, 256, (20, 30), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def in_process(monkeypatch) -> list[int]:
    """Decoding without processes; counts the images that are decoded."""
    counted: list[int] = []

    def decoded(raw, chunks, form, workers):
        for paths in chunks:
            counted.append(len(paths))
            yield decode_chunk(raw, paths, form)

    monkeypatch.setattr(store, "_decoded_chunks", decoded)
    monkeypatch.setattr(partial, "SYNC_SECONDS", 0.0)
    return counted


def stop_after(monkeypatch, n_chunks: int) -> None:
    decoded = store._decoded_chunks

    def stopped(raw, chunks, form, workers):
        yield from itertools.islice(decoded(raw, chunks, form, workers), n_chunks)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_decoded_chunks", stopped)


@pytest.mark.parametrize("n_chunks", [0, 1, 3])
def test_a_stopped_build_goes_on_and_gives_the_same_store(raw, tmp_path, in_process, monkeypatch, n_chunks):
    whole, resumed, scratch = tmp_path / "whole.npy", tmp_path / "resumed.npy", tmp_path / "scratch"
    told = build_store(raw, PATHS, FORM, whole, tmp_path / "other", 1)
    assert told[0] == [(40, told[0][0][1])] and "absent.png" in told[0][0][1]
    in_process.clear()
    with monkeypatch.context() as patched:
        stop_after(patched, n_chunks)
        with pytest.raises(KeyboardInterrupt):
            build_store(raw, PATHS, FORM, resumed, scratch, 1)
    assert sum(in_process) == n_chunks * store.CHUNK and not resumed.exists()
    assert build_store(raw, PATHS, FORM, resumed, scratch, 1) == told
    assert sum(in_process) == len(PATHS)  # nothing twice
    assert resumed.read_bytes() == whole.read_bytes() and not scratch.exists()


@pytest.mark.parametrize("change", ["image", "form", "list"])
def test_a_build_of_something_else_begins_anew(raw, tmp_path, in_process, monkeypatch, change):
    scratch, out = tmp_path / "scratch", tmp_path / "a.npy"
    with monkeypatch.context() as patched:
        stop_after(patched, 2)
        with pytest.raises(KeyboardInterrupt):
            build_store(raw, PATHS, FORM, out, scratch, 1)
    in_process.clear()
    paths, form = PATHS, FORM
    if change == "image":
        Image.new("L", (20, 30), 7).save(raw / "3.png")
    elif change == "form":
        form = Form(1, 16, "breast")
    else:
        paths = PATHS[1:]
    build_store(raw, paths, form, out, scratch, 1)
    assert sum(in_process) == len(paths)


def test_a_journal_cut_short_by_a_kill_is_believed_as_far_as_pixels_go(tmp_path):
    folder, pixels = tmp_path / "scratch", np.arange(5 * 256, dtype=np.int64).astype(np.uint8).reshape(5, 16, 16)
    begun = Partial(folder, "key", 20, FORM)
    begun.append(Chunk(pixels, [(1, "bad")], []))
    begun.append(Chunk(pixels, [], [(2, "odd")]))
    begun.close()
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"images": 5, "failures": [], "notes": []}\n{"images": 5, "fai')
    again = Partial(folder, "key", 20, FORM)
    assert (again.done, again.failures, again.notes) == (10, [(1, "bad")], [(7, "odd")])
    again.append(Chunk(pixels, [], []))
    again.append(Chunk(pixels, [(0, "worse")], []))
    again.close()
    again.finish(tmp_path / "a.npy")
    assert (np.load(tmp_path / "a.npy") == np.tile(pixels, (4, 1, 1))).all()
    assert again.failures == [(1, "bad"), (15, "worse")]


def test_the_key_tells_records_of_a_changed_file(raw):
    before = job_key(raw, ["3.png#7"], FORM)
    assert before == job_key(raw, ["3.png#7"], FORM) != job_key(raw, ["3.png#8"], FORM)
    os.utime(raw / "3.png", ns=(1, 1))
    assert before != job_key(raw, ["3.png#7"], FORM)


def odd_decode(raw: Path, path: str, channels: int) -> Decoded:
    """Decoders as they can be: one loops for ever, one wants all memory, one crashes, one has something to say."""
    if path == "loop":
        while True:
            time.sleep(0.01)
    if path == "greedy":
        np.ones(2**36, dtype=np.uint8)
    if path in ("crash", "kill"):
        os.kill(os.getpid(), signal.SIGSEGV if path == "crash" else signal.SIGKILL)
    return Decoded(np.full((4, 4), 9, dtype=np.uint8), ("oddity",))


def chunk_with_odd_decode(raw: Path, paths: list[str], form: Form) -> Chunk:
    """`decode_chunk` as the workers run it, impatient and with such decoders."""
    chunk.decode_noting = odd_decode
    chunk.SECONDS = 1
    return decode_chunk(raw, paths, form)


@pytest.mark.slow
def test_images_that_never_end_want_all_memory_or_crash_are_named_and_the_batch_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "decode_chunk", chunk_with_odd_decode)
    monkeypatch.setattr(store, "_decode_alone", alone_with_odd_decode)
    paths = ["a", "loop", "b", "greedy", "crash", "c", "kill"]
    failures, notes = build_store(tmp_path, paths, FORM, tmp_path / "a.npy", tmp_path / "scratch", 1)
    assert [row for row, _ in failures] == [1, 3, 4, 6]
    assert "seconds to decode" in failures[0][1] and "GiB of memory" in failures[1][1] and "crashed" in failures[2][1]
    assert "killed (out of memory?)" in failures[3][1]
    assert notes == [(0, "oddity"), (2, "oddity"), (5, "oddity")]
    assert np.load(tmp_path / "a.npy").any(axis=(1, 2)).tolist() == [True, False, True, False, False, True, False]


ALONE = store._decode_alone


def alone_with_odd_decode(sender, raw: Path, path: str, form: Form) -> None:
    chunk.decode_noting = odd_decode
    chunk.SECONDS = 1
    ALONE(sender, raw, path, form)


def test_limits_are_put_on_the_process():
    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        chunk.limit_process()
        assert 0 < resource.getrlimit(resource.RLIMIT_AS)[0] <= chunk.MEMORY
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
