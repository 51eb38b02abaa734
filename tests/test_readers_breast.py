"""Readers of mammograms whose tables list every image, on raw layouts as published and as people mangle them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtransfer.datasets import read as read_with
from medtransfer.datasets import reader
from medtransfer.datasets._breast import tidy_density, tidy_flag, tidy_side, worst_finding
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons

RSNA = "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,"
RSNA += "difficult_negative_case\n"
RSNA_ROWS = (
    "2,10006,462822612,L,CC,61.0,0,0,0,,0,,29,False\n"
    "1,10006,1459541791,R,MLO,61.0,1,1,1,0.0,1,C,29,True\n"
    "1,10011,220375232,L,AT,,0,1,0,1.0,0,B,21,False\n"
    "1,10011,541722628,L,MLO,,,1,0,1.0,0,B,21,False\n"
    "1,10012,7,L,CC,50,maybe,1,0,1.0,0,B,21,False\n"
    "1,10012,8,L,CC,50,0,1,0,1.0,0,B,21,False\n"
    "1,,9,L,CC,50,0,1,0,1.0,0,B,21,False\n"
    "1,10013,,L,CC,50,0,1,0,1.0,0,B,21,False\n"
    "1,10011,541722628,L,MLO,,0,1,0,1.0,0,B,21,False\n"
)
RSNA_IMAGES = (
    "10006/462822612.dcm",
    "10006/1459541791.dcm",
    "10011/220375232.dcm",
    "10011/541722628.dcm",
    "10012/7.dcm",
)


def rsna(raw, table=RSNA + RSNA_ROWS):
    put(raw, {"train.csv": table})
    return put(raw, images(*(f"train_images/{name}" for name in RSNA_IMAGES), "train_images/99/9.dcm"))


def test_rsna_mammo(tmp_path):
    reading = read("rsna_mammo", rsna(tmp_path))
    table = reading.table.set_index("image_id")
    assert list(table.index) == ["10006_462822612", "10006_1459541791", "10011_541722628"]
    first, second, third = (table.loc[image_id] for image_id in table.index)
    assert first[["site", "laterality", "view", "age", "implant"]].tolist() == ["2", "L", "CC", 61.0, "no"]
    assert first[["cancer", "biopsy", "invasive", "difficult_negative"]].tolist() == [0, 0, 0, 0]
    assert second[["cancer", "biopsy", "invasive", "difficult_negative"]].tolist() == [1, 1, 1, 1]
    assert (second["implant"], second["density"], second["study_id"]) == ("yes", "C", "10006")
    assert pd.isna(first["density"]) and pd.isna(third["cancer"]) and third["biopsy"] == 1
    assert reasons(reading) == {
        "10011/220375232.dcm": "view 'AT', not CC or MLO",
        "10012/7.dcm": "a label that is not 1 or 0",
        "10012/8.dcm": ABSENT,
        "/9.dcm": "no patient id",
        "": "a row of train.csv without file name",
        "10011/541722628.dcm": "listed more than once; the first row counts",
        "train_images/99/9.dcm": "not listed in train.csv",
    }


def test_rsna_mammo_policies(tmp_path):
    rsna(tmp_path)
    everything = read_with("rsna_mammo", tmp_path, {"views": "all"}).table
    assert everything["view"].tolist() == ["CC", "MLO", "AT", "MLO"]
    reading = read_with("rsna_mammo", tmp_path, {"implants": "drop"})
    assert reading.table["implant"].tolist() == ["no", "no"]
    assert reasons(reading)["10006/1459541791.dcm"] == "breast with implant"


def test_rsna_mammo_finds_converted_copies_in_folders_or_flat(tmp_path):
    put(tmp_path, {"train.csv": "\ufeff" + RSNA + RSNA_ROWS})
    put(tmp_path, images("png/10006_462822612.png", "png/10006/1459541791.PNG", "png/10011_541722628.png"))
    put(tmp_path, images("train_images/10011/541722628.dcm"))
    reading = read("rsna_mammo", tmp_path)
    assert reading.table["path"].tolist() == [
        "png/10006_462822612.png",
        "png/10006/1459541791.PNG",
        "train_images/10011/541722628.dcm",  # the original before its copy
    ]
    assert reasons(reading)["png/10011_541722628.png"] == "not listed in train.csv"


def test_rsna_mammo_splits_by_patient(tmp_path):
    rows = [f"1,{n},{n}{k},L,CC,50,0,0,0,,0,A,1,False\n" for n in range(300) for k in range(2)]
    put(
        tmp_path, {"train.csv": RSNA + "".join(rows)} | images(*(f"{n}/{n}{k}.dcm" for n in range(300) for k in (0, 1)))
    )
    table = read("rsna_mammo", tmp_path).table
    assert len(table) == 600 and table.groupby("patient_id")["split"].nunique().eq(1).all()
    shares = table["split"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.7, abs=0.1) and shares["test"] == pytest.approx(0.2, abs=0.08)


VINDR = "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density,split\n"
VINDR_ROWS = (
    "s1,x,a,L,CC,1,1,BI-RADS 4,DENSITY C,training\n"
    "s1,x,b,R,MLO,1,1,BI-RADS 1,DENSITY C,training\n"
    "s2,x,c,L,MLO,1,1,BI-RADS 5,DENSITY D,test\n"
    "s2,x,d,R,CC,1,1,BI-RADS 3,DENSITY D,test\n"
    "s3,x,e,R,CC,1,1,BI-RADS 0,DENSITY A,training\n"
    "s4,x,f,R,CC,1,1,BI-RADS 2,DENSITY A,holdout\n"
    ",x,g,R,CC,1,1,BI-RADS 2,DENSITY A,test\n"
    "s5,x,h,R,CC,1,1,BI-RADS 2,DENSITY A,test\n"
)
VINDR_FINDINGS = "image_id,finding_categories,finding_birads,xmin\n" + (
    "a,\"['Mass', 'Skin Thickening']\",BI-RADS 4,1\na,['Focal Asymmetry'],BI-RADS 4,1\nb,['No Finding'],,\n"
    "c,\"['Suspicious Calcification', 'Architectural Distortion']\",BI-RADS 5,1\n"
)


def vindr(raw, annotations=VINDR + VINDR_ROWS):
    put(raw, {"breast-level_annotations.csv": annotations})
    return put(raw, images(*(f"images/s{s}/{name}.dicom" for s, name in ((1, "a"), (1, "b"), (2, "c"), (2, "d")))))


def test_vindr_mammo(tmp_path):
    vindr(tmp_path)
    put(
        tmp_path,
        {"finding_annotations.csv": VINDR_FINDINGS, "metadata.csv": ",SOP Instance UID,Patient's Age\n0,b,053Y\n"},
    )
    put(tmp_path, images("images/s3/e.dicom", "images/s4/f.dicom", "images/none/g.dicom"))
    reading = read("vindr_mammo", tmp_path)
    table = reading.table.set_index("image_id")
    assert table["cancer"].tolist() == [1, 0, 1, 0]
    labels = ["mass", "suspicious_calcification", "asymmetry", "architectural_distortion", "no_finding"]
    assert table.loc["a", labels].tolist() == [1, 0, 1, 0, 0]
    assert table.loc["b", labels].tolist() == [0, 0, 0, 0, 1]
    assert table.loc["c", labels].tolist() == [0, 1, 0, 1, 0]
    assert table.loc["d", labels].isna().all()
    assert table["density"].tolist() == ["C", "C", "D", "D"] and table["laterality"].tolist() == ["L", "R", "L", "R"]
    assert table.loc[["c", "d"], "split"].tolist() == ["test", "test"]
    assert (table["patient_id"] == table["study_id"]).all() and table["patient_id"].tolist() == ["s1", "s1", "s2", "s2"]
    assert table["age"].tolist() == pytest.approx([np.nan, 53, np.nan, np.nan], nan_ok=True)
    assert reasons(reading) == {
        "s3/e.dicom": "assessment 'BI-RADS 0', not BI-RADS 1 to 6",
        "s4/f.dicom": "split 'holdout' is neither training nor test",
        "/g.dicom": "no study id",
        "s5/h.dicom": ABSENT,
    }


def test_vindr_mammo_without_companions_and_with_the_stricter_proxy(tmp_path):
    reading = read_with("vindr_mammo", vindr(tmp_path), {"cancer": "birads5"})
    assert reading.table["cancer"].tolist() == [0, 0, 1, 0]
    assert reading.table[["mass", "no_finding"]].isna().all(axis=None) and "age" not in reading.table


def test_vindr_mammo_finds_flat_png_copies(tmp_path):
    put(
        tmp_path,
        {"breast-level_annotations.csv": ("x," + VINDR + "0," + VINDR_ROWS.split("\n")[0]).encode("utf-8-sig")},
    )
    put(tmp_path, images("images_png/s1_a.png"))
    assert read("vindr_mammo", tmp_path).table["path"].tolist() == ["images_png/s1_a.png"]


@pytest.mark.parametrize(
    ("dataset", "table", "content", "column"),
    [
        ("rsna_mammo", "train.csv", RSNA + RSNA_ROWS, "cancer"),
        ("rsna_mammo", "train.csv", RSNA + RSNA_ROWS, "patient_id"),
        ("vindr_mammo", "breast-level_annotations.csv", VINDR + VINDR_ROWS, "breast_birads"),
    ],
)
def test_a_missing_column_is_named(dataset, table, content, column, tmp_path):
    put(tmp_path, {table: content.replace(column, "x" + column, 1)})
    with pytest.raises(UserError, match=rf"{table} lacks the column {column}"):
        reader(dataset).read(tmp_path)


def test_unknown_policies_are_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="birads4 or birads5"):
        read_with("vindr_mammo", tmp_path, {"cancer": "birads3"})


def test_sides_densities_and_flags():
    def tidy(function, written):
        return function(pd.Series(written, dtype="str")).fillna("-").tolist()

    assert tidy(tidy_side, ["L", " right", "LEFT", "B", ""]) == ["L", "R", "L", "-", "-"]
    assert tidy(tidy_density, ["DENSITY C", "b", "4", "1.0", "0", "5", "", "dense"]) == ["C", "B", "D", "A", *"----"]
    flags = tidy_flag(pd.Series(["1", "True", "0.0", "false", "", "2"], dtype="str"))
    assert flags.fillna(-1).tolist() == [1, 1, 0, 0, -1, -1]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 0, None])), min_size=1))
def test_the_worst_finding_counts_and_an_unknown_one_is_not_negative(findings):
    whose, labels = zip(*findings, strict=True)
    worst = worst_finding(pd.Series(labels, dtype="Float64"), pd.Series(whose, dtype="str"))
    assert list(worst.index) == list(dict.fromkeys(whose))
    for breast, label in worst.items():
        own = [value for owner, value in findings if owner == breast]
        assert pd.isna(label) if None in own and 1 not in own else label == max(own, key=bool)
