"""Readers and decoders on real images: counts, labels and pixels of the bundle of real data."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtransfer.datasets import reader
from medtransfer.datasets.base import ABSENT, Reading
from medtransfer.imaging.chunk import Form
from medtransfer.imaging.decode import decode
from medtransfer.imaging.store import build_store, store_facts
from tests.conftest import REALDATA

pytestmark = pytest.mark.realdata

# dataset: rows listed, images in the table, images that would be but are not on disk
COUNTS = {
    "nih_cxr14": (112_120, 794, 111_326),
    "covid_chestxray": (751, 527, 11),
    "figure1": (55, 40, 0),
    "actualmed": (238, 44, 141),
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
    failures, _ = build_store(REALDATA / "figure1", paths, Form(1, 64), tmp_path / "a.npy", tmp_path / "scratch", 2)
    assert [row for row, _ in failures] == [40]
    pixels = np.load(tmp_path / "a.npy")
    assert pixels.shape == (41, 64, 64) and (pixels[:40].std(axis=(1, 2)) > 10).all() and not pixels[40].any()
    assert store_facts(tmp_path / "a.npy")["sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
