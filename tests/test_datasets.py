"""Readers: tiny raw layouts written by hand, as the datasets are published and as people mangle them."""

import gzip
import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medtransfer.datasets import known_datasets, missing_raw_message, reader
from medtransfer.datasets._raw import Images, RawFolder, read_table
from medtransfer.datasets._splits import check_splits, split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex, tidy_view
from medtransfer.datasets.base import ABSENT, Reading
from medtransfer.errors import UserError
from tests.conftest import ROOT

Files = dict[str, Any]  # contents by path, text or bytes


def put(raw: Path, files: Files) -> Path:
    for name, content in files.items():
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return raw


def images(*names: str) -> Files:
    """Readers never open images, so a name is enough."""
    return dict.fromkeys(names, b"")


def read(dataset: str, raw: Path) -> Reading:
    """Read, and check what holds for every reader."""
    module = reader(dataset)
    reading = module.read(raw)
    table = reading.table
    assert table["image_id"].is_unique and table["path"].is_unique
    assert set(table["split"]) <= {"train", "val", "test"}
    assert table.groupby("patient_id")["split"].nunique().max() <= 1 or table.empty
    assert table[["image_id", "patient_id", "study_id", "path", "split"]].notna().all(axis=None)
    assert all(str(table[label].dtype) == "Int8" for label in module.LABELS)
    assert list(reading.rejected.columns) == ["file", "reason"]
    assert (reading.rejected["reason"].str.len() > 0).all()
    return reading


def reasons(reading: Reading) -> dict[str, str]:
    return dict(zip(reading.rejected["file"], reading.rejected["reason"], strict=True))


# --- what readers share


def test_every_dataset_has_a_reader_and_a_card_that_agree():
    cards = sorted(path.stem for path in (ROOT / "config" / "datasets").glob("*.yaml"))
    assert cards == known_datasets()
    for dataset in known_datasets():
        card = yaml.safe_load((ROOT / "config" / "datasets" / f"{dataset}.yaml").read_text())
        assert tuple(card["labels"]) == reader(dataset).LABELS
        assert reader(dataset).CHANNELS in (1, 3)
        message = missing_raw_message(card, Path("raw/x"))
        assert card["home"] in message and "raw/x" in message and card["layout"][0] in message


def test_an_unknown_dataset_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"'chexprt'.*chexpert"):
        reader("chexprt")


@pytest.mark.parametrize("dataset", known_datasets())
def test_missing_raw_data_says_where_it_was_looked_for_and_what_is_expected(dataset, tmp_path):
    for raw in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match=r"(?s)Missing in .*Expected: "):
            reader(dataset).read(raw)


@given(st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_a_split_depends_on_the_id_alone(ids):
    shares = {"train": 0.7, "val": 0.1, "test": 0.2}
    splits = split_by_hash(pd.Series(ids), shares)
    assert splits.tolist() == [split_by_hash(pd.Series([one]), shares)[0] for one in ids]


def test_splits_have_about_their_shares_and_never_change():
    ids = pd.Series([f"patient{number}" for number in range(20_000)])
    splits = split_by_hash(ids, {"train": 0.7, "val": 0.1, "test": 0.2})
    assert splits.value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.01
    )
    position = int(hashlib.sha256(b"patient0").hexdigest()[:12], 16) / 16**12
    assert splits[0] == ("train" if position < 0.7 else "val" if position < 0.8 else "test")


def test_a_patient_in_two_splits_is_an_error_that_names_both():
    cohort = pd.DataFrame({"patient_id": ["a", "b", "b"], "split": ["test", "train", "val"]})
    with pytest.raises(UserError, match="b in train, val"):
        check_splits(cohort)
    check_splits(cohort[:2])


def test_tables_with_bom_spaces_other_case_or_compression_are_read(tmp_path):
    text = "\ufeff ID , Sex,Age\r\n a ,M, 1\r\nb\r\n"
    put(tmp_path, {"a.csv": text, "b.csv.gz": gzip.compress(text.encode()), "c.tab": text.replace(",", "\t")})
    expected = pd.DataFrame({"id": ["a", "b"], "sex": ["M", ""], "other": ["", ""]}, dtype="str")
    for name in ("a.csv", "b.csv.gz", "c.tab"):
        table = read_table(tmp_path / name, {"id": "id", "sex": "gender|sex"}, optional={"other": "Other"})
        pd.testing.assert_frame_equal(table, expected)


def test_an_unreadable_table_is_an_error_that_names_file_and_columns(tmp_path):
    put(tmp_path, {"a.csv": "x,y\n1,2\n", "empty.csv": "", "cut.csv.gz": gzip.compress(bytes(range(32, 127)) * 9)[:40]})
    with pytest.raises(UserError, match=r"a\.csv lacks the columns Path, Sex or Gender\. It has: x, y\."):
        read_table(tmp_path / "a.csv", {"file": "Path", "sex": "Sex|Gender", "x": "X"})
    for name in ("empty.csv", "cut.csv.gz"):
        with pytest.raises(UserError, match=name):
            read_table(tmp_path / name, {"x": "x"})


def test_ages_sexes_and_views():
    written = ["058Y", "010M", "003W", "50+", "mid 50s", "1.5", "", "unknown", "-1", "414", "0", "90"]
    expected = [58, 10 / 12, 21 / 365.25, 50, 50, 1.5, np.nan, np.nan, np.nan, np.nan, 0, 90]
    assert tidy_age(pd.Series(written, dtype="str")).tolist() == pytest.approx(expected, nan_ok=True)
    sexes = tidy_sex(pd.Series(["M", "female", " F ", "Unknown", "", "O"], dtype="str"))
    assert sexes.fillna("?").tolist() == ["male", "female", "female", "?", "?", "?"]
    views = tidy_view(pd.Series(["PA", "AP Supine", "AP erect", "L", "?", ""], dtype="str"))
    assert views.fillna("?").tolist() == ["PA", "AP", "AP", "lateral", "?", "?"]


def test_images_are_found_under_other_suffixes_unless_another_row_owns_the_file():
    found = Images(["x/a.JPG", "x/b.jpeg", "x/CR.1.2.png"], depth=1)
    assert found.match(["a.png", "b", "CR.1.2.png", "CR.1.2"]) == ["x/a.JPG", "x/b.jpeg", "x/CR.1.2.png", None]
    assert found.match(["a.png", "a.JPG"]) == [None, "x/a.JPG"]


names = st.sampled_from(["a.png", "b.png", "b.jpg", "c", "c.PNG", "d.e.png", ""])


@given(
    listed=st.lists(names, min_size=1, max_size=8), on_disk=st.sets(names.filter(lambda name: "." in name), max_size=5)
)
def test_every_listed_row_and_every_file_ends_in_the_table_or_among_the_rejected(tmp_path_factory, listed, on_disk):
    raw = tmp_path_factory.mktemp("raw")
    table = "".join(f"{number % 3},M,5,COVID-19,PA,X-ray,{name}\n" for number, name in enumerate(listed))
    put(raw, {"metadata.csv": "patientid,sex,age,finding,view,modality,imagename\n" + table})
    put(raw, images(*(f"images/{name}" for name in on_disk)))
    reading = read("actualmed", raw)
    unused = on_disk - {Path(path).name for path in reading.table["path"]}
    assert len(reading.table) + len(reading.rejected) == len(listed) + len(unused)


# --- chest


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


# --- skin


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


# --- COVID-19 collections


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


# --- natural images


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
