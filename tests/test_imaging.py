"""Records inside of files: Parquet, CIFAR batches, frames of DICOM files; and what decoding says of any file."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medtransfer.imaging.cifar import read_pickle
from medtransfer.imaging.decode import decode, decode_noting
from medtransfer.imaging.dicom import is_dicom
from medtransfer.imaging.errors import DecodeError
from tests.dicom_files import dicom

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def test_records_of_parquet_and_cifar_files(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    planes = images.transpose(0, 3, 1, 2).reshape(3, -1)
    packed = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        packed.append(buffer.getvalue())
    pq.write_table(pa.table({"image_bytes": [*packed, None]}), tmp_path / "a.parquet")
    np.concatenate([[[7]] * 3, planes], axis=1).astype(np.uint8).tofile(tmp_path / "data_batch_1.bin")
    np.concatenate([[[1, 7]] * 3, planes], axis=1).astype(np.uint8).tofile(tmp_path / "train.bin")
    with (tmp_path / "data_batch_2").open("wb") as file:
        pickle.dump({b"labels": [7] * 3, b"data": planes}, file, protocol=2)
    for name in ("a.parquet", "data_batch_1.bin", "train.bin", "data_batch_2"):
        assert all((decode(tmp_path, f"{name}#{n}", 3) == images[n]).all() for n in range(3)), name
        with pytest.raises(DecodeError):
            decode(tmp_path, f"{name}#3", 3)


def test_a_cifar_batch_that_begins_like_dicom_is_none(tmp_path):
    ship = np.zeros((1, 3073), dtype=np.uint8)
    ship[0, 0] = 8  # the group number of a DICOM file without preamble, then black pixels
    ship.tofile(tmp_path / "data_batch_1.bin")
    assert not is_dicom(ship.tobytes())
    assert not decode(tmp_path, "data_batch_1.bin#0", 3).any()


def test_frames_of_a_dicom_file(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 5, 7), dtype=np.uint8)
    name = dicom(tmp_path / "three.dcm", frames[0], 8, NumberOfFrames=3, PixelData=frames.tobytes() + b"\0")
    for number, frame in enumerate(frames):
        assert (decode(tmp_path, f"{name}#{number}", 1) == frame).all()
    with pytest.raises(DecodeError, match=r"3 frames.*no frame 3"):
        decode(tmp_path, f"{name}#3", 1)
    with pytest.raises(DecodeError, match=r"3 frames.*#0 to file#2"):
        decode(tmp_path, name, 1)
    single = dicom(tmp_path / "one.dcm", frames[0], 8)
    assert (decode(tmp_path, f"{single}#0", 1) == frames[0]).all()


def test_a_file_whose_own_name_ends_like_a_record(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "scan#12", format="PNG")
    assert (decode(tmp_path, "scan#12", 1) == RAMP).all()


def test_a_pickle_that_names_code_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": Evil()}))
    with pytest.raises(ValueError, match="mkdir"):
        read_pickle(tmp_path / "data_batch_1")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("film.png", ()),
        ("film.PNG", ()),
        ("film", ()),
        ("film.2", ()),
        ("film.jpg", ("named .jpg but is PNG",)),
        ("film.dcm", ("named .dcm but is PNG",)),
    ],
)
def test_a_name_that_contradicts_the_content_is_noted(tmp_path, name, note):
    Image.fromarray(RAMP).save(tmp_path / name, format="PNG")
    decoded = decode_noting(tmp_path, name, 1)
    assert (decoded.pixels == RAMP).all() and decoded.notes == note


def test_dicom_named_like_a_photograph_is_noted(tmp_path):
    assert decode_noting(tmp_path, dicom(tmp_path / "a.png", RAMP, 8), 1).notes == ("named .png but is DICOM",)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08gzip", b"PK\x03\x04", b"<html>404 not found</html>", b"DICM"])
def test_what_is_no_image_is_a_decode_error_with_a_reason(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DecodeError, match=r"empty file|neither DICOM nor|without pixel data"):
        decode(tmp_path, "file", 1)


@pytest.mark.parametrize("path", ["absent.png", "absent.dcm#1", "absent.parquet#0", "."])
def test_an_absent_file_is_a_decode_error(tmp_path: Path, path):
    with pytest.raises(DecodeError, match=r"No such file|directory"):
        decode(tmp_path, path, 1)
