"""A cohort's page and its numbers: equal to counts by hand, the same every time, safe whatever a table says."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import cohort_quality
import duplicates as duplicates_script
from medtransfer.quality.counts import counts, tally
from medtransfer.quality.mosaic import GAP, SIDE, mosaic, sample
from medtransfer.quality.pairs import describe, read_pairs
from tests.conftest import ROOT

HOSTILE = '<script>alert("x")</script>{{ 7 * 7 }}&amp;'


def cohort() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "row": range(8),
            "image_id": ["i0", "i1", "i2", "i3", "i4", "i5", "i6", HOSTILE],
            "patient_id": ["p0", "p0", "p1", "p2", "p3", "p3", "p4", "0005"],
            "effusion": [1, 0, pd.NA, 1, 0, 0, 1, pd.NA],
            "edema": [pd.NA] * 8,
            "sex": ["female", "female", "male", None, "male", "male", HOSTILE, "female"],
            "age": [17.9, 18.0, 39.9, 40.0, 80.0, np.nan, 0.0, 79.9],
            "split": ["train"] * 4 + ["test"] * 4,
        }
    )
    return table.astype({"effusion": "Int8", "edema": "Int8"})


def number(table: pd.DataFrame, name: str, value: str, split: str) -> int:
    chosen = table[(table["name"] == name) & (table["value"] == value) & (table["split"] == split)]
    (count,) = chosen["count"]
    return int(count)


def test_counts_are_those_by_hand():
    table = counts(cohort())
    assert list(table) == ["section", "name", "value", "split", "count"]
    for name, value, train, test in (
        ("size", "images", 4, 4),
        ("size", "patients", 3, 3),
        ("effusion", "positive", 2, 1),
        ("effusion", "negative", 1, 2),
        ("effusion", "missing", 1, 1),
        ("edema", "positive", 0, 0),
        ("edema", "missing", 4, 4),
        ("sex", "female", 2, 1),
        ("sex", "male", 1, 2),
        ("sex", "missing", 1, 0),
        ("age", "under 18", 1, 1),
        ("age", "18 to 39", 2, 0),
        ("age", "40 to 59", 1, 0),
        ("age", "60 to 79", 0, 1),
        ("age", "80 and over", 0, 1),
        ("age", "missing", 0, 1),
    ):
        assert [number(table, name, value, split) for split in ("train", "val", "test")] == [train, 0, test], (
            name,
            value,
        )
    assert set(table["name"]) == {"size", "effusion", "edema", "sex", "age"}
    for name, part in table[table["section"] != "size"].groupby("name"):
        assert part["count"].sum() == 8, name


def test_classes_count_as_a_subgroup_where_there_are_no_labels():
    table = counts(cohort()[["row", "image_id", "patient_id", "split"]].assign(class_name=list("aabbaacc")))
    assert number(table, "class_name", "a", "train") == 2 and number(table, "class_name", "c", "test") == 2
    assert "label" not in set(table["section"])


def test_reasons_are_tallied_most_frequent_first():
    table = tally(pd.Series(["rare", "often", "often"]), "rejected")
    assert table[["name", "count"]].to_numpy().tolist() == [["often", 2], ["rare", 1]]
    assert tally(pd.Series(dtype="str"), "note").empty


def test_samples_are_the_same_every_time_and_take_each_label_in_turn():
    table = pd.DataFrame({"image_id": [f"i{n}" for n in range(100)], "class_name": ["common"] * 97 + ["rare"] * 3})
    chosen = sample(table, 6)
    assert (chosen["class_name"] == "rare").sum() == 3
    shuffled = sample(table.sample(frac=1, random_state=0), 6)
    assert shuffled["image_id"].tolist() == chosen["image_id"].tolist()
    assert len(sample(table.head(2), 6)) == 2
    labelled = pd.DataFrame({"image_id": list("abcd"), "x": [0, 0, pd.NA, 1], "y": [0, 1, 1, 1]})
    assert set(sample(labelled.astype({"x": "Int8", "y": "Int8"}), 3)["image_id"]) >= {"a", "d"}


def test_mosaics_mix_sizes_and_colours():
    images = [np.full((48, 48), 10, np.uint8), np.full((32, 32, 3), [0, 200, 0], np.uint8), np.zeros((8, 8), np.uint8)]
    picture = mosaic(images, 2)
    assert picture.size == (2 * SIDE + GAP, 2 * SIDE + GAP)
    assert picture.getpixel((5, 5)) == (10, 10, 10) and picture.getpixel((SIDE + GAP + 5, 5)) == (0, 200, 0)
    assert picture.getpixel((SIDE + GAP + 5, SIDE + GAP + 5)) == (255, 255, 255)


class Page(HTMLParser):
    """Tags, their attributes and the text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder in which both scripts have run on two small cohorts: image i3 copies i0, image other 0 copies i6."""
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16), dtype=np.uint8)
    images = np.stack([np.asarray(Image.fromarray(image).resize((64, 64))) for image in images])
    images[3], images[7] = images[0], 255
    np.save(tmp_path / "mine.npy", images)
    np.save(tmp_path / "other.npy", images[[6, 5]])
    cohort().assign(dataset="mine").to_parquet(tmp_path / "mine.parquet")
    other = pd.DataFrame(
        {"dataset": "other", "row": [0, 1], "image_id": ["o0", "o1"], "patient_id": ["p4", "p3"], "split": "train"}
    )
    other.to_parquet(tmp_path / "other.parquet")
    pd.DataFrame({"file": ["a.png", "b.png"], "reason": [HOSTILE, HOSTILE]}).to_csv(
        tmp_path / "rejected.csv", index=False
    )
    notes = pd.DataFrame({"row": [1, 99], "file": ["a.png", "z.png"], "note": ["16 bit", "not of this cohort"]})
    notes.to_csv(tmp_path / "notes.csv", index=False)
    paths = {name: str(tmp_path / name) for name in ("mine", "other")}
    duplicates_script.main(
        {name: f"{path}.parquet" for name, path in paths.items()},
        {name: f"{path}.npy" for name, path in paths.items()},
        "other",
        ["mine", "other"],
        2,
        str(tmp_path / "duplicates.csv"),
        str(tmp_path / "leaks.csv"),
    )
    cohort_quality.main(
        cohort=str(tmp_path / "mine.parquet"),
        facts={"cohort": "mine", "title": HOSTILE, "note": HOSTILE},
        images={name: f"{path}.npy" for name, path in paths.items()},
        rejected=[str(tmp_path / "rejected.csv")],
        notes={"mine": str(tmp_path / "notes.csv")},
        duplicates=[str(tmp_path / "duplicates.csv")] * 2,
        template=str(ROOT / "report" / "cohort.html.j2"),
        page=str(tmp_path / "page.html"),
        table=str(tmp_path / "counts.csv"),
    )
    return tmp_path


def test_leaks_of_two_cohorts_are_written(made):
    leaked = pd.read_csv(made / "leaks.csv")
    assert leaked[["dataset", "image_id"]].to_numpy().tolist() == [["other", "o0"], ["other", "o1"]]
    assert leaked["reason"][0] == "duplicate of mine i6, in the test split"


def test_the_table_holds_what_the_page_shows(made):
    table = pd.read_csv(made / "counts.csv", keep_default_na=False)
    found = table[table["section"] == "duplicates"].set_index("name")["count"].to_dict()
    assert found == {
        "with cohort other; same pixels; one in test, one in train": 2,
        "different patient ids; same pixels; both in train": 1,
    }
    assert table[table["section"] == "rejected"][["name", "count"]].to_numpy().tolist() == [[HOSTILE, 2]]
    page = Page((made / "page.html").read_text())
    text = re.sub(r"\s+", " ", page.text)
    assert "patients 3 3 6" in text and "effusion 2 / 3 (66.7%) 1 1 / 3 (33.3%) 1" in text
    assert "edema 0 / 0 4 0 / 0 4" in text and "60 to 79 0 1 1" in text
    assert "1 images are blank" in text and "16 bit 1" in text and "not of this cohort" not in text
    assert "patient 0005" not in text
    assert "Not stated by this dataset: race, view" in text
    assert page.tags.count("img") == 3 + 2  # three pairs, a sample of each split that has images


def test_pages_need_nothing_else_and_escape_what_tables_say(made):
    page = Page((made / "page.html").read_text())
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 4  # title, note, rejection, sub-group: as text
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)


def test_pairs_keep_ids_as_text_and_count_once(made):
    pairs = read_pairs([made / "duplicates.csv", made / "duplicates.csv"], "mine")
    assert len(pairs) == 3 and len(describe(pairs, "mine")) == 3
    assert read_pairs([], "mine").empty and read_pairs([made / "duplicates.csv"], "nobody").empty
    both = pd.read_csv(made / "duplicates.csv")
    both.assign(image_id_a="007", patient_id_a="0005").to_csv(made / "text.csv", index=False)
    assert set(read_pairs([made / "text.csv"], "mine")["patient_id_a"]) == {"0005"}
