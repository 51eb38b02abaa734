"""Decoding and the image store: hand-made files with known pixels, and hostile ones."""

import hashlib
import io
import json
import os
import pickle
import signal
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from medtransfer.imaging import chunk, store
from medtransfer.imaging.cifar import read_pickle
from medtransfer.imaging.decode import decode
from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.store import build_store, store_facts

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def save(path: Path, image: Image.Image, **options) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path.name


def dicom(path: Path, pixels: np.ndarray, bits: int, **tags) -> str:
    """Write an uncompressed grey (or RGB) DICOM file with any further tags."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    file.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    file.BitsAllocated = 8 * pixels.dtype.itemsize
    file.BitsStored, file.HighBit = bits, bits - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(file, name, value)
    file.save_as(path, enforce_file_format=False)
    return path.name


# --- everyday formats


def test_grey_png_is_read_as_it_is_and_told_by_content(tmp_path):
    assert (decode(tmp_path, save(tmp_path / "a.png", Image.fromarray(RAMP)), 1) == RAMP).all()
    (tmp_path / "a.png").rename(tmp_path / "a.DCM")
    assert (decode(tmp_path, "a.DCM", 1) == RAMP).all()
    assert (decode(tmp_path, "a.DCM", 3) == RAMP[:, :, None]).all()


def test_sixteen_bits_are_divided_by_their_whole_range_not_by_what_is_there(tmp_path):
    deep = np.array([[0, 257, 1000], [4095, 32768, 65535]], dtype=np.uint16)
    name = save(tmp_path / "deep.png", Image.fromarray(deep))
    assert (decode(tmp_path, name, 1) == np.rint(deep / 257)).all()
    dark = save(tmp_path / "dark.png", Image.fromarray((deep // 100).astype(np.uint16)))
    assert decode(tmp_path, dark, 1).max() == round(655 / 257)
    pgm = b"P5 3 2 65535\n" + deep.astype(">u2").tobytes()
    (tmp_path / "deep.pgm").write_bytes(pgm)
    assert (decode(tmp_path, "deep.pgm", 1) == np.rint(deep / 257)).all()


def test_transparency_lies_over_black(tmp_path):
    rgba = np.full((2, 2, 4), 200, dtype=np.uint8)
    rgba[:, :, 3] = [[255, 0], [51, 255]]
    name = save(tmp_path / "a.png", Image.fromarray(rgba))
    assert decode(tmp_path, name, 1).tolist() == [[200, 0], [40, 200]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 250, 250, 250])
    palette.putdata([0, 1])
    name = save(tmp_path / "p.png", palette, transparency=1)
    assert decode(tmp_path, name, 3).tolist() == [[[10, 20, 30], [0, 0, 0]]]


def test_palette_bilevel_and_cmyk_become_plain_colours(tmp_path):
    colour = Image.new("RGB", (16, 16), (200, 30, 60))
    assert decode(tmp_path, save(tmp_path / "p.gif", colour.quantize(4)), 3)[0, 0] == pytest.approx(
        [200, 30, 60], abs=8
    )
    cmyk = decode(tmp_path, save(tmp_path / "c.jpg", colour.convert("CMYK"), quality=100), 3)
    assert cmyk[8, 8] == pytest.approx([200, 30, 60], abs=4)
    assert (
        decode(tmp_path, save(tmp_path / "b.png", Image.fromarray(RAMP > 100)), 1).tolist()
        == ((RAMP > 100) * 255).tolist()
    )


def test_colour_becomes_grey_by_luma(tmp_path):
    name = save(tmp_path / "c.png", Image.new("RGB", (2, 2), (255, 0, 0)))
    assert decode(tmp_path, name, 1).tolist() == [[76, 76], [76, 76]]  # ITU-R 601: 0.299 * 255


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    name = save(tmp_path / "e.png", Image.fromarray(RAMP[:4]), exif=exif)
    assert (decode(tmp_path, name, 1) == np.rot90(RAMP[:4], k=-1)).all()


def test_broken_files_are_decode_errors_with_a_reason(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in ("jpg", "png"):
        save(tmp_path / f"whole.{suffix}", Image.fromarray(noise))
        content = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(content[: len(content) // 2])
        with pytest.raises(DecodeError, match=r"truncated|cannot be decoded"):
            decode(tmp_path, f"cut.{suffix}", 3)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("<html>404 not found</html>")
    with pytest.raises(DecodeError, match="empty file"):
        decode(tmp_path, "empty.png", 1)
    with pytest.raises(DecodeError, match="neither DICOM nor"):
        decode(tmp_path, "text.png", 1)
    with pytest.raises(DecodeError, match="No such file"):
        decode(tmp_path, "absent.png", 1)


def test_a_small_file_that_declares_an_absurd_size_is_refused(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(DecodeError, match="pixels"):
        decode(tmp_path, "bomb.png", 1)
    dicom(tmp_path / "bomb.dcm", np.zeros((2, 2), np.uint8), 8, Rows=60_000, Columns=60_000)
    with pytest.raises(DecodeError, match="60000 x 60000"):
        decode(tmp_path, "bomb.dcm", 1)


def test_pixels_of_unknown_range_are_refused(tmp_path):
    name = save(tmp_path / "f.tiff", Image.fromarray(np.ones((2, 2), np.float32)))
    with pytest.raises(DecodeError, match="range"):
        decode(tmp_path, name, 1)


# --- DICOM

STORED = np.array([[0, 100, 2048], [3000, 4000, 4095]], dtype=np.uint16)


def test_without_a_window_the_range_of_the_stored_bits_counts(tmp_path):
    assert (decode(tmp_path, dicom(tmp_path / "a", STORED, 12), 1) == np.rint(STORED / 4095 * 255)).all()
    signed = np.array([[-2048, 0, 2047]], dtype=np.int16)
    assert decode(tmp_path, dicom(tmp_path / "s", signed, 12), 1).tolist() == [[0, 128, 255]]


def test_monochrome1_is_inverted(tmp_path):
    plain = decode(tmp_path, dicom(tmp_path / "a", STORED, 12), 1)
    inverted = decode(tmp_path, dicom(tmp_path / "b", STORED, 12, PhotometricInterpretation="MONOCHROME1"), 1)
    assert (inverted == 255 - plain).all()


def window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """The linear window of DICOM PS3.3 C.11.2.1.2.1, to 0..255."""
    return np.rint(255 * ((values - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1))


@pytest.mark.parametrize("slope", [2, -2])
def test_the_first_window_applies_after_rescale(tmp_path, slope):
    tags = {"RescaleSlope": slope, "RescaleIntercept": -1000, "WindowCenter": [1500, 0], "WindowWidth": [4000, 10]}
    expected = window(STORED * float(slope) - 1000, 1500, 4000)
    assert (decode(tmp_path, dicom(tmp_path / "a", STORED, 12, **tags), 1) == expected).all()


def test_blank_window_tags_are_no_window(tmp_path):
    name = dicom(tmp_path / "a", STORED, 12, WindowCenter=None, WindowWidth=None)
    assert (decode(tmp_path, name, 1) == np.rint(STORED / 4095 * 255)).all()


def test_padding_is_background_and_does_not_stretch_the_range(tmp_path):
    stored = np.array([[-2000, -1024, 0, 1024]], dtype=np.int16)
    tags = {"WindowCenter": 0, "WindowWidth": 2049, "PhotometricInterpretation": "MONOCHROME1"}
    plain = decode(tmp_path, dicom(tmp_path / "a", stored, 16, **tags), 1)
    padded = decode(tmp_path, dicom(tmp_path / "b", stored, 16, PixelPaddingValue=-2000, **tags), 1)
    assert plain.tolist()[0][0] == 255 and padded.tolist()[0][0] == 0
    assert (plain[0, 1:] == padded[0, 1:]).all()


def test_a_lookup_table_takes_the_place_of_the_window(tmp_path):
    table = pydicom.Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.LUTData = (65535 - 257 * np.arange(256)).astype(np.uint16).tobytes()
    name = dicom(tmp_path / "a", RAMP, 8, VOILUTSequence=Sequence([table]), WindowCenter=1, WindowWidth=2)
    assert (decode(tmp_path, name, 1) == 255 - RAMP).all()


def test_colour_and_compressed_dicom(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (decode(tmp_path, dicom(tmp_path / "c", rgb, 8), 3) == rgb).all()
    dicom(tmp_path / "g", STORED, 12)
    compressed = pydicom.dcmread(tmp_path / "g")
    compressed.compress(RLELossless)
    compressed.save_as(tmp_path / "rle")
    assert (decode(tmp_path, "rle", 1) == decode(tmp_path, "g", 1)).all()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_dicom_without_preamble_or_meta_header(tmp_path, syntax):
    dicom(tmp_path / "whole", STORED, 12, SOPClassUID="1.2.840.10008.5.1.4.1.1.1")
    bare = pydicom.dcmread(tmp_path / "whole")
    buffer = io.BytesIO()
    pydicom.filewriter.dcmwrite(buffer, pydicom.Dataset(bare), implicit_vr=syntax.is_implicit_VR, little_endian=True)
    (tmp_path / "bare").write_bytes(buffer.getvalue())
    assert buffer.getvalue()[:2] == b"\x08\x00"
    assert (decode(tmp_path, "bare", 1) == decode(tmp_path, "whole", 1)).all()


def test_dicom_that_is_no_single_image_is_refused(tmp_path):
    name = dicom(tmp_path / "m", STORED, 12, NumberOfFrames=3)
    with pytest.raises(DecodeError, match="3 frames"):
        decode(tmp_path, name, 1)
    content = (tmp_path / dicom(tmp_path / "w", STORED, 12)).read_bytes()
    (tmp_path / "cut").write_bytes(content[:-5])
    with pytest.raises(DecodeError, match="less than expected"):
        decode(tmp_path, "cut", 1)


# --- packed records


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


def test_a_file_whose_own_name_ends_like_a_record(tmp_path):
    save(tmp_path / "scan#12", Image.fromarray(RAMP), format="PNG")
    assert (decode(tmp_path, "scan#12", 1) == RAMP).all()


def test_a_pickle_that_names_code_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": Evil()}))
    with pytest.raises(ValueError, match="mkdir"):
        read_pickle(tmp_path / "data_batch_1")
    assert not (tmp_path / "ran").exists()


# --- the store


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
    failures = [build_store(raw, paths, 1, 16, tmp_path / f"{workers}.npy", workers) for workers in (1, 3)]
    assert failures[0] == failures[1]
    assert [row for row, _ in failures[0]] == [3, 20]
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "3.npy").read_bytes()
    pixels = np.load(tmp_path / "1.npy")
    assert pixels.shape == (21, 16, 16) and pixels.dtype == np.uint8
    assert not pixels[[3, 20]].any() and pixels[[0, 19]].all(axis=0).any()
    expected = Image.open(raw / "7.png").convert("L").resize((16, 16), Image.Resampling.BILINEAR)
    assert (pixels[7] == np.asarray(expected)).all()


def test_digest_says_what_the_store_holds(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (37, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    digest = store_facts(tmp_path / "a.npy")
    expected = {"n": 37, "size": 8, "channels": 3, "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}
    assert json.loads(json.dumps(digest)) == expected


def deadly_decode(raw: Path, path: str, channels: int) -> np.ndarray:
    if path == "5.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(raw, path, channels)


def chunk_with_deadly_decode(raw: Path, paths: list[str], shape: tuple[int, ...]):
    """`decode_chunk` as the workers run it, with an image that kills its process."""
    chunk.decode = deadly_decode
    return ORIGINAL_CHUNK(raw, paths, shape)


ORIGINAL_CHUNK = chunk.decode_chunk


@pytest.mark.slow
def test_an_image_that_kills_its_decoder_is_named_and_the_batch_goes_on(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "decode_chunk", chunk_with_deadly_decode)
    monkeypatch.setattr(store, "CHUNK", 4)
    paths = [f"{number}.png" for number in range(12)]
    failures = build_store(raw, paths, 1, 16, tmp_path / "a.npy", 1)
    assert [row for row, _ in failures] == [3, 5]
    assert failures[1][1] == store.DIED
    pixels = np.load(tmp_path / "a.npy")
    assert [row for row in range(12) if not pixels[row].any()] == [3, 5]


def test_a_full_disk_is_an_error_and_leaves_nothing(raw, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(store, "_decoded_chunks", full)
    with pytest.raises(OSError, match="No space"):
        build_store(raw, ["0.png"], 1, 16, tmp_path / "out" / "a.npy", 1)
    assert list((tmp_path / "out").iterdir()) == []
