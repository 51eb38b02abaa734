"""Readers of mammograms whose tables list lesions, breasts or findings, not images."""

import io
import zlib
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medtransfer.datasets import read as read_with
from medtransfer.datasets import reader
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons

MASS = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,mass margins,"
)
CALC = "patient_id,breast density,left or right breast,image view,abnormality id,abnormality type,calc type,"
CALC += "calc distribution,"
PATHS = "assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path\n"


def lesion(case: str, pathology: str, number: int = 1, density: str = "3") -> str:
    """A row as published: a newline inside the quotes around the last paths."""
    patient, side, view = case.split("_", 1)[1].rsplit("_", 2)
    crop = f'"{case}_{number}/1.3.6.5/1.3.6.6/000001.dcm\n"'
    start = f"{patient},{density},{side},{view},{number},kind,x,y,4,{pathology},4"
    return f"{start},{listed(case)},{crop},{crop}\n"


def listed(case: str) -> str:
    return f"{case}/1.3.6.1/{series(case)}/000000.dcm"


def series(case: str) -> str:
    return f"1.3.6.{zlib.crc32(case.encode())}"


def cbis(raw: Path, mass_train: str = "", mass_test: str = "", calc_train: str = "", calc_test: str = "") -> Path:
    tables = {("mass", "train"): mass_train, ("mass", "test"): mass_test, ("calc", "train"): calc_train}
    tables[("calc", "test")] = calc_test
    for (kind, split), rows in tables.items():
        header = (MASS if kind == "mass" else CALC) + PATHS
        filler = lesion(f"{kind.title()}-{'Training' if split == 'train' else 'Test'}_P_99999_LEFT_CC", "BENIGN")
        put(raw, {f"csv/{kind}_case_description_{split}_set.csv": header + (rows or filler)})
    return raw


def test_cbis_ddsm_has_a_row_for_each_mammogram(tmp_path):
    one, two, three = (
        "Mass-Training_P_00001_LEFT_CC",
        "Mass-Training_P_00001_LEFT_MLO",
        "Calc-Training_P_00002_RIGHT_CC",
    )
    cbis(
        tmp_path,
        mass_train=lesion(one, "BENIGN") + lesion(one, "MALIGNANT", 2) + lesion(two, "BENIGN_WITHOUT_CALLBACK"),
        mass_test=lesion("Mass-Test_P_00003_LEFT_CC", "", density="0") + lesion("Mass-Test_P_00004_LEFT_CC", "BENIGN"),
        calc_train=lesion(three, "BENIGN", density="2"),
    )
    put(
        tmp_path,
        images(
            f"CBIS-DDSM/{one}/1.3.6.1/{series(one)}/1-1.dcm",  # as today's downloader names files
            f"CBIS-DDSM/{listed(two)}",  # as the tables do
            f"CBIS-DDSM/{three}/08-07-2016-DDSM-23157/1.000000-full mammogram images-38548/1-1.dcm",  # readable folders
            "CBIS-DDSM/Mass-Test_P_00003_LEFT_CC/a/b/1-1.png",
            f"CBIS-DDSM/{one}_1/1.3.6.5/1.3.6.6/000000.dcm",
            f"CBIS-DDSM/{one}_1/1.3.6.5/1.3.6.6/000001.dcm",
            "CBIS-DDSM/Mass-Test_P_00004_LEFT_CC_1/1.3.6.5/1.3.6.6/1-1.dcm",
            "CBIS-DDSM/other/a/b/1-1.dcm",
        ),
    )
    reading = read("cbis_ddsm", tmp_path)
    table = reading.table.set_index("image_id")
    assert list(table.index) == ["P_00001_LEFT_CC", "P_00001_LEFT_MLO", "P_00003_LEFT_CC", "P_00002_RIGHT_CC"]
    assert table["cancer"].fillna(-1).tolist() == [1, 0, -1, 0]
    assert table["density"].fillna("-").tolist() == ["C", "C", "-", "B"]
    assert table["laterality"].tolist() == ["L", "L", "L", "R"] and table["view"].tolist() == ["CC", "MLO", "CC", "CC"]
    assert table.loc["P_00003_LEFT_CC", "split"] == "test" and table.loc["P_00001_LEFT_CC", "split"] != "test"
    assert table["patient_id"].tolist() == ["P_00001", "P_00001", "P_00003", "P_00002"]
    crops = {f"CBIS-DDSM/{one}_1/1.3.6.5/1.3.6.6/00000{n}.dcm": "crop or mask of a lesion" for n in (0, 1)}
    assert reasons(reading) == crops | {
        "CBIS-DDSM/Mass-Test_P_00004_LEFT_CC_1/1.3.6.5/1.3.6.6/1-1.dcm": "crop or mask of a lesion",
        listed("Mass-Test_P_00004_LEFT_CC"): ABSENT,
        listed("Calc-Test_P_99999_LEFT_CC"): ABSENT,
        "CBIS-DDSM/other/a/b/1-1.dcm": "not listed in the case descriptions",
    }


def test_cbis_ddsm_takes_a_mammogram_once_with_the_labels_of_its_masses_and_calcifications(tmp_path):
    mass, calc = "Mass-Training_P_00001_LEFT_CC", "Calc-Training_P_00001_LEFT_CC"
    cbis(tmp_path, mass_train=lesion(mass, "BENIGN"), calc_train=lesion(calc, "MALIGNANT"))
    put(tmp_path, images(f"{calc}/a/b/1-1.dcm"))
    assert read("cbis_ddsm", tmp_path).table[["path", "cancer"]].to_numpy().tolist() == [[f"{calc}/a/b/1-1.dcm", 1]]
    put(tmp_path, images(f"{mass}/a/b/1-1.dcm"))
    reading = read("cbis_ddsm", tmp_path)
    assert reading.table[["path", "cancer"]].to_numpy().tolist() == [[f"{mass}/a/b/1-1.dcm", 1]]
    assert reasons(reading)[f"{calc}/a/b/1-1.dcm"] == f"the same mammogram as {mass}/a/b/1-1.dcm"


def test_cbis_ddsm_finds_jpeg_copies_by_series(tmp_path):
    case = "Mass-Training_P_00001_LEFT_CC"
    cbis(tmp_path, mass_train=lesion(case, "MALIGNANT"))
    put(tmp_path, images(f"jpeg/{series(case)}/1-249.jpg", "jpeg/1.3.6.6/1-1.jpg"))
    reading = read("cbis_ddsm", tmp_path)
    assert reading.table["path"].tolist() == [f"jpeg/{series(case)}/1-249.jpg"]
    assert reasons(reading)["jpeg/1.3.6.6/1-1.jpg"] == "not listed in the case descriptions"


def test_cbis_ddsm_women_of_both_official_splits_are_test(tmp_path):
    train = [f"Mass-Training_P_{n:05d}_LEFT_CC" for n in range(100)]
    test = [f"Calc-Test_P_{n:05d}_RIGHT_CC" for n in range(50, 60)]
    cbis(
        tmp_path,
        mass_train="".join(lesion(case, "BENIGN") for case in train),
        calc_test="".join(lesion(case, "BENIGN") for case in test),
    )
    put(tmp_path, images(*(f"{case}/a/b/1-1.dcm" for case in train + test)))
    splits = read("cbis_ddsm", tmp_path).table.drop_duplicates("patient_id").set_index("patient_id")["split"]
    assert (splits[[f"P_{n:05d}" for n in range(50, 60)]] == "test").all() and (splits == "test").sum() == 10
    assert 2 <= (splits == "val").sum() <= 20
    hashed = read_with("cbis_ddsm", tmp_path, {"split": "by_patient"}).table
    assert (hashed.loc[hashed["patient_id"] < "P_00050", "split"] == "test").any()


def test_cbis_ddsm_needs_all_four_tables_and_lists_rows_without_patient_or_path(tmp_path):
    rows = lesion("Mass-Training_P_00001_LEFT_CC", "BENIGN").replace("P_00001,", ",", 1)
    rows += "P_00002,3,LEFT,CC,1,mass,x,y,4,BENIGN,4,,,\nP_00003,3,LEFT,CC,1,mass,x,y,4,BENIGN,4,a.dcm,,\n"
    cbis(tmp_path, mass_train=rows)
    put(tmp_path, images("Mass-Training_P_00001_LEFT_CC/a/b/1-1.dcm"))
    found = reasons(read("cbis_ddsm", tmp_path))
    assert found["Mass-Training_P_00001_LEFT_CC/a/b/1-1.dcm"] == "no patient id"
    assert found[""] == "a row of the case descriptions without file name" and found["a.dcm"] == ABSENT
    (tmp_path / "csv" / "calc_case_description_test_set.csv").unlink()
    with pytest.raises(UserError, match=r"calc_case_description_test_set\.csv"):
        reader("cbis_ddsm").read(tmp_path)


def mammogram(patient: str, side: str = "", view: str = "", meaning: str = "") -> bytes:
    """A DICOM file that ends before its pixels."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    header.PatientID, header.ImageLaterality, header.ViewPosition = patient, side, view
    if meaning:
        code = Dataset()
        code.CodeMeaning = meaning
        header.ViewCodeSequence = [code]
    buffer = pydicom.filebase.DicomBytesIO()
    pydicom.dcmwrite(buffer, header, enforce_file_format=True)
    return buffer.getvalue()


CMMD = "ID1,LeftRight,Age,number,abnormality,classification,subtype\n"
CMMD_ROWS = (
    "D1-0001,L,44,2,calcification,Benign,\nD2-0002,R,61,2,both,Malignant,HER2-enriched\n"
    "D2-0002,L,61,2,mass,Malignant,Luminal A\nD2-0002,L,61,2,calcification,Benign,\n"
    "D1-0003,R,50,2,mass,,\nD1-0004,R,50,2,mass,Benign,\nD1-0007,,50,2,mass,Benign,\n"
)


def as_workbook(text: str) -> bytes:
    content = io.BytesIO()
    pd.read_csv(io.StringIO(text), dtype="str").to_excel(content, index=False)
    return content.getvalue()


@pytest.mark.parametrize("table", ["CMMD_clinicaldata_revision.xlsx", "CMMD_clinicaldata_revision.csv"])
def test_cmmd(tmp_path, table):
    put(
        tmp_path,
        {
            table: as_workbook(CMMD + CMMD_ROWS) if table.endswith("xlsx") else CMMD + CMMD_ROWS,
            "CMMD/D1-0001/07-18-2010-NA-NA-79377/1.000000-NA-70244/1-1.dcm": mammogram(
                "D1-0001", "L", meaning="cranio-caudal"
            ),
            "CMMD/D1-0001/07-18-2010-NA-NA-79377/1.000000-NA-70244/1-2.dcm": mammogram(
                "D1-0001", "R", meaning="medio-lateral oblique"
            ),
            "CMMD/D2-0002/a/b/1-1.dcm": mammogram("D2-0002", "R", meaning="medio-lateral oblique"),
            "CMMD/D2-0002/a/b/1-2.dcm": mammogram("D2-0002", "L", view="CC"),
            "CMMD/D2-0002/a/b/1-3.dcm": mammogram("D2-0002"),
            "CMMD/D1-0003/a/b/1-1.dcm": mammogram("D1-0003", "R"),
            "CMMD/D1-0005/a/b/1-1.dcm": mammogram("D1-0005", "R"),
            "CMMD/D1-0006/a/b/1-1.dcm": b"",
            "CMMD/D1-0006/a/b/1-2.png": b"\x89PNG\r\n\x1a\n" + bytes(range(200)),
        },
    )
    reading = read("cmmd", tmp_path)
    rows = reading.table.set_index("image_id")
    assert sorted(rows.index) == ["D1-0001_1-1", "D2-0002_1-1", "D2-0002_1-2"]
    labels = rows[["cancer", "mass", "calcification"]]
    assert labels.loc["D1-0001_1-1"].tolist() == [0, 0, 1]
    assert labels.loc["D2-0002_1-1"].tolist() == [1, 1, 1]
    assert labels.loc["D2-0002_1-2"].tolist() == [1, 1, 1]  # two rows for that breast: the worst of each
    expected = {"D1-0001_1-1": ["L", "CC", 44, "D1"], "D2-0002_1-1": ["R", "MLO", 61, "D2"]}
    assert rows.loc[list(expected), ["laterality", "view", "age", "site"]].to_numpy().tolist() == list(
        expected.values()
    )
    no_row = f"no row for this breast in {table}"
    assert reasons(reading) == {
        "CMMD/D1-0001/07-18-2010-NA-NA-79377/1.000000-NA-70244/1-2.dcm": no_row,
        "CMMD/D2-0002/a/b/1-3.dcm": "no side in its DICOM header",
        "CMMD/D1-0003/a/b/1-1.dcm": "neither benign nor malignant",
        "CMMD/D1-0005/a/b/1-1.dcm": no_row,
        "CMMD/D1-0006/a/b/1-1.dcm": "no DICOM header with a patient id",
        "CMMD/D1-0006/a/b/1-2.png": "no DICOM header with a patient id",
        "D1-0004 R": ABSENT,
        "D1-0007 ": ABSENT,
    }


def test_cmmd_of_another_table_names_the_missing_column(tmp_path):
    put(tmp_path, {"CMMD_clinicaldata_revision.xlsx": as_workbook((CMMD + CMMD_ROWS).replace("ID1", "patient"))})
    with pytest.raises(UserError, match=r"CMMD_clinicaldata_revision\.xlsx lacks the column ID1"):
        reader("cmmd").read(tmp_path)


@pytest.mark.parametrize("dataset", ["cbis_ddsm", "cmmd"])
def test_a_folder_without_images_lists_every_row_as_absent(dataset, tmp_path):
    cbis(put(tmp_path, {"CMMD_clinicaldata_revision.csv": CMMD + CMMD_ROWS}))
    reading = read(dataset, tmp_path)
    assert reading.table.empty and set(reading.rejected["reason"]) == {ABSENT}
    assert len(reading.rejected) == {"cbis_ddsm": 4, "cmmd": 6}[dataset]
