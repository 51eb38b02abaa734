"""The image store: what is in it, what is listed as failed, and what stops it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.imaging import store
from medtransfer.imaging.chunk import Form
from medtransfer.imaging.store import build_store, store_facts


def save(path: Path, image: Image.Image, **options) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path.name


@pytest.fixture
def raw(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(20):
        shape = (rng.integers(8, 40), rng.integers(8, 40), 3)
        save(tmp_path / "raw" / f"{number}.png", Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)))
    (tmp_path / "raw" / "3.png").write_bytes(b"no image")
    return tmp_path / "raw"


def test_store_is_the_same_for_any_number_of_workers_and_lists_failures(raw, tmp_path):
    paths = [f"{number}.png" for number in range(20)] + ["absent.png"]
    told = [build_store(raw, paths, Form(1, 16), tmp_path / f"{n}.npy", tmp_path / "scratch", n) for n in (1, 3)]
    assert told[0] == told[1]
    assert [row for row, _ in told[0][0]] == [3, 20]
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "3.npy").read_bytes()
    pixels = np.load(tmp_path / "1.npy")
    assert pixels.shape == (21, 16, 16) and pixels.dtype == np.uint8
    assert not pixels[[3, 20]].any() and pixels[[0, 19]].all(axis=0).any()
    expected = Image.open(raw / "7.png").convert("L").resize((16, 16), Image.Resampling.BILINEAR)
    assert (pixels[7] == np.asarray(expected)).all()


def test_what_is_odd_about_an_image_is_noted_with_its_row(raw, tmp_path):
    (raw / "7.png").rename(raw / "7.jpg")
    _, notes = build_store(raw, ["0.png", "7.jpg"], Form(3, 16), tmp_path / "a.npy", tmp_path / "scratch", 1)
    assert notes == [(1, "named .jpg but is PNG")]


def test_images_are_prepared_before_they_are_resized(tmp_path):
    film = np.zeros((64, 128), dtype=np.uint8)
    film[16:48, 96:] = 200
    save(tmp_path / "film.png", Image.fromarray(film))
    for preparation, share in (("none", 1 / 8), ("breast", 0.5)):
        form = Form(1, 32, preparation)
        build_store(tmp_path, ["film.png"], form, tmp_path / "a.npy", tmp_path / "scratch", 1)
        bright = np.load(tmp_path / "a.npy")[0] > 100
        assert bright.mean() >= share and bright[:, :8].any() == (preparation == "breast")


def test_rows_of_an_archive_of_arrays_are_stored(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    np.savez_compressed(tmp_path / "set.npz", test_images=pixels)
    paths = [f"set.npz/test_images#{row}" for row in range(40)]
    build_store(tmp_path, paths, Form(3, 16), tmp_path / "a.npy", tmp_path / "scratch", 2)
    assert (np.load(tmp_path / "a.npy") == pixels).all()


def test_digest_says_what_the_store_holds(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (37, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    digest = store_facts(tmp_path / "a.npy")
    expected = {"n": 37, "size": 8, "channels": 3, "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}
    assert json.loads(json.dumps(digest)) == expected


def test_a_full_disk_is_an_error_and_leaves_nothing(raw, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(store, "_decoded_chunks", full)
    with pytest.raises(OSError, match="No space"):
        build_store(raw, ["0.png"], Form(1, 16), tmp_path / "out" / "a.npy", tmp_path / "scratch", 1)
    assert not (tmp_path / "out").exists()
