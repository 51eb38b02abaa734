"""Mini-MIAS: a table inside prose."""

import pytest

from medtransfer.datasets import reader
from medtransfer.datasets.base import ABSENT
from medtransfer.errors import UserError
from tests.raw_layouts import images, put, read, reasons

PROSE = "      MINI MAMMOGRAPHIC DATABASE\r\nmdb is the prefix of all films, 1st column: reference number.\r\n"
LINES = (
    "mdb001 G CIRC B 535 425 197\r\nmdb002 G NORM \r\nmdb003 D CALC M *NOTE 3*\r\nmdb003 D CIRC B 522 280 69\r\n"
    "mdb004 D NORM\r\nmdb005 F CIRC\r\nmdb006 F NORM\r\nmdb007 F\r\nmdb322 F CALC B\r\n====\r\n"
)


def test_mini_mias(tmp_path):
    put(tmp_path, {"all-mias/Info.txt": PROSE + LINES})
    put(tmp_path, images(*(f"all-mias/mdb00{n}.pgm" for n in (1, 2, 3, 5, 7, 8)), "png/mdb004.PNG", "mdb322.pgm"))
    reading = read("mini_mias", tmp_path)
    table = reading.table.set_index("image_id")
    assert list(table.index) == ["mdb001", "mdb002", "mdb003", "mdb004", "mdb322"]
    assert table["cancer"].tolist() == [0, 0, 1, 0, 0] and table["abnormal"].tolist() == [1, 0, 1, 0, 1]
    assert table["patient_id"].tolist() == ["pair001", "pair001", "pair002", "pair002", "pair161"]
    assert table["laterality"].tolist() == ["R", "L", "R", "L", "L"]
    assert (table.loc["mdb001", "split"], table.loc["mdb003", "split"]) == (
        table.loc["mdb002", "split"],
        table.loc["mdb004", "split"],
    )
    unreadable = "a line without kind or severity of the abnormality"
    assert reasons(reading) == {
        "mdb005.pgm": unreadable,
        "mdb006.pgm": ABSENT,
        "mdb007.pgm": unreadable,
        "all-mias/mdb008.pgm": "not listed in Info.txt",
    }


@pytest.mark.parametrize(
    "content", [LINES.upper().encode("utf-8-sig"), (PROSE + "\x92 caf\xe9\n" + LINES).encode("latin-1")]
)
def test_mini_mias_in_other_case_and_encoding(tmp_path, content):
    put(tmp_path, {"Info.txt": content} | images("mdb001.pgm"))
    assert read("mini_mias", tmp_path).table["abnormal"].tolist() == [1]


def test_mini_mias_without_its_table(tmp_path):
    put(tmp_path, {"Info.txt": PROSE} | images("mdb001.pgm"))
    with pytest.raises(UserError, match=r"Info\.txt has no line that begins with a film's number"):
        reader("mini_mias").read(tmp_path)
