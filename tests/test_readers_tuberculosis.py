"""Readers of the two tuberculosis sets: labels in file names, clinical readings, masks left out."""

import pytest

from medtransfer.datasets._splits import split_by_hash
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons

SETS = [("montgomery", "MCUCXR", "Montgomery/MontgomerySet"), ("shenzhen", "CHNCXR", "ChinaSet_AllFiles")]


@pytest.mark.parametrize(("dataset", "prefix", "root"), SETS)
def test_the_last_digit_is_the_label(tmp_path, dataset, prefix, root):
    put(tmp_path, images(*(f"{root}/CXR_png/{prefix}_{n:04d}_{int(n > 60)}.png" for n in range(1, 101))))
    table = read(dataset, tmp_path).table.set_index("image_id")
    assert table["tuberculosis"].sum() == 40 and table.loc[f"{prefix}_0061_1", "tuberculosis"] == 1
    assert table.loc[f"{prefix}_0060_0", "patient_id"] == f"{prefix}_0060"
    assert (table["view"] == "PA").all() and not {"sex", "age"} & set(table.columns)
    expected = split_by_hash(table["patient_id"], {"train": 0.7, "val": 0.1, "test": 0.2})
    assert (table["split"] == expected).all() and set(expected) == {"train", "val", "test"}


@pytest.mark.parametrize(("dataset", "prefix", "root"), SETS)
def test_masks_are_no_films_and_nothing_else_vanishes(tmp_path, dataset, prefix, root):
    put(
        tmp_path,
        images(
            f"{root}/CXR_png/{prefix}_0001_0.png",
            f"{root}/CXR_dcm/{prefix}_0001_0.dcm",
            f"{root}/CXR_dcm/{prefix}_0002_1.dcm",
            f"{root}/ManualMask/leftMask/{prefix}_0001_0.png",
            f"{root}/mask/{prefix}_0003_1_mask.png",
            f"{root}/CXR_png/{prefix}_0004_2.png",
            f"{root}/CXR_png/OTHER_0005_1.png",
        ),
    )
    reading = read(dataset, tmp_path)
    assert reading.table["path"].tolist() == [
        f"{root}/CXR_dcm/{prefix}_0001_0.dcm",
        f"{root}/CXR_dcm/{prefix}_0002_1.dcm",
    ]
    assert reasons(reading) == {
        f"{root}/CXR_png/{prefix}_0001_0.png": f"{root}/CXR_dcm/{prefix}_0001_0.dcm has the same name and is used",
        f"{prefix}_0004_2": f"name is not {prefix}_<number>_<0 or 1>",
        "OTHER_0005_1": f"name is not {prefix}_<number>_<0 or 1>",
    }


def test_a_folder_with_masks_alone_is_not_the_dataset(tmp_path):
    put(tmp_path, images("ManualMask/leftMask/MCUCXR_0001_0.png", "CXR_png/CHNCXR_0001_0.png"))
    with pytest.raises(UserError, match=r"(?s)any image named MCUCXR_.*Expected: "):
        read("montgomery", tmp_path)


@pytest.mark.parametrize(
    ("dataset", "prefix", "text", "sex", "age"),
    [
        ("montgomery", "MCUCXR", "Patient's Sex: F \r\nPatient's Age: 027Y\r\nnormal", "female", 27),
        ("montgomery", "MCUCXR", "Patient's Sex: M\nPatient's Age: 003M\nnormal in 2014", "male", 0.25),
        ("montgomery", "MCUCXR", "\ufeffPatient's Sex: O\nPatient's Age:\n12 mm nodule", None, None),
        ("shenzhen", "CHNCXR", "male 45yrs\nnormal", "male", 45),
        ("shenzhen", "CHNCXR", "Female, 28yrs\nright PTB", "female", 28),
        ("shenzhen", "CHNCXR", "femal 32yrs", "female", 32),
        ("shenzhen", "CHNCXR", "male36yrs\n2 cavities", "male", 36),
        ("shenzhen", "CHNCXR", "female 18month", "female", 1.5),
        ("shenzhen", "CHNCXR", "\nmale 64days\n", "male", 64 / 365.25),
        ("shenzhen", "CHNCXR", "normal\n2 cavities, female", None, None),
        ("shenzhen", "CHNCXR", "", None, None),
    ],
)
def test_clinical_readings(tmp_path, dataset, prefix, text, sex, age):
    full = {"montgomery": "Patient's Sex: M\nPatient's Age: 050Y", "shenzhen": "male 50yrs"}[dataset]
    put(tmp_path, images(f"CXR_png/{prefix}_0001_1.png", f"CXR_png/{prefix}_0002_1.png"))
    put(tmp_path, {f"ClinicalReadings/{prefix}_0001_1.txt": text, f"ClinicalReadings/{prefix}_0002_1.txt": full})
    put(tmp_path, {"readme.txt": b"\xff\xfe\x00 female 12yrs"})
    table = read(dataset, tmp_path).table.set_index("image_id")
    row = table.astype(object).where(table.notna(), None).loc[f"{prefix}_0001_1"]
    assert row["sex"] == sex and row["age"] == (None if age is None else pytest.approx(age))
    assert table.loc[f"{prefix}_0002_1", "age"] == 50
