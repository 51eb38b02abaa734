"""Readers of skin and natural images, on raw layouts as published and as people mangle them."""

import pickle

import numpy as np
import pandas as pd
import pytest

from medtransfer.datasets._raw import RawFolder
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons


def test_ham10000(tmp_path):
    table = "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
    table += "HAM_1,ISIC_1,nv,histo,45.0,male,back\nHAM_1,ISIC_2,nv,histo,45.0,male,back\n"
    table += "HAM_2,ISIC_3,xyz,histo,,unknown,back\n"
    put(tmp_path, {"HAM10000_metadata": table})
    put(
        tmp_path,
        images(
            "HAM10000_images_part_1/ISIC_1.jpg", "HAM10000_images_part_2/ISIC_2.JPG", "ISIC_3.jpg", "copy/ISIC_1.png"
        ),
    )
    reading = read("ham10000", tmp_path)
    assert reading.table["path"].tolist() == ["HAM10000_images_part_1/ISIC_1.jpg", "HAM10000_images_part_2/ISIC_2.JPG"]
    assert reading.table["patient_id"].tolist() == ["HAM_1", "HAM_1"]
    assert reading.table["nv"].tolist() == [1, 1] and reading.table["mel"].tolist() == [0, 0]
    assert reasons(reading) == {
        "ISIC_3": "unknown diagnosis 'xyz'",
        "copy/ISIC_1.png": "HAM10000_images_part_1/ISIC_1.jpg has the same name and is used",
    }


def test_isic_2019(tmp_path):
    put(
        tmp_path,
        {
            "ISIC_2019_Training_GroundTruth.csv": "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
            "ISIC_1,0.0,1.0,0,0,0,0,0,0,0\nISIC_2_downsampled,1,0,0,0,0,0,0,0,0\nISIC_3,0,0,0,0,0,0,0,0,1\nISIC_4,1,1,0,0,0,0,0,0,0\n",
            "ISIC_2019_Training_Metadata.csv": "image,age_approx,anatom_site_general,lesion_id,sex\n"
            "ISIC_1,55.0,anterior torso,HAM_0000118,female\nISIC_2_downsampled,,,,\nISIC_9,5,,BCN_1,male\n",
        },
    )
    put(
        tmp_path,
        images(
            *(
                f"ISIC_2019_Training_Input/{name}.jpg"
                for name in ("ISIC_1", "ISIC_2_downsampled", "ISIC_3", "ISIC_4", "ISIC_9")
            )
        ),
    )
    reading = read("isic_2019", tmp_path)
    table = reading.table.set_index("image_id")
    assert table["patient_id"].tolist() == ["HAM_0000118", "ISIC_2_downsampled"]
    assert table["site"].tolist() == ["HAM", "other"]
    assert table["mel"].tolist() == [0, 1] and table.loc["ISIC_1", "age"] == 55
    assert reasons(reading) == {
        "ISIC_3": "diagnosis UNK",
        "ISIC_4": "not exactly one diagnosis",
        "ISIC_9": "no diagnosis in ISIC_2019_Training_GroundTruth.csv",
    }


def test_ham10000_lesions_are_in_the_same_split_in_isic_2019(tmp_path):
    lesions = [f"HAM_{number:07d}" for number in range(50)]
    put(tmp_path / "ham", images(*(f"I{n}.jpg" for n in range(50))))
    put(tmp_path / "isic", images(*(f"I{n}.jpg" for n in range(50))))
    ham = "".join(f"{lesion},I{n},nv,,,\n" for n, lesion in enumerate(lesions))
    put(tmp_path / "ham", {"HAM10000_metadata.csv": "lesion_id,image_id,dx,age,sex,x\n" + ham})
    truth = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC\n" + "".join(f"I{n},0,1,0,0,0,0,0,0\n" for n in range(50))
    metadata = "image,age_approx,lesion_id,sex\n" + "".join(f"I{n},,{lesion},\n" for n, lesion in enumerate(lesions))
    put(tmp_path / "isic", {"ISIC_2019_Training_GroundTruth.csv": truth, "ISIC_2019_Training_Metadata.csv": metadata})
    splits = [
        read(name, tmp_path / folder).table.set_index("patient_id")["split"].to_dict()
        for name, folder in (("ham10000", "ham"), ("isic_2019", "isic"))
    ]
    assert splits[0] == splits[1]


def test_pad_ufes_20(tmp_path):
    table = "patient_id,lesion_id,age,gender,fitspatrick,diagnostic,img_id\n"
    table += "PAT_1,1,55,FEMALE,3.0,ACK,PAT_1_1_1.png\nPAT_1,2,55,FEMALE,,SEK,PAT_1_2_2.png\n"
    table += "PAT_2,3,8,,9,WART,PAT_2_3_3.png\n"
    put(
        tmp_path,
        {"metadata.csv": table} | images(*(f"images/imgs_part_1/PAT_{n}.png" for n in ("1_1_1", "1_2_2", "2_3_3"))),
    )
    reading = read("pad_ufes_20", tmp_path)
    assert reading.table["ak"].tolist() == [1, 0] and reading.table["bkl"].tolist() == [0, 1]
    assert reading.table["skin_type"].fillna("?").tolist() == ["III", "?"]
    assert (reading.table["split"] == "test").all() and (reading.table["sex"] == "female").all()
    assert reasons(reading) == {"PAT_2_3_3.png": "unknown diagnosis 'WART'"}


def cifar_files(labels: list[int], kind: str) -> bytes:
    pixels = np.zeros((len(labels), 3072), np.uint8)
    if kind == "pickle":
        return pickle.dumps({b"labels": labels, b"data": pixels}, protocol=2)
    return np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1).tobytes()


def test_cifar10_in_its_official_layouts(tmp_path):
    classes = ["cat", "dog"]
    binary = {f"cifar-10-batches-bin/data_batch_{n}.bin": cifar_files([0, 1, n], "binary") for n in range(1, 6)}
    binary["cifar-10-batches-bin/test_batch.bin"] = cifar_files([1], "binary")
    put(tmp_path / "a", binary | {"cifar-10-batches-bin/batches.meta.txt": "cat\ndog\n\n"})
    pickled = {name.replace("-bin/", "-py/").removesuffix(".bin"): cifar_files([0, 1, 1], "pickle") for name in binary}
    meta = pickle.dumps({b"label_names": [name.encode() for name in classes]}, protocol=2)
    put(tmp_path / "b", pickled | {"cifar-10-batches-py/batches.meta": meta})
    reading = read("cifar10", tmp_path / "a")
    assert len(reading.table) == 12 and len(reading.rejected) == 4  # labels 2 to 5 have no name
    assert reading.table["class_name"].tolist()[:2] == classes
    assert reading.table["path"].iloc[1] == "cifar-10-batches-bin/data_batch_1.bin#1"
    assert reading.table.groupby("split").size()["test"] == 1
    assert len(read("cifar10", tmp_path / "b").table) == 18
    (tmp_path / "a/cifar-10-batches-bin/data_batch_3.bin").write_bytes(b"12345")
    with pytest.raises(UserError, match=r"data_batch_3\.bin: 5 bytes"):
        read("cifar10", tmp_path / "a")
    (tmp_path / "a/cifar-10-batches-bin/data_batch_3.bin").unlink()
    with pytest.raises(UserError, match=r"data_batch_3\.bin"):
        read("cifar10", tmp_path / "a")


def test_cifar100_takes_the_fine_label(tmp_path):
    record = bytes([9, 1]) + bytes(3072)
    put(tmp_path, {"train.bin": record * 3, "test.bin": record, "fine_label_names.txt": "apple\nbear\n"})
    reading = read("cifar100", tmp_path)
    assert reading.table["class_name"].tolist() == ["bear"] * 4
    for name in ("train", "test"):
        (tmp_path / f"{name}.bin").unlink()
        pd.DataFrame({"image_bytes": [b""], "label_name": ["bear"]}).to_parquet(tmp_path / f"{name}_x.parquet")
    assert sorted(read("cifar100", tmp_path).table["path"]) == ["test_x.parquet#0", "train_x.parquet#0"]
    pd.DataFrame({"image": [b""]}).to_parquet(tmp_path / "test_x.parquet")
    with pytest.raises(UserError, match="lacks the columns image_bytes, label_name"):
        read("cifar100", tmp_path)


def test_scenes(tmp_path):
    put(
        tmp_path,
        images(
            "train/cave/1.png", "train/cave/1.jpg", "train/hill/2.PNG", "val/cave/3.png", "train/4.png", "other/x/5.png"
        ),
    )
    reading = read("scenes", tmp_path)
    assert sorted(zip(reading.table["class_name"], reading.table["split"], strict=True)) == [
        ("cave", "train"),
        ("cave", "train"),
        ("cave", "val"),
        ("hill", "train"),
    ]
    assert set(reading.rejected["file"]) == {"train/4.png", "other/x/5.png"}


def test_linked_folders_are_followed(tmp_path):
    put(tmp_path / "elsewhere", images("a.png"))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "images").symlink_to(tmp_path / "elsewhere")
    assert RawFolder(tmp_path / "raw", "").images().paths == ["images/a.png"]
