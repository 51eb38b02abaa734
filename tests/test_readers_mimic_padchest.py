"""Readers of MIMIC-CXR and PadChest, on raw layouts as published and as people mangle them."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from medtransfer import datasets
from medtransfer.datasets import padchest
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons

FINDINGS = "Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,"
FINDINGS += "No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices"
A, B, C, D, E = (f"{letter}0000000-11111111-22222222-33333333-44444444" for letter in "abcde")
SPLIT = f"""dicom_id,study_id,subject_id,split
{A},501,10000032,train
{B},501,10000032,train
{C},502,11000001,validate
{D},503,12000001,test
{E},504,12000001,test
"""
METADATA = f"""dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,Time
{A},10000032,501,"CHEST (PA, LAT)",PA,3056,2544,21800506,213014.531
{B},10000032,501,"CHEST (PA, LAT)",LATERAL,3056,2544,21800506,213014.531
{C},11000001,502,,LL,1,1,21300101,1
{D},12000001,503,,AP,1,1,21400101,1
{E},12000001,504,,,1,1,21410101,1
"""
CHEXPERT = f"""subject_id,study_id,{FINDINGS}
10000032,501,1.0,,0.0,-1.0,,,,,,-1.0,,,,
11000001,502,,,,,,,,,1.0,,,,,
12000001,503,,1.0,,,,,,,,,,,,
12000001,504,,,,,,,,,1.0,,,,,
"""
FILMS = {
    A: f"files/p10/p10000032/s501/{A}.jpg",
    B: f"files/p10/p10000032/s501/{B}.jpg",
    C: f"files/p11/p11000001/s502/{C}.jpg",
    D: f"files/p12/p12000001/s503/{D}.jpg",
    E: f"files/p12/p12000001/s504/{E}.jpg",
}


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    tables = {"split": SPLIT, "metadata": METADATA, "chexpert": CHEXPERT}
    put(tmp_path, {f"mimic-cxr-2.0.0-{name}.csv": text for name, text in tables.items()})
    return put(tmp_path, images(*FILMS.values()))


def test_mimic_cxr_gives_every_film_the_labels_of_its_study(mimic):
    table = read("mimic_cxr", mimic).table.set_index("image_id")
    assert table["path"].to_dict() == FILMS
    assert table["split"].to_dict() == {A: "train", B: "train", C: "val", D: "test", E: "test"}
    assert table["study_id"].tolist() == ["501", "501", "502", "503", "504"]
    for film in (A, B):
        assert (table.loc[film, "atelectasis"], table.loc[film, "consolidation"]) == (1, 0)
        assert table.loc[film, ["edema", "effusion", "pneumonia"]].isna().all()
        assert table.loc[film, "uncertain"] == "edema|effusion"
    assert table.loc[C, "uncertain"] == "" and table.loc[C, "no_finding"] == 1
    assert table["view"].fillna("?").tolist() == ["PA", "lateral", "lateral", "AP", "?"]
    assert not {"sex", "age", "race"} & set(table.columns)


def test_mimic_cxr_reads_the_dicom_project_and_compressed_tables(mimic):
    for path in mimic.glob("*.csv"):
        path.with_suffix(".csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + path.read_bytes()))
        path.unlink()
    (mimic / FILMS[A]).rename((mimic / FILMS[A]).with_suffix(".dcm"))
    table = read("mimic_cxr", mimic).table.set_index("image_id")
    assert table.loc[A, "path"].endswith(f"s501/{A}.dcm") and len(table) == 5


def test_mimic_cxr_takes_demographics_from_mimic_iv(mimic):
    put(
        mimic,
        {
            "hosp/patients.csv.gz": gzip.compress(
                b"subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n"
                b"10000032,F,52,2178,2014 - 2016,\n12000001,M,91,2140,2014 - 2016,\n"
            ),
            "hosp/admissions.csv": "subject_id,hadm_id,race\n"
            "10000032,1,UNKNOWN\n10000032,2,UNKNOWN\n10000032,3,BLACK/CAPE VERDEAN\n"
            "12000001,4,WHITE\n12000001,5,WHITE - RUSSIAN\n12000001,6,ASIAN - KOREAN\n11000001,7,UNABLE TO OBTAIN\n",
        },
    )
    table = read("mimic_cxr", mimic).table.set_index("image_id")
    assert table["sex"].fillna("?").tolist() == ["female", "female", "?", "male", "male"]
    assert table["age"].fillna(-1).tolist() == [54, 54, -1, 91, 92]
    assert table["race"].fillna("?").tolist() == ["black", "black", "?", "white", "white"]


def test_mimic_cxr_with_the_other_labeler_and_with_the_radiologist(mimic):
    with pytest.raises(UserError, match=r"mimic-cxr-2\.0\.0-negbio\.csv"):
        datasets.read("mimic_cxr", mimic, {"labeler": "negbio"})
    put(mimic, {"mimic-cxr-2.0.0-negbio.csv": CHEXPERT.replace("501,1.0", "501,0.0")})
    table = datasets.read("mimic_cxr", mimic, {"labeler": "negbio"}).table.set_index("image_id")
    assert table.loc[A, "atelectasis"] == 0

    by_hand = f"study_id,{FINDINGS}\n503,,0.0,,-1.0,,,,1.0,,,,,,\n".replace("Lung Opacity", "Airspace Opacity")
    put(mimic, {"mimic-cxr-2.1.0-test-set-labeled.csv": by_hand})
    assert read("mimic_cxr", mimic).table.set_index("image_id").loc[D, "cardiomegaly"] == 1
    reading = datasets.read("mimic_cxr", mimic, {"test_labels": "radiologist"})
    table = reading.table.set_index("image_id")
    assert (table.loc[D, "cardiomegaly"], table.loc[D, "lung_opacity"], table.loc[D, "uncertain"]) == (0, 1, "edema")
    assert table.loc[A, "atelectasis"] == 1  # the training films keep the labeler's
    assert reasons(reading) == {FILMS[E]: "study not in mimic-cxr-2.1.0-test-set-labeled.csv"}


def test_mimic_cxr_lists_what_it_cannot_use(mimic):
    f, g, h = (letter * 8 for letter in "fgh")
    put(
        mimic,
        {
            "mimic-cxr-2.0.0-split.csv": SPLIT
            + f"{f},505,13000001,train\n{g},506,13000001,train\n{h},501,,train\n{A},501,10000032,train\n,501,1,train\n",
            "mimic-cxr-2.0.0-chexpert.csv": CHEXPERT + "13000001,505,2.0" + "," * 13 + "\n",
        },
    )
    put(mimic, images(*(f"files/x/{name}.jpg" for name in (f, g, h, "unlisted"))))
    (mimic / FILMS[C]).unlink()
    reading = read("mimic_cxr", mimic)
    assert set(reading.table["image_id"]) == {A, B, D, E}
    found = reasons(reading)
    assert found.pop("") == "a row of mimic-cxr-2.0.0-split.csv without file name"
    assert {Path(file).stem: reason for file, reason in found.items()} == {
        f: "a finding in mimic-cxr-2.0.0-chexpert.csv that is not 1, 0, -1 or blank",
        g: "study not in mimic-cxr-2.0.0-chexpert.csv",
        h: "no patient id",
        A: "listed more than once; the first row counts",
        C: ABSENT,
        "unlisted": "not listed in mimic-cxr-2.0.0-split.csv",
    }
    put(mimic, {"mimic-cxr-2.0.0-metadata.csv": METADATA.replace("ViewPosition", "View")})
    with pytest.raises(UserError, match=r"metadata\.csv lacks the column ViewPosition"):
        read("mimic_cxr", mimic)


PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
COLUMNS = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,Pediatric,"
COLUMNS += "MethodLabel,Labels\n"


def padchest_row(name: str, labels: str, patient: str = "P1", **changes: str) -> str:
    cells = {"date": "20140915", "birth": "1930.0", "sex": "F", "view": "PA", "child": "No", "method": "Physician"}
    cells |= changes
    described = ",".join(cells[key] for key in ("birth", "sex", "view", "child", "method"))
    return f'0,{name}.png,0,{cells["date"]},S-{name},{patient},{described},"{labels}"\n'


def test_padchest_matches_whole_terms(tmp_path):
    rows = {
        "a": "['normal']",
        "b": "[' Pleural effusion', 'cardiomegaly', 'loc right']",
        "c": "['subcutaneous emphysema', 'pseudonodule', 'unchanged']",
        "d": "['hydropneumothorax', 'mediastinal mass', 'tuberculosis sequelae', '']",
        "e": "['multiple nodules', 'laminar atelectasis', 'air bronchogram']",
    }
    put(tmp_path, {PADCHEST: COLUMNS + "".join(padchest_row(name, labels) for name, labels in rows.items())})
    table = read("padchest", put(tmp_path, images(*(f"0/{name}.png" for name in rows)))).table.set_index("image_id")
    positive = {name: {label for label in padchest.LABELS if table.loc[name, label] == 1} for name in rows}
    assert positive == {
        "a": {"no_finding"},
        "b": {"effusion", "cardiomegaly"},
        "c": set(),
        "d": {"effusion", "pneumothorax"},
        "e": {"nodule", "lung_lesion", "atelectasis", "consolidation", "infiltration"},
    }
    assert table[list(padchest.LABELS)].notna().all(axis=None)
    first = table.loc["a"]
    assert (first["sex"], first["age"], first["study_id"], first["patient_id"]) == ("female", 84, "S-a", "P1")
    assert table["split"].nunique() == 1  # one patient


def test_padchest_views_and_ages(tmp_path):
    views = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "lateral", "COSTAL": "costal", "EXCLUDE": "?"}
    text = COLUMNS + "".join(padchest_row(view, "['normal']", view=view) for view in views)
    text += padchest_row("unborn", "['normal']", birth="2099") + padchest_row("ageless", "['normal']", birth="")
    put(tmp_path, {PADCHEST + ".gz": gzip.compress(text.encode("cp1252"))})
    reading = read("padchest", put(tmp_path, images(*(f"3/{name}.png" for name in [*views, "unborn", "ageless"]))))
    table = reading.table.set_index("image_id")
    assert table["view"].fillna("?")[list(views)].to_dict() == views
    assert table["age"][["unborn", "ageless"]].isna().all()


def test_padchest_lists_what_it_cannot_use(tmp_path):
    broken = sorted(padchest.BROKEN)
    rows = {
        "blank": "",
        "nan": "nan",
        "cut": "['normal', 'card",
        "number": "7",
        "empty": "['', ' ']",
        "exclude": "['exclude', 'normal']",
        "poor": "['suboptimal study', 'cardiomegaly']",
        "same": "['unchanged']",
        "absent": "['normal']",
        broken[0]: "['normal']",
        broken[1]: "['normal']",
    }
    text = COLUMNS + "".join(padchest_row(name, labels) for name, labels in rows.items())
    text += padchest_row("nobody", "['normal']", patient="") + padchest_row("good", "['normal']") * 2
    put(tmp_path, {PADCHEST: text})
    put(tmp_path, images(*(f"0/{name}.png" for name in rows if name not in ("absent", broken[1]))))
    reading = read("padchest", put(tmp_path, images("0/nobody.png", "0/good.jpg", "0/other.png")))
    assert reading.table["path"].tolist() == ["0/good.jpg"]
    assert reasons(reading) == {
        **{f"{name}.png": "no labels" for name in ("blank", "nan", "cut", "number", "empty")},
        "exclude.png": "labelled exclude",
        "poor.png": "labelled suboptimal study",
        "same.png": "labelled unchanged and nothing else",
        "absent.png": ABSENT,
        f"{broken[0]}.png": "known to be missing or truncated in the release",  # on disk
        f"{broken[1]}.png": "known to be missing or truncated in the release",  # and not
        "nobody.png": "no patient id",
        "good.png": "listed more than once; the first row counts",
        "0/other.png": f"not listed in {PADCHEST}",
    }
    assert len(broken) == 21
    put(tmp_path, {PADCHEST: text.replace("MethodLabel", "Method")})
    with pytest.raises(UserError, match="lacks the column MethodLabel"):
        read("padchest", tmp_path)


def test_padchest_policies(tmp_path):
    methods, children = ("Physician", "RNN_model"), ("No", "PED")
    names = [f"{n}-{method}-{child}" for n in range(40) for method in methods for child in children]
    text = COLUMNS
    for name in names:
        number, method, child = name.split("-")
        text += padchest_row(name, "['normal']", patient=number, method=method, child=child)
    put(tmp_path, {PADCHEST: text} | images(*(f"0/{name}.png" for name in names)))
    everything = read("padchest", tmp_path).table
    assert len(everything) == len(names) and set(everything["split"]) == {"train", "val", "test"}

    clean = datasets.read("padchest", tmp_path, {"labelled_by": "physician"})
    expected = everything[(everything["split"] != "test") | everything["image_id"].str.contains("Physician")]
    pd.testing.assert_frame_equal(clean.table, expected.reset_index(drop=True))
    assert set(clean.rejected["reason"]) == {"a test film that no physician labelled"}

    grown = datasets.read("padchest", tmp_path, {"pediatric": "drop"})
    assert set(grown.table["image_id"]) == {name for name in names if name.endswith("No")}
    assert set(grown.rejected["reason"]) == {"a child's film"}
    with pytest.raises(UserError, match="no policy pediatric: maybe"):
        datasets.read("padchest", tmp_path, {"pediatric": "maybe"})
