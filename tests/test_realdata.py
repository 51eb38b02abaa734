"""Readers and decoders on real images: counts, labels and pixels of the bundle of real data."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

from medtransfer.datasets import reader
from medtransfer.datasets.base import ABSENT, Reading
from medtransfer.imaging.decode import decode
from medtransfer.imaging.dicom import read_patient
from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.store import build_store, store_facts
from tests.conftest import REALDATA

pytestmark = pytest.mark.realdata

# dataset: rows listed, images in the table, images not on disk
COUNTS = {
    "nih_cxr14": (112_120, 794, 111_326),
    "covid_chestxray": (751, 527, 98),
    "figure1": (55, 40, 0),
    "actualmed": (238, 44, 184),
    "ham10000": (10_015, 1_826, 8_189),
    "cifar10": (12_000, 12_000, 0),
    "cifar100": (12_500, 12_500, 0),
}


def read(dataset: str) -> Reading:
    return reader(dataset).read(REALDATA / dataset)


@pytest.mark.parametrize("dataset", COUNTS)
def test_every_listed_row_is_accounted_for(dataset):
    listed, taken, absent = COUNTS[dataset]
    reading = read(dataset)
    assert len(reading.table) == taken
    assert (reading.rejected["reason"] == ABSENT).sum() == absent
    assert len(reading.table) + len(reading.rejected) == listed
    assert not reading.table["path"].str.contains("originals_sample").any()


@pytest.mark.parametrize("dataset", ["nih_cxr14", "covid_chestxray", "actualmed", "figure1", "ham10000"])
def test_the_image_found_for_a_row_is_the_one_that_the_bundle_names(dataset):
    files = pd.read_csv(REALDATA / dataset / "files.csv")
    key = next(column for column in ("filename", "Image Index", "image_id") if column in files)
    named = files.assign(stem=files[key].map(lambda name: name.removesuffix(Path(name).suffix)))
    expected = named.set_index("stem")["bundle_path"].str.removeprefix(f"{dataset}/").to_dict()
    table = read(dataset).table
    assert table.set_index("image_id")["path"].to_dict().items() <= expected.items()


def test_labels_agree_with_the_tables_beside_the_images():
    nih = pd.read_csv(REALDATA / "nih_cxr14" / "files.csv")
    table = read("nih_cxr14").table
    assert table["pneumonia"].sum() == nih["Finding Labels"].str.contains("Pneumonia").sum()
    assert table["no_finding"].sum() == (nih["Finding Labels"] == "No Finding").sum()
    assert table["patient_id"].nunique() == 546
    ham = pd.read_csv(REALDATA / "ham10000" / "files.csv")
    labels = list(reader("ham10000").LABELS)
    assert read("ham10000").table[labels].sum().to_dict() == ham["dx"].value_counts().to_dict()


def catalogue() -> list[dict]:
    return pd.read_csv(REALDATA / "dicom" / "catalog.csv").to_dict("records") if REALDATA.is_dir() else []


NOT_ONE_FILM = ("examples_ybr_color", "OBXXXX1A_rle_2frame", "liver_nonbyte", "parametric_map_float")


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: Path(entry["bundle_path"]).name)
def test_dicom_files(entry):
    path = entry["bundle_path"]
    jpeg12 = entry["transfer_syntax"] == "1.2.840.10008.1.2.4.51"  # GDCM reads all of these, pydicom none
    if (entry["decode"] == "ok" and not any(name in path for name in NOT_ONE_FILM)) or jpeg12:
        grey = decode(REALDATA, path, 1)
        assert grey.dtype == np.uint8 and grey.shape == (entry["Rows"], entry["Columns"])
        if entry["min"] < entry["max"]:
            assert grey.min() < grey.max() or entry["PixelRepresentation"] == 1
    else:
        with pytest.raises(DecodeError) as caught:
            decode(REALDATA, path, 1)
        assert len(str(caught.value)) > 10 and "0x" not in str(caught.value)


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


def test_twelve_bit_jpeg_looks_like_its_jpeg_2000_twin():
    films = [decode(REALDATA, f"dicom/rob/WG04_{name}", 1).astype(int) for name in ("JPLY_RG3_JPLY", "J2KI_RG3_J2KI")]
    assert np.abs(films[0] - films[1]).mean() < 2


def test_a_monochrome1_film_is_the_negative_of_its_twin():
    twin = "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm"
    films = [decode(REALDATA, f"dicom/txv/{name}", 1).astype(int) for name in (twin, "Fake_MONOHR1.dcm")]
    assert (films[0] + films[1] == 255).all()


def test_patient_of_a_dicom_header():
    assert read_patient(REALDATA / "dicom" / "rob" / "WG04_J2KI_MG1_J2KI") == ("F", "075Y")
    assert read_patient(REALDATA / "dicom" / "rob" / "WG04_J2KI_XA1_J2KI") == ("", "")


@pytest.mark.parametrize("folder", ["nih_cxr14", "covid_chestxray", "mini_mias"])
def test_originals_with_alpha_wrong_suffix_or_unusual_format(folder):
    for path in sorted((REALDATA / folder / "originals_sample").iterdir()):
        film = decode(REALDATA, path.relative_to(REALDATA).as_posix(), 1)
        with Image.open(path) as opened:
            assert film.shape == opened.size[::-1] and film.std() > 10
            if opened.mode == "RGBA" and np.asarray(opened)[:, :, 3].min() == 255:
                grey = np.asarray(opened.convert("RGB").convert("L"))
                assert (film == grey).all()


def test_image_store_of_a_real_cohort(tmp_path):
    table = read("figure1").table
    paths = [*table["path"], "metadata.csv"]
    failures = build_store(REALDATA / "figure1", paths, 1, 64, tmp_path / "a.npy", 2)
    assert [row for row, _ in failures] == [40]
    pixels = np.load(tmp_path / "a.npy")
    assert pixels.shape == (41, 64, 64) and (pixels[:40].std(axis=(1, 2)) > 10).all() and not pixels[40].any()
    assert store_facts(tmp_path / "a.npy")["sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
