"""DICOM: every transfer syntax gives the same stored values."""

import io

import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid

from medtransfer.imaging.dicom import read_dicom, read_patient, stored_pixels
from medtransfer.imaging.dicom.pixels import PRECISION
from medtransfer.imaging.errors import DecodeError
from tests.dicom_files import as_bytes, compressed, compressed_by_gdcm, dataset, dicom, encapsulated

RNG = np.random.default_rng(0)
STORED = RNG.integers(0, 4096, (40, 36), dtype=np.uint16)
SIGNED_STORED = RNG.integers(-2048, 2048, (40, 36)).astype(np.int16)
RGB = RNG.integers(0, 256, (40, 36, 3), dtype=np.uint8)

BY_PYDICOM = {
    "rle": uid.RLELossless,
    "jpeg-ls": uid.JPEGLSLossless,
    "jpeg 2000": uid.JPEG2000Lossless,
}
BY_GDCM = {
    "jpeg lossless": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "jpeg lossless, selection value 1": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
}


def jpeg(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


# --- transfer syntaxes


@pytest.mark.parametrize(
    "pixels", [STORED, SIGNED_STORED, (STORED >> 4).astype(np.uint8), RGB], ids=lambda p: str(p.dtype)
)
@pytest.mark.parametrize("name", [*BY_PYDICOM, *BY_GDCM])
def test_lossless_compression_changes_nothing(name, pixels):
    bits = 12 if pixels.dtype.itemsize == 2 else 8
    file = dataset(pixels, bits)
    content = compressed(file, BY_PYDICOM[name]) if name in BY_PYDICOM else compressed_by_gdcm(file, BY_GDCM[name])
    assert (stored_pixels(content) == pixels).all()
    plain, _ = read_dicom(as_bytes(dataset(pixels, bits)))
    image, notes = read_dicom(content)
    assert (image == plain).all()
    assert set(notes) <= {PRECISION}  # GDCM's encoder writes 16 bits for the 12 that are stored


@pytest.mark.parametrize(("implicit", "little_endian"), [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize("complete", [True, False], ids=["whole", "without preamble and meta header"])
def test_uncompressed_syntaxes(implicit, little_endian, complete):
    file = dataset(STORED, 12, SOPClassUID=uid.ComputedRadiographyImageStorage)
    if not little_endian:
        file.PixelData = STORED.astype(">u2").tobytes()
    file.file_meta.TransferSyntaxUID = {
        (True, True): uid.ImplicitVRLittleEndian,
        (False, True): uid.ExplicitVRLittleEndian,
        (False, False): uid.ExplicitVRBigEndian,
    }[implicit, little_endian]
    if not complete:
        del file.file_meta, file.preamble
    content = as_bytes(file, implicit_vr=implicit, little_endian=little_endian)
    assert complete or content[:2] == (b"\x08\x00" if little_endian else b"\x00\x08")
    assert (stored_pixels(content) == STORED).all()
    assert (read_dicom(content)[0] == np.rint(STORED / 4095 * 255)).all()


def test_a_file_without_the_preambles_zeros():
    content = as_bytes(dataset(STORED, 12))
    assert content[128:132] == b"DICM" and (stored_pixels(content[128:]) == STORED).all()


def deflated(file: pydicom.Dataset) -> bytes:
    file.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    return as_bytes(file)


def test_the_deflated_syntax_within_bounds(monkeypatch):
    content = deflated(dataset(STORED, 12))
    assert (stored_pixels(content) == STORED).all()
    with pytest.raises(DecodeError, match="cut short"):
        stored_pixels(content[:-20])
    monkeypatch.setattr("medtransfer.imaging.dicom.header.MAX_BYTES", 1000)
    with pytest.raises(DecodeError, match="more than 1000 bytes"):
        stored_pixels(content)


@pytest.mark.parametrize("near", [1, 3])
def test_near_lossless_jpeg_ls_stays_near(near):
    import jpeg_ls

    file = dataset(STORED, 12)
    stream = bytes(
        jpeg_ls.encode_pixel_data(
            STORED.tobytes(),
            lossy_error=near,
            interleave_mode=0,
            rows=40,
            columns=36,
            samples_per_pixel=1,
            bits_stored=12,
        )
    )
    assert np.abs(stored_pixels(encapsulated(file, stream, uid.JPEGLSNearLossless)).astype(int) - STORED).max() <= near


@pytest.mark.parametrize("subsampling", [0, 1], ids=["YBR_FULL", "YBR_FULL_422"])
def test_baseline_jpeg_looks_like_the_same_jpeg_outside_of_dicom(tmp_path, subsampling):
    smooth = np.asarray(Image.fromarray(RGB).resize((64, 48), Image.Resampling.BICUBIC))
    stream = jpeg(smooth, subsampling=subsampling)
    file = dataset(smooth, 8, PhotometricInterpretation=("YBR_FULL", "YBR_FULL_422")[subsampling])
    content = encapsulated(file, stream, uid.JPEGBaseline8Bit)
    outside = np.asarray(Image.open(io.BytesIO(stream)).convert("RGB")).astype(int)
    assert np.abs(read_dicom(content)[0] - outside).max() <= 1
    assert np.abs(stored_pixels(content) - outside).max() <= 1  # what is shown and what is stored are the same colours
    grey = jpeg(smooth[:, :, 0])
    content = encapsulated(dataset(smooth[:, :, 0], 8), grey, uid.JPEGBaseline8Bit)
    assert (read_dicom(content)[0] == np.asarray(Image.open(io.BytesIO(grey)))).all()


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_uncompressed_ybr(photometric):
    colours = np.repeat(np.array([[[200, 30, 60], [0, 255, 128]]], dtype=np.uint8), 2, axis=1)
    red, green, blue = colours.astype(float).transpose(2, 0, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R 601, PS3.3 section C.7.6.3.1.2
    ybr = np.stack([luma, (blue - luma) * 0.564 + 128, (red - luma) * 0.713 + 128], axis=2).round().astype(np.uint8)
    stored = ybr if photometric == "YBR_FULL" else np.array([[*ybr[0, i : i + 2, 0], *ybr[0, i, 1:]] for i in (0, 2)])
    file = dataset(ybr, 8, PhotometricInterpretation=photometric, PixelData=stored.astype(np.uint8).tobytes())
    assert np.abs(read_dicom(as_bytes(file))[0].astype(int) - colours).max() <= 3


def test_patient_sex_and_age(tmp_path):
    tags = {"PatientSex": "F", "PatientAge": "075Y", "PatientName": "Doe^Jane"}
    dicom(tmp_path / "a", STORED, 12, **tags)
    assert read_patient(tmp_path / "a") == ("F", "075Y")
    (tmp_path / "b").write_bytes(deflated(dataset(STORED, 12, **tags)))
    assert read_patient(tmp_path / "b") == ("F", "075Y")
    dicom(tmp_path / "c", STORED, 12)
    assert read_patient(tmp_path / "c") == ("", "")
