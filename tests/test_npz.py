"""Images in NumPy archives: the rows that numpy itself reads, in little memory, and nothing from hostile archives."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtransfer.imaging import npz
from medtransfer.imaging.decode import decode
from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.npz import NpzArray, open_images, read_npz_row

NOISE = np.random.default_rng(0).integers(0, 256, (50, 6, 5), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (7, 4, 4, 3), dtype=np.uint8)


@pytest.fixture(params=[np.savez, np.savez_compressed], ids=["stored", "compressed"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    request.param(tmp_path / "x.npz", train_images=NOISE, test_images=COLOUR, train_labels=np.arange(50)[:, None])
    return tmp_path / "x.npz"


def packed(file: Path, content: bytes) -> Path:
    """An archive whose one array, train_images, is `content`."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("train_images.npy", content)
    return file


def npy(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def test_rows_are_those_of_the_array_in_any_order(archive):
    for row in [*range(50), 49, 0, 25, 24]:
        assert (read_npz_row(archive, "train_images", row) == NOISE[row]).all()
    assert (read_npz_row(archive, "test_images", 3) == COLOUR[3]).all()
    assert (NpzArray(archive, "train_labels").rows(0, 50) == np.arange(50)[:, None]).all()
    assert NpzArray(archive, "train_labels").rows(50, 50).shape == (0, 1)


def test_decode_takes_a_row_by_its_path(archive):
    raw = archive.parent
    assert (decode(raw, "x.npz/train_images#12", 1) == NOISE[12]).all()
    assert (decode(raw, "x.npz/train_images#12", 3) == NOISE[12][:, :, None]).all()
    assert (decode(raw, "x.npz/test_images#6", 3) == COLOUR[6]).all()
    for path in ("x.npz/train_images#50", "x.npz/val_images#0", "x.npz/train_labels#0", "y.npz/train_images#0"):
        with pytest.raises(DecodeError):
            decode(raw, path, 1)


def test_an_array_is_opened_once_for_all_its_rows_and_anew_when_the_file_changes(archive):
    npz._images.cache_clear()
    for row in range(50):
        read_npz_row(archive, "train_images", row)
    assert npz._images.cache_info().misses == 1
    np.savez(archive, train_images=NOISE[::-1])
    assert (read_npz_row(archive, "train_images", 0) == NOISE[-1]).all()


def test_memory_stays_far_below_the_array(tmp_path):
    np.savez_compressed(tmp_path / "big.npz", train_images=np.zeros((4000, 160, 160), np.uint8))  # 100 MB unpacked
    tracemalloc.start()
    try:
        assert read_npz_row(tmp_path / "big.npz", "train_images", 3999).shape == (160, 160)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


class Bomb:
    def __reduce__(self) -> tuple:
        return exec, ("raise AssertionError('a pickle was run')",)


HUGE = npy(np.zeros((2, 4, 4), np.uint8)).replace(b"(2, 4, 4)", b"(2000000000, 4, 4)")
HOSTILE = {
    "pickled": (npy(np.array([[[Bomb()]]], dtype=object), allow_pickle=True), "is pickled"),
    "Fortran": (npy(np.asfortranarray(NOISE)), "C order"),
    "one number": (npy(np.array(5, np.uint8)), "C order"),
    "floats": (npy(NOISE.astype(np.float32)), "float32"),
    "one row of pixels": (npy(NOISE[0]), "not uint8 images"),
    "four channels": (npy(np.zeros((2, 4, 4, 4), np.uint8)), "not uint8 images"),
    "volumes": (npy(np.zeros((2, 4, 4, 4, 3), np.uint8)), "not uint8 images"),
    "no pixels": (npy(np.zeros((2, 0, 4), np.uint8)), "not uint8 images"),
    "cut short": (npy(NOISE)[:-1], "its shape (50, 6, 5) needs"),
    "more than its shape": (npy(NOISE) + b"0", "its shape (50, 6, 5) needs"),
    "a shape beyond the data": (HUGE, "needs"),
    "version 3": (npy(NOISE, version=(3, 0)), "version (3, 0)"),
    "no header": (b"\x93NUMPY\x01\x00v\x00{'descr': __import__('os')}", ""),
    "text": (b"no array at all", ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_other_arrays_are_refused_with_a_reason(name, tmp_path):
    content, reason = HOSTILE[name]
    file = packed(tmp_path / "x.npz", content)
    with pytest.raises(ValueError) as error:
        open_images(file, "train_images")
    assert reason in str(error.value)
    with pytest.raises(DecodeError):
        decode(tmp_path, "x.npz/train_images#0", 1)


def test_an_array_that_is_not_there_is_named_with_those_that_are(archive):
    with pytest.raises(ValueError, match=r"no val_images\.npy, only train_images\.npy, test_images\.npy, train_labels"):
        open_images(archive, "val_images")


def test_rows_before_the_damage_are_read_and_those_behind_it_fail_each_time(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", train_images=np.tile(NOISE, (100, 1, 1)))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    (tmp_path / "x.npz").write_bytes(content)
    assert (decode(tmp_path, "x.npz/train_images#10", 1) == NOISE[10]).all()
    for row in (4998, 4999, 4998):
        with pytest.raises(DecodeError):
            decode(tmp_path, f"x.npz/train_images#{row}", 1)
    assert (decode(tmp_path, "x.npz/train_images#11", 1) == NOISE[11]).all()


def test_a_truncated_archive_is_refused(archive):
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(DecodeError, match="zip"):
        decode(archive.parent, "x.npz/train_images#0", 1)


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8),
    deflate=st.booleans(),
)
def test_whatever_the_bytes_an_image_or_a_reason_comes_back(tmp_path_factory, changes, deflate):
    file = tmp_path_factory.mktemp("fuzz") / "x.npz"
    (np.savez_compressed if deflate else np.savez)(file, train_images=NOISE)
    content = bytearray(file.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    file.write_bytes(content)
    try:
        assert decode(file.parent, "x.npz/train_images#49", 1).dtype == np.uint8
    except DecodeError as error:
        assert str(error)
