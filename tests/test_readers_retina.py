"""Readers of fundus photographs, on raw layouts as published and as people mangle them."""

import gzip

import pandas as pd
import pytest

from medtransfer.datasets import reader
from medtransfer.datasets._retina import grade_labels, split_name, tidy_grade
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from tests.conftest import REALDATA
from tests.raw_layouts import images, put, read, reasons

GRADES = [f"grade{number}" for number in range(5)]
RETINA = ["eyepacs", "aptos_2019", "messidor_2", "idrid", "dr_fundus"]


def grades(table: pd.DataFrame) -> list[int]:
    """The grade of each row, which must be exactly one and agree with `referable`."""
    assert (table[GRADES].sum(axis=1) == 1).all()
    grade = table[GRADES].astype(int).to_numpy().argmax(axis=1).tolist()
    assert table["referable"].tolist() == [int(one >= 2) for one in grade]
    return grade


@pytest.mark.parametrize("dataset", RETINA)
def test_retinas_are_in_colour_and_cut_to_their_disc(dataset):
    assert (reader(dataset).CHANNELS, reader(dataset).PREPARATION) == (3, "fundus")


def test_grades_are_read_as_written():
    grade = tidy_grade(pd.Series(["0", "4", "2.0", "5", "-1", "1.5", "", "severe"]))
    assert grade.fillna(-1).tolist() == [0, 4, 2, -1, -1, -1, -1, -1]
    labels = pd.DataFrame(grade_labels(grade))
    assert grades(labels[:3]) == [0, 4, 2] and labels[3:].isna().all(axis=None)


def test_patient_and_eye_are_read_from_names():
    patient, eye = split_name(pd.Series(["10_left", "10_right", "Patient001_R", "a_b_LEFT", "left", "IDRiD_001"]))
    assert patient.tolist() == ["10", "10", "Patient001", "a_b", "", ""]
    assert eye.fillna("?").tolist() == ["L", "R", "R", "L", "?", "?"]


def eyepacs_rows(patients: range, level: int = 0) -> str:
    return "".join(f"{patient}_left,{level}\n{patient}_right,{level}\n" for patient in patients)


def test_eyepacs_keeps_the_published_split(tmp_path):
    train = "image,level\n10_left,0\n10_right,4\n13_left,9\nportrait,1\n10_left,2\n" + eyepacs_rows(range(20, 220), 3)
    solution = "image,level,Usage\n1_left,2,Private\n1_right,0,Public\n2_left,,Private\n"
    put(tmp_path, {"trainLabels.csv": train, "labels/retinopathy_solution.csv": solution})
    put(tmp_path, images("train/10_left.jpeg", "train/10_right.jpg", "train/13_left.jpeg", "train/portrait.jpeg"))
    put(tmp_path, images(*(f"train/{patient}_{eye}.jpeg" for patient in range(20, 220) for eye in ("left", "right"))))
    put(tmp_path, images("test/1_left.jpeg", "test/1_right.jpeg", "test/2_left.jpeg", "test/3_left.jpeg"))
    reading = read("eyepacs", tmp_path)
    table = reading.table.set_index("image_id")
    assert grades(table.loc[["10_left", "10_right", "1_left", "20_left"]]) == [0, 4, 2, 3]
    assert table.loc[["10_left", "10_right"], "patient_id"].tolist() == ["10", "10"]
    assert table.loc[["10_left", "10_right"], "laterality"].tolist() == ["L", "R"]
    assert set(table.index[table["split"] == "test"]) == {"1_left", "1_right"}
    assert 10 <= table.loc[table["split"] == "val", "patient_id"].nunique() <= 32
    assert reasons(reading) == {
        "10_left": "listed more than once; the first row counts",
        "13_left": "grade '9', not one of 0 to 4",
        "portrait": "no patient and eye in the name",
        "2_left": "no grade given",
        "test/3_left.jpeg": "not listed in trainLabels.csv or retinopathy_solution.csv",
    }


def test_eyepacs_without_test_grades_is_split_by_patient(tmp_path):
    put(tmp_path, {"trainLabels.csv.gz": gzip.compress(b"image,level\n" + eyepacs_rows(range(300)).encode())})
    put(tmp_path, images(*(f"train/{patient}_{eye}.jpeg" for patient in range(300) for eye in ("left", "right"))))
    put(tmp_path, images("test/1000_left.jpeg"))
    reading = read("eyepacs", tmp_path)
    patients = reading.table.groupby("patient_id")["split"].first().value_counts(normalize=True)
    assert patients.to_dict() == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.08)
    assert reasons(reading) == {"test/1000_left.jpeg": "not listed in trainLabels.csv.gz"}


def test_eyepacs_says_when_a_patient_is_in_both_tables(tmp_path):
    put(
        tmp_path, {"trainLabels.csv": "image,level\n1_left,0\n", "retinopathy_solution.csv": "image,level\n1_right,0\n"}
    )
    put(tmp_path, images("1_left.jpeg", "1_right.jpeg"))
    with pytest.raises(UserError, match="1 in test, train"):
        read("eyepacs", tmp_path)


def test_aptos_2019(tmp_path):
    put(tmp_path, {"train.csv": "\ufeffid_code,diagnosis\n000c1,2\n001639,4\n0024c,\n0083e,0\n0097f,1\n"})
    put(tmp_path, {"test.csv": "id_code\n0005c\n003f0\n"})
    put(tmp_path, images("train_images/000c1.png", "train_images/001639.jpg", "train_images/0024c.png"))
    put(tmp_path, images("train_images/0083e.png", "test_images/0005c.png", "test_images/003f0.png", "sample.png"))
    reading = read("aptos_2019", tmp_path)
    assert grades(reading.table) == [2, 4, 0]
    assert reading.table["patient_id"].tolist() == reading.table["image_id"].tolist() == ["000c1", "001639", "0083e"]
    assert "laterality" not in reading.table
    assert reasons(reading) == {
        "0024c": "no grade given",
        "0097f": ABSENT,
        "0005c": "no grade: an image of test.csv",
        "003f0": "no grade: an image of test.csv",
        "sample.png": "not listed in train.csv",
    }


@pytest.mark.parametrize("columns", ["image_id,adjudicated_dr_grade", "id_code,diagnosis"])
@pytest.mark.parametrize("pairs", ["left;right\n{};{}\n{};\n", "left,right\n{},{}\n{},\n"])
def test_messidor_2_pairs_the_eyes_of_an_examination(tmp_path, columns, pairs):
    rows = "a_PP.png,0,0,1\nIM1.jpg,3,1,1\nIM2.jpg,,,0\nc_PP.png,1,,1\nd_PP.png,2,0,1\n"
    put(tmp_path, {"messidor_data.csv": f"{columns},adjudicated_dme,adjudicated_gradable\n{rows}"})
    put(tmp_path, {"messidor-2.csv": pairs.format("IM1.JPG", "a_PP.png", "c_PP.png")})
    put(tmp_path, images("IMAGES/a_PP.png", "IMAGES/IM1.JPG", "IMAGES/IM2.JPG", "IMAGES/c_PP.PNG"))
    reading = read("messidor_2", tmp_path)
    table = reading.table.set_index("image_id")
    assert grades(table) == [0, 3, 1] and (table["split"] == "test").all()
    assert table["macular_edema"].fillna(-1).tolist() == [0, 1, -1]
    assert table["patient_id"].tolist() == table["study_id"].tolist() == ["IM1", "IM1", "c_PP"]
    assert table["laterality"].tolist() == ["R", "L", "L"]
    assert reasons(reading) == {"IM2.jpg": "ungradable", "d_PP.png": ABSENT}


def test_messidor_2_without_pairs(tmp_path):
    header = ",image_id,adjudicated_dr_grade,adjudicated_dme,adjudicated_gradable\n"
    put(tmp_path, {"messidor_data.csv": header + "0,a.png,0,0,1\n1,b.png,4,1,1\n"} | images("a.png", "b.png"))
    table = read("messidor_2", tmp_path).table
    assert table["patient_id"].tolist() == ["a", "b"] and "laterality" not in table
    put(tmp_path, {"messidor_data.csv": "image_id,adjudicated_dme\na.png,0\n"})
    with pytest.raises(UserError, match="lacks the columns adjudicated_dr_grade or diagnosis, adjudicated_gradable"):
        read("messidor_2", tmp_path)


IDRID = "Image name,Retinopathy grade,Risk of macular edema ,,,\n"
TRUTHS = "2. Groundtruths/"
ORIGINALS = "1. Original Images/"


def idrid_tables(root: str, train: str, test: str) -> dict[str, str]:
    return {
        f"{root}{TRUTHS}a. IDRiD_Disease Grading_Training Labels.csv": IDRID + train,
        f"{root}{TRUTHS}b. IDRiD_Disease Grading_Testing Labels.csv": IDRID + test,
    }


@pytest.mark.parametrize("root", ["B. Disease Grading/", "B. Disease Grading/B. Disease Grading/", ""])
def test_idrid_tells_training_and_testing_images_of_one_name_apart(tmp_path, root):
    train = "IDRiD_001,3,2,,,\nIDRiD_002,0,0,,,\nIDRiD_003,7,0,,,\nIDRiD_004,1,x,,,\nIDRiD_005,1,0,,,\n,,,,,\n"
    put(tmp_path, idrid_tables(root, train, "IDRiD_001,2,1,,,\nIDRiD_002,4,0,,,\n"))
    put(tmp_path, images(*(f"{root}{ORIGINALS}a. Training Set/IDRiD_00{number}.jpg" for number in (1, 2, 3, 4))))
    put(tmp_path, images(*(f"{root}{ORIGINALS}b. Testing Set/IDRiD_00{number}.jpg" for number in (1, 2, 6))))
    reading = read("idrid", tmp_path)
    table = reading.table.set_index("image_id")
    assert table.index.tolist() == ["train_IDRiD_001", "train_IDRiD_002", "train_IDRiD_004"] + [
        f"test_IDRiD_00{number}" for number in (1, 2)
    ]
    assert all(("a. Training" in path) == name.startswith("train") for name, path in table["path"].items())
    assert grades(table) == [3, 0, 1, 2, 4] and table["macular_edema"].fillna(-1).tolist() == [1, 0, -1, 1, 0]
    assert (table["patient_id"] == table.index).all()
    assert (table["split"].iloc[3:] == "test").all() and set(table["split"].iloc[:3]) <= {"train", "val"}
    assert reasons(reading) == {
        "a. Training Set/IDRiD_003": "grade '7', not one of 0 to 4",
        "a. Training Set/IDRiD_005": ABSENT,
        "": "a row of the tables of labels without file name",
        f"{root}{ORIGINALS}b. Testing Set/IDRiD_006.jpg": "not listed in the tables of labels",
    }


def test_idrid_takes_a_tenth_of_the_training_images_for_validation(tmp_path):
    train = "".join(f"IDRiD_{number:03d},0,0,,,\n" for number in range(1, 414))
    put(tmp_path, idrid_tables("", train, "IDRiD_001,0,0,,,\n"))
    put(tmp_path, images(*(f"a. Training Set/IDRiD_{number:03d}.jpg" for number in range(1, 414))))
    splits = read("idrid", tmp_path).table["split"].value_counts()
    assert 25 <= splits["val"] <= 60 and splits["train"] + splits["val"] == 413


CLASSES = [
    ("1 - No DR", 0, 0),
    ("2 - Mild DR without maculopathy", 1, 0),
    ("3 - Mild DR with maculopathy", 1, 1),
    ("4 - Moderate DR without maculopathy", 2, 0),
    ("5 - Moderate DR with maculopathy", 2, 1),
    ("6 - Severe DR without maculopathy", 3, 0),
    ("7 - Severe DR with maculopathy", 3, 1),
    ("8 - PDR without maculopathy", 4, 0),
    ("9 - PDR with maculopathy", 4, 1),
    ("10 - ADED", 4, -1),
]


@pytest.mark.parametrize("root", ["DR and maculopathy 10 classes/", ""])
def test_dr_fundus_in_its_published_layout(tmp_path, root):
    put(tmp_path, images(*(f"{root}{name}/Patient{number:03d}_L.jpg" for number, (name, _, _) in enumerate(CLASSES))))
    put(tmp_path, images(f"{root}{CLASSES[0][0]}/Patient004_R.jpg", f"{root}1 - No DR/cover.jpg", "x/Patient9_L.jpg"))
    reading = read("dr_fundus", tmp_path)
    table = reading.table.set_index("image_id").sort_index()
    assert table.loc[["Patient004_L", "Patient004_R"], "patient_id"].tolist() == ["Patient004"] * 2
    assert table["laterality"].tolist() == ["R" if name.endswith("R") else "L" for name in table.index]
    left = table[table["laterality"] == "L"]
    assert grades(left) == [grade for _, grade, _ in CLASSES]
    assert left["macular_edema"].fillna(-1).tolist() == [maculopathy for _, _, maculopathy in CLASSES]
    assert reasons(reading) == {
        "1 - No DR/cover.jpg": "no patient and eye in the name",
        "x/Patient9_L.jpg": "unknown class 'x'",
    }


def test_dr_fundus_with_a_table(tmp_path):
    header = "patient_id,class_name,bundle_path\n"
    rows = "P1,ADED,dr_fundus/images/Patient001_L.jpg\nP2,No DR,dr_fundus/images/Patient002_R.jpg\n"
    put(tmp_path, {"files.csv": header + rows} | images("images/Patient001_L.jpg", "images/Patient003_L.jpg"))
    reading = read("dr_fundus", tmp_path)
    assert grades(reading.table) == [4] and reading.table["path"].tolist() == ["images/Patient001_L.jpg"]
    assert reasons(reading) == {
        "dr_fundus/images/Patient002_R.jpg": ABSENT,
        "images/Patient003_L.jpg": "not listed in files.csv",
    }


@pytest.mark.realdata
def test_dr_fundus_on_real_files():
    reading = read("dr_fundus", REALDATA / "dr_fundus")
    table = reading.table
    assert len(table) == 450 and table["patient_id"].nunique() == 225 and reading.rejected.empty
    assert table[GRADES].sum().tolist() == [204, 63 + 22, 53 + 58, 19 + 9, 6 + 9 + 7]
    assert table["macular_edema"].sum() == 22 + 58 + 9 + 9 and table["macular_edema"].isna().sum() == 7
    assert (table.groupby("patient_id")["laterality"].apply(set) == {"L", "R"}).all()
    assert len(grades(table)) == 450 and set(table["split"]) == {"train", "val", "test"}
