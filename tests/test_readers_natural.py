"""Readers of natural images in folders and lists, on layouts as published and as people mangle them."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from medtransfer.datasets import reader
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from medtransfer.imaging.decode import decode
from tests.conftest import REALDATA
from tests.raw_layouts import images, put, read, reasons


def classes_and_splits(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    return sorted(zip(table["path"], table["class_name"], table["split"], strict=True))


# --- image folders


def test_image_folder_with_split_folders(tmp_path):
    put(tmp_path, images("train/a/1.png", "train/a/1.jpg", "train/a/deep/er/2.PNG", "valid/a/1.png", "Test/b/4.webp"))
    put(tmp_path, images("train/5.png", "b/6.png", "copy/train/a/7.png") | {"train/a/notes.txt": "no image"})
    reading = read("image_folder", tmp_path)
    assert classes_and_splits(reading.table) == [
        ("Test/b/4.webp", "b", "test"),
        ("train/a/1.jpg", "a", "train"),
        ("train/a/1.png", "a", "train"),
        ("train/a/deep/er/2.PNG", "a", "train"),
        ("valid/a/1.png", "a", "val"),
    ]
    assert set(reasons(reading)) == {"train/5.png", "b/6.png", "copy/train/a/7.png"}
    assert "<class>" in reasons(reading)["b/6.png"]


def test_split_folders_may_lie_deeper(tmp_path):
    put(tmp_path, images("set/v2/train/a/1.png", "set/v2/validation/b/2.png"))
    table = read("image_folder", tmp_path).table
    assert table["class_name"].tolist() == ["a", "b"] and table["split"].tolist() == ["train", "val"]


def test_without_val_a_tenth_of_train_is_val_by_hash_alone(tmp_path):
    put(tmp_path / "x", images(*(f"train/a/{number}.png" for number in range(400)), "test/a/0.png"))
    put(tmp_path / "y", images(*(f"deeper/train/a/{number}.jpg" for number in range(400))))
    first, second = (read("image_folder", tmp_path / name).table for name in "xy")
    assert first.set_index("image_id").loc["test/a/0", "split"] == "test"
    trained = first[first["image_id"] != "test/a/0"]
    assert 20 <= (trained["split"] == "val").sum() <= 60
    assert trained["split"].tolist() == second["split"].tolist()
    put(tmp_path / "x", images("val/a/new.png"))
    with_val = read("image_folder", tmp_path / "x").table["split"].value_counts()
    assert with_val.to_dict() == {"train": 400, "val": 1, "test": 1}


def test_without_split_folders_all_is_by_hash_and_train_can_be_a_class(tmp_path):
    put(
        tmp_path, images(*(f"{name}/{number}.png" for name in ("apple", "train") for number in range(300)), "loose.png")
    )
    reading = read("image_folder", tmp_path)
    assert reading.table["class_name"].value_counts().to_dict() == {"apple": 300, "train": 300}
    shares = reading.table["split"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.06)
    expected = split_by_hash(pd.Series(["apple/7"]), {"train": 0.7, "val": 0.1, "test": 0.2})[0]
    assert reading.table.set_index("image_id").loc["apple/7", "split"] == expected
    assert reasons(reading) == {"loose.png": "not in a folder of its class"}


@pytest.mark.parametrize("dataset", ["image_folder", "scenes", "imagenet_1k", "imagenet_21k", "caltech101"])
def test_a_folder_without_class_folders_is_an_error_that_shows_the_layout(dataset, tmp_path):
    put(tmp_path, images("1.png", "2.png"))
    with pytest.raises(UserError, match=r"(?s)Missing in .*Expected: "):
        read(dataset, tmp_path)


# --- ImageNet

KAGGLE = "ILSVRC/Data/CLS-LOC"
SOLUTION = "ImageId,PredictionString\nILSVRC2012_val_00000001,n01751748 111 108 230 366 n01751748 1 2 3 4 \n"
SOLUTION += "ILSVRC2012_val_00000002,n01440764 1 2 3 4\nILSVRC2012_val_00000003,fish 1 2 3 4\n"


def test_imagenet_1k_as_on_kaggle(tmp_path):
    train = [f"{KAGGLE}/train/n01440764/n01440764_{number}.JPEG" for number in range(500)]
    val = [f"{KAGGLE}/val/ILSVRC2012_val_0000000{number}.JPEG" for number in (1, 2, 3, 4)]
    put(tmp_path, images(*train, *val, f"{KAGGLE}/test/ILSVRC2012_test_00000001.JPEG"))
    put(tmp_path, images(f"{KAGGLE}/train/fish/a.JPEG", "thumbnail.png"))
    with pytest.raises(UserError, match=r"LOC_val_solution\.csv"):
        read("imagenet_1k", tmp_path)
    put(tmp_path, {"LOC_val_solution.csv": "\ufeff" + SOLUTION})
    reading = read("imagenet_1k", tmp_path)
    table = reading.table.set_index("image_id")
    assert table.loc[table["split"] == "test", "class_name"].to_dict() == {
        "ILSVRC2012_val_00000001": "n01751748",
        "ILSVRC2012_val_00000002": "n01440764",
    }
    assert (table.drop(["ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"])["class_name"] == "n01440764").all()
    assert 1 <= (table["split"] == "val").sum() <= 30 and (table["split"] == "train").sum() >= 470
    assert reasons(reading) == {
        "thumbnail.png": "neither in train/ nor in val/",
        val[2]: "not in LOC_val_solution.csv",
        val[3]: "not in LOC_val_solution.csv",
        f"{KAGGLE}/test/ILSVRC2012_test_00000001.JPEG": "no public class",
        f"{KAGGLE}/train/fish/a.JPEG": "not in a folder <wnid>/",
    }


def test_imagenet_1k_in_folders_needs_no_table(tmp_path):
    put(tmp_path, images("train/n01440764/n01440764_1.JPEG", "val/n01751748/ILSVRC2012_val_00000001.JPEG"))
    table = read("imagenet_1k", tmp_path).table
    assert classes_and_splits(table)[1] == ("val/n01751748/ILSVRC2012_val_00000001.JPEG", "n01751748", "test")


def test_imagenet_1k_with_a_broken_solution_names_the_column(tmp_path):
    put(tmp_path, images("val/ILSVRC2012_val_00000001.JPEG") | {"LOC_val_solution.csv": "ImageId,boxes\na,b\n"})
    with pytest.raises(UserError, match="PredictionString"):
        read("imagenet_1k", tmp_path)


def test_imagenet_21k(tmp_path):
    put(tmp_path, images(*(f"winter21_whole/n00004475/n00004475_{n}.JPEG" for n in range(600)), "n1/a.JPEG"))
    reading = read("imagenet_21k", tmp_path)
    assert (reading.table["class_name"] == "n00004475").all() and len(reading.table) == 600
    assert set(reading.table["split"]) == {"train", "val"} and (reading.table["split"] == "val").sum() <= 20
    assert reasons(reading) == {"n1/a.JPEG": "not in a folder <wnid>/"}


# --- Flowers-102


def mat(**variables: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables)
    return buffer.getvalue()


LABELS = np.array([[77, 1, 102, 5, 103, 6, 7, 8]], dtype=np.uint8)
SETS = {"trnid": np.array([[1, 7]]), "valid": np.array([[2, 7]]), "tstid": np.array([[5, 4, 3, 8]])}


def flowers(raw: Path) -> Path:
    put(raw, {"imagelabels.mat": mat(labels=LABELS), "setid.mat": mat(**SETS)})
    return put(raw, images(*(f"jpg/image_{number:05d}.jpg" for number in (1, 2, 3, 4, 5, 6, 7, 9))))


def test_flowers102(tmp_path):
    reading = read("flowers102", flowers(tmp_path))
    assert classes_and_splits(reading.table) == [
        ("jpg/image_00001.jpg", "class077", "train"),
        ("jpg/image_00002.jpg", "class001", "val"),
        ("jpg/image_00003.jpg", "class102", "test"),
        ("jpg/image_00004.jpg", "class005", "test"),
    ]
    assert reasons(reading) == {
        "image_00005": "a label that is not 1 to 102",
        "image_00006": "not in exactly one of trnid, valid, tstid",
        "image_00007": "not in exactly one of trnid, valid, tstid",
        "image_00008": ABSENT,
        "jpg/image_00009.jpg": "not listed in imagelabels.mat",
    }


def test_flowers102_swapped_trains_on_the_official_test_images(tmp_path):
    numbers = np.arange(1, 401)
    sets = {"trnid": numbers[:10], "valid": numbers[10:20], "tstid": numbers[20:]}
    put(tmp_path, {"imagelabels.mat": mat(labels=np.ones(400)), "setid.mat": mat(**sets)})
    put(tmp_path, images(*(f"jpg/image_{number:05d}.jpg" for number in numbers)))
    split = reader("flowers102").read(tmp_path, split="swapped").table["split"]
    assert (split[:20] == "test").all() and not (split[20:] == "test").any()
    assert 15 <= (split == "val").sum() <= 65


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("setid.mat", mat(trnid=SETS["trnid"], valid=SETS["valid"]), r"setid\.mat has no variable tstid"),
        ("imagelabels.mat", mat(label=LABELS), r"imagelabels\.mat has no variable labels"),
        ("imagelabels.mat", mat(labels=LABELS + 0.5), "labels does not hold whole numbers"),
        ("imagelabels.mat", mat(labels=np.array(["a"])), "labels does not hold whole numbers"),
        ("setid.mat", mat(**SETS)[:150], r"setid\.mat is not a readable MATLAB file"),
        ("setid.mat", b"<html>moved</html>", r"setid\.mat is not a readable MATLAB file"),
        ("setid.mat", b"", r"setid\.mat is not a readable MATLAB file"),
    ],
)
def test_flowers102_with_a_broken_table_names_it(file, content, message, tmp_path):
    put(flowers(tmp_path), {file: content})
    with pytest.raises(UserError, match=message):
        read("flowers102", tmp_path)


# --- Pets


def test_pets(tmp_path):
    trainval = "\ufeff#Image CLASS-ID SPECIES BREED ID\r\n" + "".join(f"Abyssinian_{n} 1 1 1\r\n" for n in range(200))
    trainval += "great_pyrenees_1 2 2 1\r\n\r\nnonsense 1 1 1\r\ngreat_pyrenees_2 2 2 1\r\nAbyssinian_0 1 1 1\r\n"
    put(tmp_path, {"annotations/trainval.txt": trainval})
    put(tmp_path, {"annotations/test.txt": "great_pyrenees_2 2 2 1\nAbyssinian_201 1 1 1\nAbyssinian_202 1 1 1"})
    put(
        tmp_path,
        images(*(f"images/Abyssinian_{n}.jpg" for n in (*range(200), 201, 999)), "images/great_pyrenees_1.png"),
    )
    put(tmp_path, images("images/nonsense.jpg", "images/great_pyrenees_2.jpg", "annotations/trimaps/Abyssinian_0.png"))
    reading = read("pets", tmp_path)
    table = reading.table.set_index("image_id")
    assert table["class_name"].value_counts().to_dict() == {"Abyssinian": 201, "great_pyrenees": 1}
    assert table["split"].eq("test").sum() == 1 and table.loc["Abyssinian_201", "split"] == "test"
    assert 5 <= table["split"].eq("val").sum() <= 40
    assert reasons(reading) == {
        "nonsense": "no <Breed_name>_<number>",
        "great_pyrenees_2": "in trainval.txt and in test.txt",
        "Abyssinian_0": "listed more than once; the first row counts",
        "Abyssinian_202": ABSENT,
        "images/Abyssinian_999.jpg": "not listed in trainval.txt or test.txt",
    }
    (tmp_path / "annotations/test.txt").unlink()
    with pytest.raises(UserError, match=r"test\.txt"):
        read("pets", tmp_path)


# --- Caltech-101


def test_caltech101(tmp_path):
    root = "caltech-101/101_ObjectCategories"
    faces = [f"{root}/{name}/image_{n:04d}.jpg" for name in ("Faces", "Faces_easy") for n in range(100)]
    put(tmp_path, images(*faces, f"{root}/ant/image_0001.jpg", f"{root}/BACKGROUND_Google/image_0001.jpg", "logo.png"))
    reading = read("caltech101", tmp_path)
    table = reading.table.set_index("image_id")
    assert table["class_name"].value_counts().to_dict() == {"Faces": 100, "Faces_easy": 100, "ant": 1}
    twins = [table[table["class_name"] == name]["split"].tolist() for name in ("Faces", "Faces_easy")]
    assert twins[0] == twins[1] and set(twins[0]) == {"train", "val", "test"}
    assert reasons(reading) == {
        f"{root}/BACKGROUND_Google/image_0001.jpg": "BACKGROUND_Google is no class",
        "logo.png": "not in a folder of its class",
    }


@pytest.mark.realdata
def test_real_caltech101_images_have_the_class_that_the_bundle_names_and_decode():
    files = pd.read_csv(REALDATA / "caltech101" / "files.csv")
    reading = read("caltech101", REALDATA / "caltech101")
    assert reading.rejected.empty
    named = dict(zip(files["bundle_path"].str.removeprefix("caltech101/"), files["label"], strict=True))
    assert reading.table.set_index("path")["class_name"].to_dict() == named
    assert reading.table["class_name"].nunique() == 74
    shares = reading.table["split"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"train": 0.6, "val": 0.2, "test": 0.2}, abs=0.04)
    for path in reading.table["path"][::50]:
        assert min(decode(REALDATA / "caltech101", path, 3).shape[:2]) > 60
    as_folder = read("image_folder", REALDATA / "caltech101" / "images").table
    assert as_folder["class_name"].nunique() == 74 and len(as_folder) == len(reading.table)
