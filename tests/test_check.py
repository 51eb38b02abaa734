"""The check of a raw folder against its card."""

import gzip
from typing import Any

import pandas as pd
import pytest

import read_dataset
from medtransfer.acquire.check import check, in_words
from medtransfer.datasets.card import Card
from medtransfer.errors import UserError
from tests.conftest import ROOT
from tests.raw_layouts import images, put


def card_of(*files):
    known = dict.fromkeys(("title", "version", "home", "licence", "citation"), "x")
    unknown: dict[str, Any] = {"n_images": None, "n_patients": None, "labels": [], "quirks": [], "confidence": []}
    return Card.model_validate({**known, **unknown, "access": "open", "tested": "layout", "files": list(files)})


def verdicts(raw, *files):
    checked = check(card_of(*files), raw)
    assert list(checked.columns) == ["path", "what", "expected", "found", "verdict"]
    return [(row.what, row.found, row.verdict) for row in checked.itertuples()]


def test_a_complete_folder_is_ok(tmp_path):
    put(tmp_path, {"a/table.csv": "id,Sex\n1,F\n2,M\n", **images("a/images/1.png", "b/images/2.png")})
    assert verdicts(
        tmp_path,
        {"path": "table.csv", "rows": 2, "columns": ["id", "sex|gender"]},
        {"path": "images/*.png", "count": 2},
    ) == [
        ("files", "1", "ok"),
        ("rows", "2", "ok"),
        ("column id", "there", "ok"),
        ("column sex|gender", "there", "ok"),
        ("files", "2", "ok"),
    ]


def test_other_numbers_are_told_and_missing_things_named(tmp_path):
    put(tmp_path, {"table.csv": "id\n1\n", **images("1.png")})
    checked = check(
        card_of(
            {"path": "table.csv", "rows": 2, "columns": ["id", "age"]},
            {"path": "*.png", "count": 2},
            {"path": "list.txt"},
            {"path": "more.txt", "optional": True},
        ),
        tmp_path,
    )
    assert in_words(checked, "differs") == [
        "table.csv: rows, expected 2, found 1",
        "*.png: files, expected 2, found 1",
    ]
    assert in_words(checked, "missing") == [
        "table.csv: column age, expected there, found not there",
        "list.txt: files, expected 1 or more, found 0",
    ]


@pytest.mark.parametrize("raw", ["empty", "absent"])
def test_an_empty_or_absent_folder_lacks_what_is_required(tmp_path, raw):
    (tmp_path / "empty").mkdir()
    files = {"path": "table.csv", "columns": ["id"]}, {"path": "*.png"}, {"path": "a.txt", "optional": True}
    assert [verdict for *_, verdict in verdicts(tmp_path / raw, *files)] == ["missing", "missing", "ok"]


TABLES = {
    "line breaks in cells": b'id,text\n1,"two\nlines"\n2,"a ""quote"",\n\nand more"\n',
    "byte-order mark": "\ufeffid,text\n1,é\n2,ü\n".encode(),
    "Windows-1252": "id,text\n1,é\n2,“\n".encode("cp1252"),
    "UTF-8": "id,text\n1,é\n2,“\n".encode(),
    "Windows line ends": b"id,text\r\n1,a\r\n2,b\r\n",
    "no last line end": b"id,text\n1,a\n2,b",
    "trailing commas": b"id,text\n1,a,\n2,b,\n",
    "spaced header": b" ID , text\n1,a\n2,b\n",
    "extra index column": b",id,text\n0,1,a\n1,2,b\n",
}


@pytest.mark.parametrize("content", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.tab"])
def test_rows_and_columns_are_found_however_a_table_is_written(tmp_path, content, name):
    if name.endswith(".tab"):
        content = content.replace(b",", b"\t")
    put(tmp_path, {name: gzip.compress(content) if name.endswith(".gz") else content})
    pattern = name.removesuffix(".gz")
    assert verdicts(tmp_path, {"path": pattern, "rows": 2, "columns": ["id", "text"]}) == [
        ("files", "1", "ok"),
        ("rows", "2", "ok"),
        ("column id", "there", "ok"),
        ("column text", "there", "ok"),
    ]


@pytest.mark.parametrize("content", [b"", b'a,b\n"1,2\n', gzip.compress(b"id\n1\n" * 999)[:40]])
def test_a_table_that_cannot_be_read_is_missing_with_its_reason(tmp_path, content):
    put(tmp_path, {"table.csv.gz" if content[:2] == b"\x1f\x8b" else "table.csv": content})
    (_, (what, found, verdict)) = verdicts(tmp_path, {"path": "table.csv", "columns": ["id"]})
    assert (what, verdict) == ("rows", "missing") and found.startswith("unreadable: ")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("metadata.csv", 2),  # in any folder, in any case
        ("tables/*.csv", 1),
        ("*.csv", 3),
        ("images/*.png", 2),  # converted copies count; companions of the dataset and hidden files do not
        ("p*/s*/*.jpg", 1),
        ("p*.jpg", 0),  # a * stays within a name
        ("a[1].txt", 1),
        ("a?.txt", 0),
        ("LICENCE", 1),
    ],
)
def test_patterns_are_compared_with_the_end_of_paths(tmp_path, pattern, expected):
    files = ["metadata.csv", "old/Metadata.CSV", "tables/xmetadata.csv", "images/1.png", "images/2.jpg", "a[1].txt"]
    files += ["images/.3.png", ".incoming/images/4.png", "originals_sample/images/1.png", "x/p1/s2/3.JPG", "LICENCE"]
    put(tmp_path, images(*files))
    ((what, found, _),) = verdicts(tmp_path, {"path": pattern, "optional": True})
    assert (what, found) == ("files", str(expected))


def read(raw, out):
    card = str(ROOT / "config" / "datasets" / "pad_ufes_20.yaml")
    tables = [str(out / name) for name in ("checked.csv", "listed.parquet", "rejected.csv")]
    read_dataset.main("phones", "pad_ufes_20", {}, card, str(raw), False, *tables)
    return pd.read_csv(tables[0], dtype="str").set_index(["path", "what"])["verdict"]


def test_reading_a_dataset_tells_first_what_its_folder_lacks(tmp_path, capsys):
    put(tmp_path / "raw", {"metadata.csv": "patient_id,diagnostic\nPAT_1,BCC\n"})
    with pytest.raises(UserError) as error:
        read(tmp_path / "raw", tmp_path)
    assert "column img_id, expected there, found not there" in str(error.value)
    assert "PAT_*.png: files, expected 2298, found 0" in str(error.value) and "mendeley" in str(error.value)
    table = "patient_id,lesion_id,diagnostic,img_id,age,gender,fitspatrick\nPAT_1,1,BCC,PAT_1_1_1.png,50,FEMALE,2\n"
    put(tmp_path / "raw", {"metadata.csv": table, **images("PAT_1_1_1.png")})
    verdicts = read(tmp_path / "raw", tmp_path)
    assert verdicts["PAT_*.png", "files"] == "differs" and verdicts["metadata.csv", "column img_id"] == "ok"
    assert "phones: PAT_*.png: files, expected 2298, found 1" in capsys.readouterr().err
    assert len(pd.read_parquet(tmp_path / "listed.parquet")) == 1
