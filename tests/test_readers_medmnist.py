"""Readers of MedMNIST, on small archives in its layout and on hostile ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medtransfer.datasets import known_datasets, reader
from medtransfer.datasets import read as read_with
from medtransfer.errors import UserError
from medtransfer.imaging.decode import decode
from tests.raw_layouts import read, reasons

SETS = [name for name in known_datasets() if name.endswith("mnist")]
# Classes, or findings, and channels, as the MedMNIST paper has them (Yang et al. 2023, table 2).
PUBLISHED = {
    **{"pathmnist": (9, 3), "chestmnist": (14, 1), "dermamnist": (7, 3), "octmnist": (4, 1), "pneumoniamnist": (2, 1)},
    **{"retinamnist": (5, 3), "breastmnist": (2, 1), "bloodmnist": (8, 3), "tissuemnist": (8, 1)},
    **{f"organ{view}mnist": (11, 1) for view in "acs"},
}


def arrays(flag: str, pixels: int = 28, n: int = 12) -> dict[str, Any]:
    """The arrays of an archive, labels running through all classes."""
    classes, channels = PUBLISHED[flag]
    rng = np.random.default_rng(pixels)
    shape = (n, pixels, pixels) if channels == 1 else (n, pixels, pixels, 3)
    content: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        content[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        several = rng.integers(0, 2, (n, classes), dtype=np.uint8)
        content[f"{split}_labels"] = (
            several if flag == "chestmnist" else np.arange(n, dtype=np.uint8)[:, None] % classes
        )
    return content


def archive(raw: Path, flag: str, pixels: int = 28, **changes: Any) -> Path:
    file = raw / (f"{flag}.npz" if pixels == 28 else f"{flag}_{pixels}.npz")
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **(arrays(flag, pixels) | changes))
    return file


def test_the_twelve_two_dimensional_sets_are_there():
    assert set(SETS) == set(PUBLISHED)


@pytest.mark.parametrize("flag", PUBLISHED)
def test_every_set_has_its_classes_splits_and_images(flag, tmp_path):
    archive(tmp_path / "unpacked", flag)
    reading = read(flag, tmp_path)
    table, content, module = reading.table, arrays(flag), reader(flag)
    classes, channels = PUBLISHED[flag]
    assert channels == module.CHANNELS and len(module.LABELS) == (1 if flag == "breastmnist" else classes)
    assert table["split"].value_counts().to_dict() == {"train": 12, "val": 12, "test": 12} and reading.rejected.empty
    assert table["image_id"].tolist()[12] == "val_0" and table["patient_id"].is_unique
    assert table["path"][17] == f"unpacked/{flag}.npz/val_images#5"
    assert (decode(tmp_path, table["path"][17], channels) == content["val_images"][5]).all()
    if flag not in ("chestmnist", "breastmnist"):
        assert (table[list(module.LABELS)].sum(axis=1) == 1).all()
        numbers = np.concatenate([content[f"{split}_labels"][:, 0] for split in ("train", "val", "test")])
        assert (table[list(module.LABELS)].to_numpy().argmax(axis=1) == numbers).all()


def test_class_zero_of_breastmnist_is_malignant(tmp_path):
    archive(tmp_path, "breastmnist", train_labels=np.array([0] * 4 + [1] * 8, np.uint8)[:, None])
    assert read("breastmnist", tmp_path).table["malignant"].tolist()[:12] == [1] * 4 + [0] * 8


def test_findings_of_chestmnist_are_those_of_the_films_they_were_made_from(tmp_path):
    archive(tmp_path, "chestmnist")
    findings = list(reader("chestmnist").LABELS)
    assert findings == [label for label in reader("nih_cxr14").LABELS if label != "no_finding"]
    table = read("chestmnist", tmp_path).table
    assert (table.loc[table["split"] == "test", findings].to_numpy() == arrays("chestmnist")["test_labels"]).all()


def test_the_largest_size_that_is_there_is_taken_unless_one_is_named(tmp_path):
    for pixels in (28, 64):
        archive(tmp_path, "bloodmnist", pixels)
    assert read("bloodmnist", tmp_path).table["path"][0] == "bloodmnist_64.npz/train_images#0"
    small = read_with("bloodmnist", tmp_path, {"size": "28"}).table
    assert small["path"][0] == "bloodmnist.npz/train_images#0"
    assert small["image_id"].tolist() == read("bloodmnist", tmp_path).table["image_id"].tolist()
    with pytest.raises(UserError, match=r"(?s)Missing in .*: bloodmnist_224\.npz\..*Expected"):
        read_with("bloodmnist", tmp_path, {"size": "224"})
    with pytest.raises(UserError, match="size: 32"):
        read_with("bloodmnist", tmp_path, {"size": "32"})


def test_an_unknown_label_is_a_row_that_is_listed_with_its_reason(tmp_path):
    labels = arrays("octmnist")["val_labels"].copy()
    labels[3] = 4
    archive(tmp_path, "octmnist", val_labels=labels)
    reading = read("octmnist", tmp_path)
    assert len(reading.table) == 35
    assert reasons(reading) == {"octmnist.npz/val_images#3": "a label that is not 0 to 3"}
    several = arrays("chestmnist")["val_labels"].copy()
    several[3, 2] = 2
    archive(tmp_path, "chestmnist", val_labels=several)
    assert reasons(read("chestmnist", tmp_path)) == {"chestmnist.npz/val_images#3": "a label that is not 1 or 0"}


IMAGES = arrays("octmnist")["val_images"]
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "pickled labels": ({"val_labels": np.array([[object]] * 12, dtype=object)}, "val_labels is pickled"),
    "pickled images": ({"val_images": np.array([None] * 12, dtype=object)}, "val_images is pickled"),
    "Fortran order": ({"val_images": np.asfortranarray(IMAGES)}, "C order"),
    "float images": ({"val_images": IMAGES / 255}, "float64"),
    "volumes": ({"val_images": IMAGES[:, None]}, "not uint8 images"),
    "fewer labels": ({"val_labels": np.zeros((11, 1), np.uint8)}, r"\[11, 1\], not whole numbers \[12, 1\]"),
    "labels of another set": ({"val_labels": np.zeros((12, 14), np.uint8)}, r"not whole numbers \[12, 1\]"),
    "labels as a row": ({"val_labels": np.zeros(12, np.uint8)}, r"not whole numbers \[12, 1\]"),
    "labels as text": ({"val_labels": np.full((12, 1), "cnv")}, "not whole numbers"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_archive_that_is_not_as_published_is_an_error_that_names_it(name, tmp_path):
    changes, reason = CHANGES[name]
    archive(tmp_path, "octmnist", **changes)
    with pytest.raises(UserError, match=rf"octmnist\.npz is not as published: .*{reason}.*Fetch it again from https"):
        read("octmnist", tmp_path)


def test_a_missing_array_is_named(tmp_path):
    np.savez(tmp_path / "octmnist.npz", **{k: v for k, v in arrays("octmnist").items() if k != "test_labels"})
    with pytest.raises(UserError, match=r"no test_labels\.npy, only train_images\.npy"):
        read("octmnist", tmp_path)


@pytest.mark.parametrize("keep", [0, 100, -30])
def test_a_truncated_archive_is_an_error_that_names_it(keep, tmp_path):
    file = archive(tmp_path, "octmnist")
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"octmnist\.npz is not as published"):
        read("octmnist", tmp_path)


def test_large_sets_are_listed_without_reading_their_images(tmp_path):
    """The middle of the images is damaged, which only decoding notices."""
    file = archive(tmp_path, "octmnist", train_images=np.random.default_rng(0).integers(0, 256, (12, 90, 90), np.uint8))
    content = bytearray(file.read_bytes())
    content[40_000:40_100] = bytes(100)
    file.write_bytes(content)
    assert len(read("octmnist", tmp_path).table) == 36
