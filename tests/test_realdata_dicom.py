"""Decoding of real DICOM files: stored values by the bundle's catalogue, films by their header, and what is noted."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

from medtransfer.imaging.decode import decode, decode_noting
from medtransfer.imaging.dicom import read_patient, stored_pixels
from medtransfer.imaging.dicom.checks import INVERTED, looks_inverted
from medtransfer.imaging.dicom.pixels import SIGNED
from medtransfer.imaging.errors import DecodeError
from tests.conftest import REALDATA

pytestmark = pytest.mark.realdata

JPEG12 = "1.2.840.10008.1.2.4.51"
REFUSED = {
    "MR_truncated.dcm": "cut short: 8130 of 8192 bytes",
    "JPEG2000-embedded-sequence-delimiter.dcm": "JPEG 2000 codestream of more than 65535 tiles",
    "badVR.dcm": "number of frames '1A' is not a number",
    "no_meta.dcm": "begins with the bytes 20 08 00 05, not DICOM",  # a stray byte before its first tag
    "meta_missing_tsyntax.dcm": "without PhotometricInterpretation",
    "nested_priv_SQ.dcm": "without PhotometricInterpretation",
    "ExplVR_BigEndNoMeta.dcm": "without pixel data",
    "rtplan_truncated.dcm": "without pixel data",
    "reportsi.dcm": "without pixel data",
    "zipMR.gz": "gzip file, not DICOM",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "cut short: the file ends within them",
    "liver_nonbyte_aligned_rle.dcm": "RLE pixel data of 1 bit",
}


def catalogue() -> list[dict]:
    return pd.read_csv(REALDATA / "dicom" / "catalog.csv").to_dict("records") if REALDATA.is_dir() else []


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: Path(entry["bundle_path"]).name)
def test_stored_values_are_those_of_the_catalogue_or_the_reason_is_true(entry):
    path = REALDATA / entry["bundle_path"]
    if path.name in REFUSED:
        assert entry["decode"] != "ok"
        with pytest.raises(DecodeError, match=REFUSED[path.name]):
            stored_pixels(path.read_bytes())
        return
    pixels = stored_pixels(path.read_bytes())
    if entry["transfer_syntax"] == JPEG12:  # the catalogue's decoder read one of these, and rounds otherwise
        assert pixels.shape == (entry["Rows"], entry["Columns"])
        assert pd.isna(entry["max"]) or (pixels.min(), pixels.max()) == (entry["min"], entry["max"])
        return
    ordered = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    assert hashlib.sha256(ordered.tobytes()).hexdigest() == entry["pixel_sha256"]


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: Path(entry["bundle_path"]).name)
def test_every_file_is_shown_or_refused(entry):
    path, frames = entry["bundle_path"], entry["NumberOfFrames"]
    if Path(path).name in REFUSED:
        with pytest.raises(DecodeError):
            decode(REALDATA, path, 1)
        return
    if frames in (2, 30, "2", "30"):
        with pytest.raises(DecodeError, match=f"{int(frames)} frames"):
            decode(REALDATA, path, 1)
        path = f"{path}#{int(frames) - 1}"
    grey = decode(REALDATA, path, 1)
    assert grey.dtype == np.uint8 and grey.shape == (entry["Rows"], entry["Columns"]) and grey.min() < grey.max()


@pytest.mark.parametrize(
    ("name", "n_frames"), [("pydicom/examples_ybr_color.dcm", 30), ("pdata/OBXXXX1A_rle_2frame.dcm", 2)]
)
def test_frames_are_those_of_the_whole(name, n_frames):
    path = REALDATA / "dicom" / name
    whole = stored_pixels(path.read_bytes())
    header = pydicom.dcmread(path)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        whole = pydicom.pixels.apply_color_lut(whole, header) // 257
    for frame in (0, n_frames - 1):
        shown = decode(REALDATA, f"dicom/{name}#{frame}", 3)
        assert np.abs(shown.astype(int) - whole[frame]).max() <= 1


@pytest.mark.parametrize("name", ["WG04_J2KI_RG1_J2KI", "WG04_J2KI_RG3_J2KI", "WG04_JLSN_RG2_JLSN"])
def test_films_follow_the_window_of_their_header(name):
    header = pydicom.dcmread(REALDATA / "dicom" / "rob" / name)
    stored = header.pixel_array.astype(float)
    grey = 255 * ((stored - (header.WindowCenter - 0.5)) / (header.WindowWidth - 1) + 0.5).clip(0, 1)
    if header.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    assert np.abs(decode(REALDATA, f"dicom/rob/{name}", 1) - grey).max() <= 0.51


def test_the_same_image_in_several_transfer_syntaxes():
    names = ("bigendian", "implicit", "RLE", "jpeg_ls_lossless", "jp2klossless", "padded")
    images = [decode(REALDATA, f"dicom/pydicom/MR_small_{name}.dcm", 1) for name in names]
    assert all((image == images[0]).all() for image in images)


@pytest.mark.parametrize(
    ("name", "twin", "mean"),
    [
        ("rob/WG04_JPLY_RG3_JPLY", "rob/WG04_J2KI_RG3_J2KI", 2),  # 10 bits, both lossy
        ("pydicom/JPGExtended.dcm", "rob/WG04_JPLL_NM1_JPLL", 3),  # the twin is lossless
        ("pydicom/JPEG-lossy.dcm", "rob/WG04_JPLL_NM1_JPLL", 3),
    ],
)
def test_twelve_bit_jpeg_holds_what_its_twin_of_another_codec_holds(name, twin, mean):
    pixels, others = (stored_pixels((REALDATA / "dicom" / path).read_bytes()).astype(int) for path in (name, twin))
    assert np.abs(pixels - others).mean() < mean and np.abs(pixels - others).max() < 50


def test_signs_that_contradict_the_header_are_noted():
    assert decode_noting(REALDATA, "dicom/pydicom/J2K_pixelrep_mismatch.dcm", 1).notes == (SIGNED,)


def test_a_monochrome1_film_that_is_none_is_noted_and_others_are_not():
    twin = "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm"
    plain, fake = (decode_noting(REALDATA, f"dicom/txv/{name}", 1) for name in (twin, "Fake_MONOHR1.dcm"))
    assert (plain.pixels + fake.pixels == 255).all()
    assert plain.notes == () and fake.notes == (INVERTED,)
    for name in ("J2KI_RG1_J2KI", "J2KI_RG3_J2KI", "JPLY_RG3_JPLY", "JLSN_RG2_JLSN", "J2KI_MG1_J2KI"):
        assert INVERTED not in decode_noting(REALDATA, f"dicom/rob/WG04_{name}", 1).notes


@pytest.mark.parametrize(("folder", "told"), [("nih_cxr14", 0.7), ("figure1", 0.5), ("mini_mias", 0.9)])
def test_inverted_films_are_told_from_others(folder, told):
    films = [
        np.asarray(Image.open(path).convert("L")) for path in sorted((REALDATA / folder / "images").iterdir())[:300]
    ]
    assert np.mean([looks_inverted(film) for film in films]) < 0.01
    assert np.mean([looks_inverted(255 - film) for film in films]) > told


def test_patient_of_a_dicom_header():
    assert read_patient(REALDATA / "dicom" / "rob" / "WG04_J2KI_MG1_J2KI") == ("F", "075Y")
    assert read_patient(REALDATA / "dicom" / "rob" / "WG04_J2KI_XA1_J2KI") == ("", "")
