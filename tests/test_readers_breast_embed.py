"""EMBED: findings of exams meet images of breasts."""

import pytest

from medtransfer.datasets import read as read_with
from medtransfer.datasets import reader
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons

CLINICAL = "empi_anon,acc_anon,desc,numfind,asses,side,tissueden,bside,path_severity,RACE_DESC,age_at_study,"
CLINICAL += "GENDER_DESC\n"
METADATA = ",empi_anon,acc_anon,anon_dicom_path,FinalImageType,ImageLateralityFinal,ViewPosition,spot_mag\n"
MISSING, REJECTED = -1, -2
NO_FINDING = "no row for this breast of this exam in EMBED_OpenData_clinical.csv"
SCREEN, LEFT = "MG Screening Bilateral", "MG Diagnostic Left w/CAD"


def finding(exam, asses, side="", severity="", specimen="", desc=SCREEN, density="2.0", race="Asian"):
    return f'7,{exam},{desc},1,{asses},{side},{density},{specimen},{severity},"{race}",52.3,Female\n'


def file(exam, side="L", view="CC", kind="2D", magnified="", patient="7", name=""):
    path = f"/mnt/NAS2/mammo/anon_dicom/cohort_1/{patient or 'unknown'}/{exam}/1.2.{name or side + view}.dcm"
    return f"0,{patient},{exam},{path},{kind},{side},{view},{magnified}\n"


def embed(raw, findings, files):
    paths = [line.split(",")[3].removeprefix("/mnt/NAS2/mammo/anon_dicom") for line in files]
    put(raw, {"tables/EMBED_OpenData_clinical.csv": CLINICAL + "".join(findings)})
    put(raw, {"tables/EMBED_OpenData_metadata_reduced.csv": METADATA + "".join(files)})
    return put(raw, images(*(f"images{path}" for path in paths)))


@pytest.mark.parametrize(
    ("findings", "pathology", "assessment"),  # of the left and of the right breast
    [
        ([finding(1, "N")], (0, 0), (0, 0)),
        ([finding(1, "B", "B")], (0, 0), (0, 0)),
        ([finding(1, "A", "L")], (MISSING, 0), (MISSING, 0)),  # recalled, the other breast of a bilateral exam negative
        ([finding(1, "A", "L"), finding(1, "N", "R")], (MISSING, 0), (MISSING, 0)),
        ([finding(1, "A", "L", 0, "L")], (1, 0), (MISSING, 0)),
        ([finding(1, "S", "L", "1.0", desc=LEFT)], (1, REJECTED), (1, REJECTED)),
        ([finding(1, "S", "L", 4, "L", LEFT)], (0, REJECTED), (1, REJECTED)),
        ([finding(1, "M", "L", 6, "L", LEFT)], (0, REJECTED), (1, REJECTED)),
        ([finding(1, "K", "L", desc=LEFT)], (MISSING, REJECTED), (1, REJECTED)),
        ([finding(1, "P", "L", desc=LEFT)], (MISSING, REJECTED), (0, REJECTED)),
        ([finding(1, "S", "L", 4, "L", LEFT), finding(1, "S", "L", 0, "L", LEFT)], (1, REJECTED), (1, REJECTED)),
        ([finding(1, "S", "L", 4, "L", LEFT), finding(1, "S", "L", desc=LEFT)], (MISSING, REJECTED), (1, REJECTED)),
        ([finding(1, "S", "B", 0, "R")], (MISSING, 1), (1, 1)),  # the specimen says which breast
        ([finding(1, "B", "L", 0, "R")], (0, 1), (0, 0)),
        ([finding(1, "S", "", 2, "B")], (0, 0), (1, 1)),
    ],
)
def test_embed_labels_of_a_breast(tmp_path, findings, pathology, assessment):
    embed(tmp_path, findings, [file(1, "L"), file(1, "R")])
    for policy, expected in (("pathology", pathology), ("assessment", assessment)):
        reading = read_with("embed", tmp_path, {"cancer": policy})
        labels = reading.table.set_index("laterality")["cancer"].fillna(MISSING)
        assert tuple(labels.reindex(["L", "R"], fill_value=REJECTED)) == expected
        assert set(reasons(reading).values()) <= {NO_FINDING}


def test_embed_describes_images_and_says_why_others_are_left_out(tmp_path):
    unknown = "Unknown, Unavailable or Unreported"
    findings = [finding(1, "N", race="African American  or Black"), finding(2, "N", race=unknown, density="5")]
    files = [
        file("1.0"),
        file(1, "R", "MLO"),
        file(2),
        file(1, view="XCCL"),
        file(1, kind="cview", name="synthetic"),
        file(1, kind="ROI_SSC", name="screen"),
        file(1, magnified="1.0", name="spot"),
        file(1, side="", name="sideless"),
        file(3),
        file(1, patient="", name="nobody"),
    ]
    embed(tmp_path, findings, files)
    for path in ("1/1.2.LXCCL", "2/1.2.LCC"):
        (tmp_path / f"images/cohort_1/7/{path}.dcm").unlink()
    put(tmp_path, images("png/7/2/1.2.LCC.png", "images/cohort_1/7/1/1.2.more.dcm"))
    reading = read("embed", tmp_path)
    table = reading.table.set_index("image_id")
    assert table["path"].tolist() == [
        "images/cohort_1/7/1.0/1.2.LCC.dcm",
        "images/cohort_1/7/1/1.2.RMLO.dcm",
        "png/7/2/1.2.LCC.png",
    ]
    assert table["study_id"].tolist() == ["1", "1", "2"] and set(table["patient_id"]) == {"7"}
    assert table["race"].fillna("-").tolist() == ["African American or Black"] * 2 + ["-"]
    assert table["density"].fillna("-").tolist() == ["B", "B", "-"]  # 5 is a man's breast
    assert set(table["age"]) == {52.3} and set(table["sex"]) == {"female"}
    folder = "/mnt/NAS2/mammo/anon_dicom/cohort_1"
    assert reasons(reading) == {
        f"{folder}/7/1/1.2.LXCCL.dcm": "view 'XCCL', not CC or MLO",
        f"{folder}/7/1/1.2.synthetic.dcm": "image type 'cview'",
        f"{folder}/7/1/1.2.screen.dcm": "image type 'ROI_SSC'",
        f"{folder}/7/1/1.2.spot.dcm": "magnified or spot view",
        f"{folder}/7/1/1.2.sideless.dcm": "no side",
        f"{folder}/7/3/1.2.LCC.dcm": NO_FINDING,
        f"{folder}/unknown/1/1.2.nobody.dcm": "no patient id",
        "images/cohort_1/7/1/1.2.more.dcm": "not listed in EMBED_OpenData_metadata_reduced.csv",
    }
    everything = read_with("embed", tmp_path, {"images": "all"})
    assert len(everything.table) == 4 and "image type 'ROI_SSC'" in reasons(everything).values()


def test_embed_other_views_and_repeated_rows_are_left_out(tmp_path):
    embed(tmp_path, [finding(1, "N")], [file(1, view="XCCL"), file(1), file(1)])
    assert sorted(reasons(read("embed", tmp_path)).values()) == [
        "listed more than once; the first row counts",
        "view 'XCCL', not CC or MLO",
    ]


def test_embed_splits_by_patient_and_reads_the_full_tables(tmp_path):
    rows = [(f"{patient}", f"{patient}{exam}") for patient in range(100) for exam in range(2)]
    embed(tmp_path, [finding(exam, "N") for _, exam in rows], [file(exam, patient=patient) for patient, exam in rows])
    tables = tmp_path / "tables"
    (tables / "EMBED_OpenData_metadata_reduced.csv").rename(tables / "EMBED_OpenData_metadata.csv")
    table = read("embed", tmp_path).table
    assert len(table) == 200 and table.groupby("patient_id")["split"].nunique().eq(1).all()
    assert set(table["split"]) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("table", "column"), [("clinical", "path_severity"), ("metadata_reduced", "ImageLateralityFinal")]
)
def test_embed_names_the_missing_column(tmp_path, table, column):
    path = embed(tmp_path, [finding(1, "N")], [file(1)]) / f"tables/EMBED_OpenData_{table}.csv"
    path.write_text(path.read_text().replace(column, "other"))
    with pytest.raises(UserError, match=rf"EMBED_OpenData_{table}\.csv lacks the column {column}"):
        reader("embed").read(tmp_path)


def test_embed_can_do_without_the_columns_that_only_the_full_table_has(tmp_path):
    path = embed(tmp_path, [finding(1, "S", "L", 0, "R")], [file(1)]) / "tables/EMBED_OpenData_clinical.csv"
    path.write_text(path.read_text().replace("bside", "a").replace("age_at_study", "b").replace("GENDER_DESC", "c"))
    table = read("embed", tmp_path).table
    assert table["cancer"].tolist() == [1] and "age" not in table and "sex" not in table
