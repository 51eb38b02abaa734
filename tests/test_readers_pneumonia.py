"""Readers of the RSNA pneumonia challenge and of COVIDx, which is composed of it and of others."""

import io
import json
import warnings
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from tests.conftest import REALDATA
from tests.raw_layouts import images, put, read, reasons

LABELS = "patientId,x,y,width,height,Target\n"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"


def dicom(sex: str, age: str, view: str) -> bytes:
    header = Dataset()
    header.PatientSex, header.ViewPosition = sex, view
    with warnings.catch_warnings(action="ignore"):  # the challenge's ages lack the unit that DICOM wants
        header.PatientAge = age
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    written = io.BytesIO()
    pydicom.dcmwrite(written, header, enforce_file_format=True)
    return written.getvalue()


def test_rsna_pneumonia_gathers_boxes_into_films(tmp_path):
    put(
        tmp_path,
        {
            "stage_2_train_labels.csv": LABELS
            + "a,,,,,0\nb,264.0,152.0,213.0,379.0,1\nb,562.0,152.0,256.0,453.0,1\nc,,,,,0\n",
            "stage_2_train_images/a.dcm": dicom("F", "51", "PA"),
            "stage_2_train_images/b.dcm": dicom("M", "048Y", "AP"),
            "stage_2_train_images/c.jpg": b"\xff\xd8 no header",
            "stage_2_test_images/d.dcm": b"",
        },
    )
    reading = read("rsna_pneumonia", tmp_path)
    table = reading.table.set_index("image_id")
    assert table["pneumonia"].to_dict() == {"a": 0, "b": 1, "c": 0}
    assert table["no_finding"].isna().all() and table["patient_id"].tolist() == ["a", "b", "c"]
    assert table["sex"].fillna("?").tolist() == ["female", "male", "?"]
    assert table["age"].fillna(-1).tolist() == [51, 48, -1]
    assert table["view"].fillna("?").tolist() == ["PA", "AP", "?"]
    assert reasons(reading) == {"stage_2_test_images/d.dcm": "not listed in stage_2_train_labels.csv"}

    classes = "patientId,class\na,Normal\nb,Lung Opacity\nb,Lung Opacity\nc,No Lung Opacity / Not Normal\n"
    put(tmp_path, {"stage_2_detailed_class_info.csv": classes})
    assert read("rsna_pneumonia", tmp_path).table["no_finding"].tolist() == [1, 0, 0]


def test_rsna_pneumonia_has_the_patients_of_chestxray14(tmp_path):
    films = [f"uuid-{n}" for n in range(60)]
    mapping = [
        {"subset_img_id": film, "img_id": f"{n // 3:08d}_{n % 3:03d}.png", "SOPInstanceUID": f"1.2.{n}"}
        for n, film in enumerate(films[:57])
    ]
    put(tmp_path, {"stage_2_train_labels.csv": LABELS + "".join(f"{film},,,,,0\n" for film in films)})
    put(tmp_path, {MAPPING: json.dumps([*mapping, {"subset_img_id": "", "img_id": ""}])})
    put(tmp_path, images(*(f"{film}.dcm" for film in films)))
    table = read("rsna_pneumonia", tmp_path).table.set_index("image_id")

    nih = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position\n"
    nih += "".join(f"{film['img_id']},No Finding,{int(film['img_id'][:8])},50,F,PA\n" for film in mapping)
    put(tmp_path / "nih", {"Data_Entry_2017.csv": nih} | images(*(film["img_id"] for film in mapping)))
    theirs = read("nih_cxr14", tmp_path / "nih").table.set_index("image_id")
    for film in mapping:
        there = theirs.loc[film["img_id"].removesuffix(".png")]
        assert (
            table.loc[film["subset_img_id"], ["patient_id", "split"]].tolist()
            == there[["patient_id", "split"]].tolist()
        )
    assert table["patient_id"].nunique() == 19 + 3 and table.loc["uuid-59", "patient_id"] == "uuid-59"


@pytest.mark.parametrize("content", ["[{", "[1]", '{"a": 1}', '[{"subset_img_id": "a", "img_id": "scan.png"}]'])
def test_a_broken_mapping_is_named(tmp_path, content):
    put(tmp_path, {"stage_2_train_labels.csv": LABELS + "a,,,,,0\n", MAPPING: content} | images("a.dcm"))
    with pytest.raises(UserError, match=f"{MAPPING} is not the published mapping"):
        read("rsna_pneumonia", tmp_path)


def test_rsna_pneumonia_lists_what_it_cannot_use(tmp_path):
    rows = "a,,,,,0\nb,,,,,0\nb,1,2,3,4,1\nc,,,,,x\nc,1,2,3,4,1\nd,,,,,0.5\n,,,,,0\ne,,,,,0\n"
    put(
        tmp_path,
        {"stage_2_train_labels.csv": "\ufeff," + LABELS + "0," + rows.replace("\n", "\n1,").removesuffix("1,")},
    )
    broken = dicom("F", "51", "PA")[:150]
    put(tmp_path, {"a.dcm": broken} | images(*(f"{name}.dcm" for name in "bcd")))
    reading = read("rsna_pneumonia", tmp_path)
    assert reading.table["image_id"].tolist() == ["a"] and "sex" not in reading.table
    assert reasons(reading) == {
        "b": "rows that disagree on Target",
        "c": "a Target that is not 1 or 0",
        "d": "a Target that is not 1 or 0",
        "": "a row of stage_2_train_labels.csv without file name",
        "e": ABSENT,
    }
    put(tmp_path, {"stage_2_train_labels.csv": "patientId,Label\na,1\n"})
    with pytest.raises(UserError, match="lacks the column Target"):
        read("rsna_pneumonia", tmp_path)


TRAIN = """5 ARDSSevere.png negative cohen
COVID 12 COVID(12).png positive sirm
COVID-00003a COVID-00003a.jpg positive fig1
COVID-00003b COVID-00003b.jpg positive fig1
ANON56 CR.1.2.840.png negative actmed
419639-000238 MIDRC-RICORD-1C-419639-000238-46556-1.png positive ricord
003d8fa0 003d8fa0.png negative rsna
"""
TEST = "47c78742 47c78742.png negative rsna\nSITE2-000292 MIDRC-RICORD-1C-SITE2-000292.png positive ricord\n"


def files(text: str) -> list[str]:
    return [line.split()[-3] for line in text.splitlines()]


@pytest.mark.parametrize("names", [("train.txt", "test.txt"), ("train_COVIDx8B.txt", "test_COVIDx8B.txt")])
def test_covidx_cxr2_in_its_own_folders(tmp_path, names):
    put(tmp_path, {names[0]: "\ufeff" + TRAIN.replace("\n", "\r\n"), names[1]: TEST})
    put(tmp_path, images(*(f"train/{name}" for name in files(TRAIN)), *(f"test/{name}" for name in files(TEST))))
    table = read("covidx_cxr2", tmp_path).table.set_index("image_id")
    assert table["covid19"].tolist() == [0, 1, 1, 1, 0, 1, 0, 0, 1]
    assert table["site"].tolist() == ["cohen", "sirm", "fig1", "fig1", "actmed", "ricord", "rsna", "rsna", "ricord"]
    assert table["patient_id"].tolist()[:4] == ["5", "COVID 12", "COVID-00003", "COVID-00003"]
    train = table.iloc[:7]
    assert (train["split"] == split_by_hash(train["patient_id"], {"train": 0.9, "val": 0.1})).all()
    assert table["split"].tolist()[7:] == ["test", "test"] and table["path"].str.match("(train|test)/").all()


def test_covidx_cxr2_takes_what_it_lacks_from_the_folders_beside_it(tmp_path):
    raw = put(tmp_path / "covidx_cxr2", {"train.txt": TRAIN, "test.txt": TEST} | images("train/CR.1.2.840.png"))
    put(
        tmp_path,
        images(
            "rsna_pneumonia/stage_2_train_images/003d8fa0.dcm",
            "rsna_pneumonia/stage_2_train_images/unused.dcm",
            "covid_chestxray/images/ARDSSevere.jpg",
            "covid_chestxray/images/003d8fa0.png",  # of another source
            "actualmed/images/CR.1.2.840.png",  # the set's own comes first
            "figure1/images/COVID-00003a.jpg",
            "ricord/MIDRC-RICORD-1C-SITE2-000292.png",
            "sirm/COVID/COVID (12).png",
        ),
    )
    reading = read("covidx_cxr2", raw)
    assert reading.table["path"].tolist() == [
        "../covid_chestxray/images/ARDSSevere.jpg",
        "../sirm/COVID/COVID (12).png",
        "../figure1/images/COVID-00003a.jpg",
        "train/CR.1.2.840.png",
        "../rsna_pneumonia/stage_2_train_images/003d8fa0.dcm",
        "../ricord/MIDRC-RICORD-1C-SITE2-000292.png",
    ]
    lacking = ("COVID-00003b.jpg", "MIDRC-RICORD-1C-419639-000238-46556-1.png", "47c78742.png")
    assert reasons(reading) == dict.fromkeys(lacking, ABSENT)


def test_covidx_cxr2_finds_its_sources_through_links(tmp_path):
    put(tmp_path / "disk" / "covidx", {"train.txt": TRAIN, "test.txt": TEST})
    put(tmp_path / "raw", images("rsna_pneumonia/003d8fa0.dcm"))
    put(tmp_path / "elsewhere", images("ARDSSevere.png"))
    (tmp_path / "raw" / "covidx_cxr2").symlink_to(tmp_path / "disk" / "covidx")
    (tmp_path / "raw" / "covid_chestxray").symlink_to(tmp_path / "elsewhere")
    raw = tmp_path / "raw" / "covidx_cxr2"
    paths = read("covidx_cxr2", raw).table["path"]
    assert len(paths) == 2 and all((raw / path).is_file() for path in paths)


def test_covidx_cxr2_lists_what_it_cannot_use(tmp_path):
    train = (
        TRAIN
        + "\nonly three fields\n9 odd.png pneumonia cohen\n7 lost.png positive cohen\n5 ARDSSevere.png negative cohen\n"
    )
    put(tmp_path, {"train.txt": train, "test.txt": TEST} | images(*files(TRAIN + TEST), "odd.png", "extra.png"))
    reading = read("covidx_cxr2", tmp_path)
    assert len(reading.table) == 9
    assert reasons(reading) == {
        "only three fields": "label ''",
        "odd.png": "label 'pneumonia'",
        "lost.png": ABSENT,
        "ARDSSevere.png": "listed more than once; the first row counts",
        "extra.png": "not listed in train.txt or test.txt",
    }
    put(tmp_path, {"test.txt": TEST + "5 odd.png positive cohen\n", "train.txt": TRAIN})
    with pytest.raises(UserError, match="5 in test, "):
        read("covidx_cxr2", tmp_path)
    put(tmp_path, {"test.txt": "\n \n"})
    with pytest.raises(UserError, match=r"test\.txt has no lines"):
        read("covidx_cxr2", tmp_path)
    (tmp_path / "test.txt").unlink()
    with pytest.raises(UserError, match=r"test\.txt or test_COVIDx8B\.txt"):
        read("covidx_cxr2", tmp_path)


@pytest.mark.realdata
def test_covidx_cxr2_takes_real_films_of_its_sources(tmp_path):
    table = pd.read_csv(REALDATA / "actualmed" / "metadata.csv").dropna(subset=["finding"])
    sign = table["finding"].map({"COVID-19": "positive", "No finding": "negative"})
    lines = [f"{p} {i} {s} actmed" for p, i, s in zip(table["patientid"], table["imagename"], sign, strict=True)]
    raw = put(tmp_path / "covidx_cxr2", {"train.txt": "\n".join(lines), "test.txt": TEST})
    (tmp_path / "actualmed").symlink_to(REALDATA / "actualmed")
    reading = read("covidx_cxr2", raw)
    theirs = read("actualmed", REALDATA / "actualmed").table
    assert dict(zip(reading.table["image_id"], reading.table["covid19"], strict=True)) == dict(
        zip(theirs["image_id"], theirs["covid19"], strict=True)
    )
    assert all(Path(raw / path).is_file() for path in reading.table["path"])
