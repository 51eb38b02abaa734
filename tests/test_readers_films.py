"""Readers of films, on raw layouts as published and as people mangle them."""

import gzip

import numpy as np
import pandas as pd
import pytest

from medtransfer import datasets
from medtransfer.datasets import reader
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons

CHEXPERT = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
)
CHEXPERT += (
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices\n"
)


@pytest.mark.parametrize("root", ["CheXpert-v1.0-small/", "CheXpert-v1.0/", ""])
def test_chexpert(tmp_path, root):
    listed = "CheXpert-v1.0-small/"
    put(
        tmp_path,
        {
            f"{root}train.csv": CHEXPERT
            + f"{listed}train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,-1,,-1.0,0.0,,,,,1.0\n"
            + f"{listed}train/patient00001/study1/view2_lateral.jpg,Female,68,Lateral,,,,,,,,,,,,,,,\n"
            + f"{listed}train/patient00002/study2/view1_frontal.jpg,Unknown,0,Frontal,LL,,,,,,,,,,,1.0,,,\n"
            + f"{listed}train/patient00003/study1/view1_frontal.jpg,Male,9,Frontal,PA,2,,,,,,,,,,,,,\n",
            f"{root}valid.csv": CHEXPERT
            + f"{listed}valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP"
            + ",0.0" * 14
            + "\n",
            "CheXpert/test_labels.csv": "Path,No Finding,Airspace Opacity,Pleural Effusion\n"
            + "test/patient64741/study1/view1_frontal.jpg,0,1,1\ntest/patient64742/study1/view2_lateral.jpg,0,1,1\n",
        },
    )
    put(
        tmp_path,
        images(*(f"{root}train/patient0000{n}/study{s}/view1_frontal.jpg" for n, s in ((1, 1), (2, 2), (3, 1)))),
    )
    put(
        tmp_path,
        images(
            f"{root}train/patient00001/study1/view2_lateral.jpg", f"{root}valid/patient64541/study1/view1_frontal.jpg"
        ),
    )
    put(
        tmp_path,
        images(
            "CheXpert/test/patient64741/study1/view1_frontal.JPG", "CheXpert/test/patient9/study1/view1_frontal.jpg"
        ),
    )
    reading = read("chexpert", tmp_path)
    table = reading.table.set_index("image_id")
    assert table["split"].tolist() == ["train", "train", "train", "val", "test"]
    assert table["view"].tolist() == ["AP", "lateral", "frontal", "AP", "frontal"]
    assert table["uncertain"].tolist() == ["edema|pneumonia", "", "", "", ""]
    first = table.loc["patient00001_study1_view1_frontal"]
    assert (first["no_finding"], first["atelectasis"], first["support_devices"]) == (1, 0, 1)
    assert first[["edema", "pneumonia", "fracture"]].isna().all()
    assert (first["patient_id"], first["study_id"], first["sex"]) == ("patient00001", "patient00001_study1", "female")
    assert table["effusion"].fillna(-1).tolist() == [-1, -1, 1, 0, 1]
    assert table["lung_opacity"].iloc[4] == 1 and pd.isna(table["edema"].iloc[4])
    assert reasons(reading) == {
        f"{listed}train/patient00003/study1/view1_frontal.jpg": "a finding that is not 1, 0, -1 or blank",
        "test/patient64742/study1/view2_lateral.jpg": ABSENT,
        "CheXpert/test/patient9/study1/view1_frontal.jpg": "not listed in train.csv, valid.csv, test_labels.csv",
    }


NIH = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
NIH += "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
NIH_ROWS = (
    "00000001_000.png,Cardiomegaly|Pleural_Thickening,0,1,058Y,M,PA,2682,2749,0.1,0.1,\n"
    "00000002_000.png,No Finding,0,2,414,F,AP,2682,2749,0.1,0.1,\n"
    "00000002_000.png,No Finding,0,2,414,F,AP,2682,2749,0.1,0.1,\n"
    "00000003_000.png,Broken Leg,0,3,30,F,AP,2682,2749,0.1,0.1,\n"
    "00000004_000.png,Hernia,0,4,30,F,AP,2682,2749,0.1,0.1,\n"
)


@pytest.mark.parametrize("table", ["Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv.gz"])
def test_nih_cxr14(tmp_path, table):
    content = (NIH + NIH_ROWS).encode()
    put(tmp_path, {table: gzip.compress(content) if table.endswith("gz") else content})
    put(tmp_path, images(*(f"images_00{n}/images/0000000{n}_000.{'PNG' if n == 1 else 'png'}" for n in (1, 2, 3, 9))))
    put(tmp_path, images("originals_sample/00000004_000.png"))
    reading = read("nih_cxr14", tmp_path)
    assert reading.table["image_id"].tolist() == ["00000001_000", "00000002_000"]
    first, second = reading.table.iloc[0], reading.table.iloc[1]
    assert [label for label in reader("nih_cxr14").LABELS if first[label]] == ["cardiomegaly", "pleural_thickening"]
    assert second["no_finding"] == 1 and second["hernia"] == 0
    assert first["age"] == 58 and np.isnan(second["age"]) and (first["sex"], second["view"]) == ("male", "AP")
    assert reasons(reading) == {
        "00000002_000.png": "listed more than once; the first row counts",
        "00000003_000.png": "unknown finding Broken Leg",
        "00000004_000.png": ABSENT,
        "images_009/images/00000009_000.png": f"not listed in {table}",
    }


def test_nih_cxr14_keeps_to_the_official_lists(tmp_path):
    rows = "".join(f"{n:08d}_000.png,No Finding,0,{n},30,F,AP,1,1,1,1,\n" for n in range(1, 200))
    put(tmp_path, {"Data_Entry_2017.csv": NIH + rows} | images(*(f"images/{n:08d}_000.png" for n in range(1, 200))))
    lists = {"train_val_list.txt": "".join(f"{n:08d}_000.png\n" for n in range(1, 150))}
    put(tmp_path, lists)
    with pytest.raises(UserError, match=r"test_list\.txt"):
        read("nih_cxr14", tmp_path)
    put(tmp_path, {"test_list.txt": "\r\n".join(f"{n:08d}_000.png" for n in range(150, 199))})
    reading = read("nih_cxr14", tmp_path)
    splits = reading.table.set_index("image_id")["split"]
    assert (splits["00000150_000":] == "test").all() and not (splits[:"00000149_000"] == "test").any()
    assert 5 <= (splits == "val").sum() <= 25
    assert reasons(reading) == {"00000199_000.png": "in neither train_val_list.txt nor test_list.txt"}
    put(
        tmp_path,
        {
            "Data_Entry_2017.csv": NIH
            + rows.replace("00000150_000.png,No Finding,0,150", "00000150_000.png,No Finding,0,1")
        },
    )
    with pytest.raises(UserError, match="1 in test, "):
        read("nih_cxr14", tmp_path)


def test_vindr_cxr_takes_the_majority_of_readers(tmp_path):
    header = "image_id,rad_id,Cardiomegaly,Clavicle fracture,Rib fracture,Pneumonia,Other lesion,No finding\n"
    put(
        tmp_path,
        {
            "annotations/image_labels_train.csv": header
            + "a,R1,1,1,0,0,1,0\na,R2,1,0,1,0,0,0\na,R3,0,0,0,1,0,0\n"
            + "b,R1,0,0,0,1,0,1\nb,R2,0,0,0,0,0,1\nc,R1,7,0,0,0,0,1\n",
            "annotations/image_labels_test.csv": header.replace(",rad_id", "") + "d,0,0,0,1,0,0\ne,0,0,0,0,0,1\n",
        },
    )
    put(tmp_path, images("train/a.dicom", "train/b.dicom", "train/c.dicom", "test/d.dcm"))
    reading = read("vindr_cxr", tmp_path)
    table = reading.table.set_index("image_id")
    assert table["cardiomegaly"].tolist() == [1, 0, 0]
    assert table["fracture"].tolist() == [1, 0, 0]
    assert table["pneumonia"].fillna(-1).tolist() == [0, -1, 1]
    assert table["edema"].isna().all() and table.loc["d", "split"] == "test" and (table["view"] == "PA").all()
    assert reasons(reading) == {"c": "a label that is not 1 or 0", "e": ABSENT}


def test_vindr_cxr_takes_any_reader(tmp_path):
    header = "image_id,rad_id,Cardiomegaly,Rib fracture,Pneumonia,No finding\n"
    train = "a,R1,0,0,1,0\na,R2,0,0,0,1\na,R3,0,0,0,1\nb,R1,0,0,0,1\nb,R2,0,0,0,1\nc,R1,0,7,0,0\nc,R2,0,1,0,0\n"
    put(
        tmp_path,
        {
            "image_labels_train.csv": header + train,
            "image_labels_test.csv": header.replace("rad_id,", "") + "d,1,0,0,0\n",
        },
    )
    put(tmp_path, images(*(f"{name}.dicom" for name in "abcd")))
    reading = datasets.read("vindr_cxr", tmp_path, {"readers": "any"})
    table = reading.table.set_index("image_id")
    assert table[["cardiomegaly", "pneumonia", "no_finding"]].values.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert reasons(reading) == {"c": "a label that is not 1 or 0"}
    assert read("vindr_cxr", tmp_path).table.set_index("image_id").loc["a", ["pneumonia", "no_finding"]].tolist() == [
        0,
        1,
    ]


def test_vindr_cxr_reads_the_boxes_of_kaggle(tmp_path):
    films = [f"film{n}" for n in range(60)]
    boxes = "film0,Cardiomegaly,3,R8,1,2,3,4\nfilm0,Cardiomegaly,3,R9,1,2,3,4\nfilm0,Cardiomegaly,3,R9,5,6,7,8\n"
    boxes += "film0,Aortic enlargement,0,R10,1,2,3,4\nfilm1,Nodule/Mass,8,R8,1,2,3,4\nfilm1,ILD,5,R9,1,2,3,4\n"
    boxes += "".join(f"{film},No finding,14,{reader},,,,\n" for film in films[2:] for reader in ("R1", "R2", "R3"))
    put(tmp_path, {"train.csv": "\ufeffimage_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n" + boxes})
    reading = read("vindr_cxr", put(tmp_path, images(*(f"train/{film}.dicom" for film in films), "test/t.dicom")))
    table = reading.table.set_index("image_id")
    assert table["cardiomegaly"].sum() == 1 and table.loc["film0", "cardiomegaly"] == 1  # two readers of three
    assert pd.isna(table.loc["film1", "lung_lesion"]) and table.loc["film0", "lung_lesion"] == 0  # one reader of two
    assert table["no_finding"].tolist() == [0, 0] + [1] * 58
    assert table[["edema", "emphysema", "fracture", "pneumonia"]].isna().all(axis=None)
    assert set(table["split"]) == {"train", "val", "test"}
    assert reasons(reading) == {"test/t.dicom": "not listed in train.csv"}
    either = datasets.read("vindr_cxr", tmp_path, {"readers": "any"}).table.set_index("image_id")
    assert either.loc["film1", "lung_lesion"] == 1 and (either["split"] == table["split"]).all()


COVID = "patientid,sex,age,finding,view,modality,folder,filename,\n"


@pytest.mark.parametrize(
    ("finding", "labels"),
    [
        ("COVID-19", (0, 1, 1)),
        ("COVID-19, ARDS", (0, 1, 1)),
        ("Pneumonia/Viral/COVID-19", (0, 1, 1)),
        ("Pneumonia/Fungal/Pneumocystis", (0, 1, 0)),
        ("SARS", (0, 1, 0)),
        ("Klebsiella", (0, 1, 0)),
        ("No Finding", (1, 0, 0)),
        ("No finding", (1, 0, 0)),
        ("Tuberculosis", (0, -1, 0)),
        ("ARDS", (0, -1, 0)),
    ],
)
def test_covid_findings_flat_and_hierarchical(tmp_path, finding, labels):
    put(tmp_path, {"metadata.csv": COVID + f'7,F,60,"{finding}",PA,X-ray,images,a.jpg,\n'} | images("images/a.png"))
    row = read("covid_chestxray", tmp_path).table.fillna({"pneumonia": -1}).iloc[0]
    assert (row["no_finding"], row["pneumonia"], row["covid19"]) == labels


def test_covid_chestxray_takes_frontal_films_once(tmp_path):
    rows = [
        "1,M,40,COVID-19,AP Supine,X-ray,images,a.jpg,",
        "1,M,40,COVID-19,L,X-ray,images,b.jpg,",
        "2,M,40,COVID-19,Axial,CT,images,c.jpg,",
        "3,M,40,COVID-19,PA,X-ray,images,d.jpg,",
        "4,M,40,COVID-19,PA,X-ray,images,d.jpg,",
        "4,M,40,COVID-19,PA,X-ray,images,e.jpg,",
        "5,F,40,todo,PA,X-ray,images,f.jpg,",
        "6,F,40,COVID-19,PA,X-ray,images,g.png,",
        "6,F,40,COVID-19,PA,X-ray,images,g.jpg,",
        "7,F,40,COVID-19,,X-ray,images,h.jpg,",
        "8,F,40,COVID-19,PA,X-ray,images,i.jpg,",
    ]
    put(
        tmp_path,
        {"metadata.csv": COVID + "\n".join(rows)}
        | images(*(f"images/{name}.jpg" for name in "abcdefgh"), "images/g.png"),
    )
    put(tmp_path, images("annotations/masks/a_mask.png"))
    reading = read("covid_chestxray", tmp_path)
    assert reading.table["image_id"].tolist() == ["a", "d", "e", "g.png", "g.jpg"]
    by_hash = datasets.read("covid_chestxray", tmp_path, {"split": "by_hash"}).table
    assert by_hash["image_id"].tolist() == ["a", "d", "e", "g.png", "g.jpg"] and set(by_hash["split"]) != {"test"}
    assert (reading.table["split"] == "test").all()
    assert reading.table["patient_id"].tolist() == ["1", "3", "3", "6", "6"]  # 3 and 4 share a film: one patient
    assert reasons(reading) == {
        "b.jpg": "view 'L', not a frontal one",
        "c.jpg": "modality 'CT', not X-ray",
        "d.jpg": "listed more than once; the first row counts",
        "f.jpg": "finding 'todo'",
        "h.jpg": "view '', not a frontal one",
        "i.jpg": ABSENT,
    }


def test_figure1_in_its_encoding(tmp_path):
    table = "patientid,sex,age,finding,view,modality,notes\n"
    table += "COVID-1a,M,50+,COVID-19,,X-ray,37.5\xb0\nCOVID-1b,M,50+,,AP erect,X-ray,\x92\n"
    put(tmp_path, {"metadata.csv": table.encode("latin-1")} | images("images/COVID-1a.jpg", "images/COVID-1b.png"))
    reading = read("figure1", tmp_path)
    assert reading.table["patient_id"].tolist() == ["COVID-1"] and reading.table["age"].tolist() == [50]
    assert reasons(reading) == {"COVID-1b": "no finding given"}
