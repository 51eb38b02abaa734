"""Readers of skin photographs with skin types, on raw layouts as published and as people mangle them."""

import pytest

from medtransfer import datasets
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons

FITZPATRICK = "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,three_partition_label,qc,url,"
FITZPATRICK += "url_alphanum\n"
FITZPATRICK_ROWS = (
    "5e82,3,3,drug induced pigmentary changes,inflammatory,non-neoplastic,,http://x/1.jpg,1.jpg\n"
    "d2ba,-1,3,dermatofibroma,benign dermal,benign,1 Diagnostic,http://x/2.jpg,2.jpg\n"
    "45f7,6,5,kaposi sarcoma,malignant dermal,malignant,3 Wrongly labelled,,\n"
    "45f7,6,5,melanoma,malignant melanoma,malignant,,,\n"
    "0a94,1,1,psoriasis,inflammatory,,5 Potentially,http://x/4.jpg,4.jpg\n"
    "a39e,1,1,psoriasis,inflammatory,non-neoplastic,,http://x/5.jpg,5.jpg\n"
)


@pytest.mark.parametrize("folder", ["images/", "data/finalfitz17k/", ""])
def test_fitzpatrick17k(tmp_path, folder):
    put(tmp_path, {"fitzpatrick17k.csv": FITZPATRICK + FITZPATRICK_ROWS})
    put(tmp_path, images(*(f"{folder}{name}" for name in ("5e82.jpg", "d2ba.png", "45f7.JPG", "0a94.jpg", "ffff.jpg"))))
    reading = read("fitzpatrick17k", tmp_path)
    table = reading.table.set_index("image_id")
    assert table.index.tolist() == ["5e82", "d2ba", "45f7"] and (table["patient_id"] == table.index).all()
    assert table[["malignant", "benign", "non_neoplastic"]].to_numpy().tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert table["skin_type"].fillna("?").tolist() == ["III", "?", "VI"]
    assert table["class_name"].tolist() == ["drug induced pigmentary changes", "dermatofibroma", "kaposi sarcoma"]
    assert reasons(reading) == {
        "45f7": "listed more than once; the first row counts",
        "0a94": "unknown diagnosis ''",
        "a39e": ABSENT,
        f"{folder}ffff.jpg": "not listed in fitzpatrick17k.csv",
    }


def test_fitzpatrick17k_drops_wrong_labels_where_asked_to(tmp_path):
    rows = FITZPATRICK_ROWS.replace("45f7,6,5,melanoma", "ee1d,6,5,melanoma")
    names = images(*(f"{name}.jpg" for name in ("5e82", "d2ba", "45f7", "ee1d", "0a94", "a39e")))
    put(tmp_path, {"fitzpatrick17k.csv": FITZPATRICK + rows} | names)
    kept = datasets.read("fitzpatrick17k", tmp_path, {"quality": "keep"})
    dropped = datasets.read("fitzpatrick17k", tmp_path, {"quality": "drop"})
    assert set(kept.table["image_id"]) - set(dropped.table["image_id"]) == {"45f7"}
    assert reasons(dropped)["45f7"] == "checked and found wrongly labelled"
    assert kept.table.equals(read("fitzpatrick17k", tmp_path).table)
    with pytest.raises(UserError, match=r"quality: keep or drop"):
        datasets.read("fitzpatrick17k", tmp_path, {"quality": "clean"})


def test_fitzpatrick17k_keeps_an_image_in_its_split(tmp_path):
    rows = [f"{number:032x},2,2,acne,inflammatory,non-neoplastic,,,\n" for number in range(300)]
    put(tmp_path / "all", {"fitzpatrick17k.csv": FITZPATRICK + "".join(rows)})
    put(tmp_path / "some", {"fitzpatrick17k.csv": FITZPATRICK + "".join(reversed(rows[::3]))})
    for folder in ("all", "some"):
        put(tmp_path / folder, images(*(f"images/{number:032x}.jpg" for number in range(300))))
    splits = [
        read("fitzpatrick17k", tmp_path / folder).table.set_index("image_id")["split"] for folder in ("all", "some")
    ]
    assert splits[0].loc[splits[1].index].equals(splits[1]) and set(splits[0]) == {"train", "val", "test"}


def test_fitzpatrick17k_names_a_missing_column(tmp_path):
    put(tmp_path, {"fitzpatrick17k.csv": "md5hash,fitzpatrick_scale,label\na,1,acne\n"})
    with pytest.raises(UserError, match=r"fitzpatrick17k\.csv lacks the column three_partition_label"):
        read("fitzpatrick17k", tmp_path)


DDI = ",DDI_ID,DDI_file,skin_tone,malignant,disease\n"
DDI_ROWS = (
    "0,1,000001.png,56,True,melanoma-in-situ\n"
    "1,2,000002.png,12,False,n\xe6vus\n"
    "2,3,000003.png,34,FALSE,folliculitis\n"
    "3,4,000004.png,99,1,mycosis-fungoides\n"
    "4,5,000005.png,34,,acne\n"
    "5,6,000006.png,34,False,acne\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_ddi(tmp_path, encoding):
    put(tmp_path, {"ddi_metadata.csv": (DDI + DDI_ROWS).encode(encoding)})
    put(tmp_path, images(*(f"images/00000{number}.png" for number in (1, 2, 4, 5, 9)), "images/000003.jpg"))
    reading = read("ddi", tmp_path)
    table = reading.table
    assert table["image_id"].tolist() == ["000001", "000002", "000003", "000004"]
    assert table["malignant"].tolist() == [1, 0, 0, 1] and table["benign"].tolist() == [0, 1, 1, 0]
    assert table["skin_type"].fillna("?").tolist() == ["V-VI", "I-II", "III-IV", "?"]
    assert (table["split"] == "test").all() and table["patient_id"].is_unique
    assert reasons(reading) == {
        "000005.png": "malignant is '', not True or False",
        "000006.png": ABSENT,
        "images/000009.png": "not listed in ddi_metadata.csv",
    }


def test_ddi_names_a_missing_column(tmp_path):
    put(tmp_path, {"ddi_metadata.csv": "DDI_ID,DDI_file,disease\n1,000001.png,acne\n"})
    with pytest.raises(UserError, match="lacks the columns skin_tone, malignant"):
        read("ddi", tmp_path)


@pytest.mark.parametrize("lesions", [True, False])
def test_pad_ufes_20_keeps_lesions_where_they_are_told(tmp_path, lesions):
    table = "patient_id,lesion_id,age,gender,fitspatrick,diagnostic,img_id\n"
    table += "PAT_1,11,55,FEMALE,3,ACK,PAT_1_11_1.png\nPAT_1,11,55,FEMALE,3,ACK,PAT_1_11_2.png\n"
    table += "PAT_2,,8,,,MEL,PAT_2_1_1.png\n"
    table = table if lesions else table.replace("lesion_id", "other")
    put(tmp_path, {"metadata.csv": table} | images(*(f"PAT_{name}.png" for name in ("1_11_1", "1_11_2", "2_1_1"))))
    cohort = read("pad_ufes_20", tmp_path).table
    assert ("lesion_id" in cohort) == lesions
    assert not lesions or cohort["lesion_id"].fillna("?").tolist() == ["11", "11", "?"]
