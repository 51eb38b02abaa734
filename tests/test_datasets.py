"""What readers share: splits, tables, images and the rule that nothing vanishes."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtransfer.datasets import known_datasets, reader
from medtransfer.datasets import read as read_with
from medtransfer.datasets._raw import Images, read_table
from medtransfer.datasets._splits import check_splits, split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex, tidy_view
from medtransfer.datasets.card import load_card, missing_raw_message
from medtransfer.errors import UserError
from medtransfer.imaging.prepare import PREPARATIONS
from tests.conftest import ROOT
from tests.raw_layouts import images, put, read


def test_every_dataset_has_a_reader_and_a_card_that_agree():
    cards = sorted(path.stem for path in (ROOT / "config" / "datasets").glob("*.yaml"))
    assert cards == known_datasets()
    for dataset in known_datasets():
        card, module = load_card(ROOT / "config" / "datasets" / f"{dataset}.yaml"), reader(dataset)
        assert tuple(card.labels) == module.LABELS, dataset
        policies = {name: tuple(choices) for name, choices in card.policies.items()}
        assert policies == getattr(module, "POLICIES", {}), dataset
        assert module.CHANNELS in (1, 3)
        assert getattr(module, "PREPARATION", "none") in PREPARATIONS
        defaults = {name: choices[0] for name, choices in policies.items()}
        assert (module.read.__kwdefaults__ or {}) == defaults, dataset
        message = missing_raw_message(card, Path("raw/x"))
        assert card.home in message and "raw/x" in message and card.files[0].path in message


def test_a_card_with_a_mistake_is_told_with_file_and_key(tmp_path):
    put(tmp_path, {"x.yaml": "title: X\nacess: open\n"})
    with pytest.raises(UserError, match=r"(?s)x\.yaml.*licence: Field required.*acess"):
        load_card(tmp_path / "x.yaml")


def test_a_policy_that_a_reader_does_not_have_is_told_with_those_it_has(tmp_path):
    for policy, choice in (("implants", "hide"), ("implant", "drop")):
        with pytest.raises(UserError, match=f"no policy {policy}: {choice}.*implants: keep or drop"):
            read_with("rsna_mammo", tmp_path, {policy: choice})


def test_an_unknown_dataset_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"'chexprt'.*chexpert"):
        reader("chexprt")


@pytest.mark.parametrize("dataset", known_datasets())
def test_missing_raw_data_says_where_it_was_looked_for_and_what_is_expected(dataset, tmp_path):
    for raw in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match=r"(?s)Missing in .*Expected: "):
            reader(dataset).read(raw)


@given(st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_a_split_depends_on_the_id_alone(ids):
    shares = {"train": 0.7, "val": 0.1, "test": 0.2}
    splits = split_by_hash(pd.Series(ids), shares)
    assert splits.tolist() == [split_by_hash(pd.Series([one]), shares)[0] for one in ids]


def test_splits_have_about_their_shares_and_never_change():
    ids = pd.Series([f"patient{number}" for number in range(20_000)])
    splits = split_by_hash(ids, {"train": 0.7, "val": 0.1, "test": 0.2})
    assert splits.value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.01
    )
    position = int(hashlib.sha256(b"patient0").hexdigest()[:12], 16) / 16**12
    assert splits[0] == ("train" if position < 0.7 else "val" if position < 0.8 else "test")


def test_a_patient_in_two_splits_is_an_error_that_names_both():
    cohort = pd.DataFrame({"patient_id": ["a", "b", "b"], "split": ["test", "train", "val"]})
    with pytest.raises(UserError, match="b in train, val"):
        check_splits(cohort)
    check_splits(cohort[:2])


def test_tables_with_bom_spaces_other_case_or_compression_are_read(tmp_path):
    text = "\ufeff ID , Sex,Age\r\n a ,M, 1\r\nb\r\n"
    put(tmp_path, {"a.csv": text, "b.csv.gz": gzip.compress(text.encode()), "c.tab": text.replace(",", "\t")})
    expected = pd.DataFrame({"id": ["a", "b"], "sex": ["M", ""], "other": ["", ""]}, dtype="str")
    for name in ("a.csv", "b.csv.gz", "c.tab"):
        table = read_table(tmp_path / name, {"id": "id", "sex": "gender|sex"}, optional={"other": "Other"})
        pd.testing.assert_frame_equal(table, expected)


def test_workbooks_are_read_like_other_tables(tmp_path):
    pd.DataFrame({"ID ": ["007", "8"], "Age": [61, None]}).to_excel(tmp_path / "a.xlsx", index=False)
    expected = pd.DataFrame({"id": ["007", "8"], "age": ["61", ""]}, dtype="str")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.xlsx", {"id": "id", "age": "age"}), expected)
    (tmp_path / "b.xlsx").write_bytes((tmp_path / "a.xlsx").read_bytes()[:2000])
    with pytest.raises(UserError, match=r"b\.xlsx cannot be read as a workbook"):
        read_table(tmp_path / "b.xlsx", {"id": "id"})


def test_an_unreadable_table_is_an_error_that_names_file_and_columns(tmp_path):
    put(tmp_path, {"a.csv": "x,y\n1,2\n", "empty.csv": "", "cut.csv.gz": gzip.compress(bytes(range(32, 127)) * 9)[:40]})
    with pytest.raises(UserError, match=r"a\.csv lacks the columns Path, Sex or Gender\. It has: x, y\."):
        read_table(tmp_path / "a.csv", {"file": "Path", "sex": "Sex|Gender", "x": "X"})
    for name in ("empty.csv", "cut.csv.gz"):
        with pytest.raises(UserError, match=name):
            read_table(tmp_path / name, {"x": "x"})


def test_ages_sexes_and_views():
    written = ["058Y", "010M", "003W", "50+", "mid 50s", "1.5", "", "unknown", "-1", "414", "0", "90"]
    expected = [58, 10 / 12, 21 / 365.25, 50, 50, 1.5, np.nan, np.nan, np.nan, np.nan, 0, 90]
    assert tidy_age(pd.Series(written, dtype="str")).tolist() == pytest.approx(expected, nan_ok=True)
    sexes = tidy_sex(pd.Series(["M", "female", " F ", "Unknown", "", "O"], dtype="str"))
    assert sexes.fillna("?").tolist() == ["male", "female", "female", "?", "?", "?"]
    views = tidy_view(pd.Series(["PA", "AP Supine", "AP erect", "L", "?", ""], dtype="str"))
    assert views.fillna("?").tolist() == ["PA", "AP", "AP", "lateral", "?", "?"]


def test_images_are_found_under_other_suffixes_unless_another_row_owns_the_file():
    found = Images(["x/a.JPG", "x/b.jpeg", "x/CR.1.2.png"], depth=1)
    assert found.match(["a.png", "b", "CR.1.2.png", "CR.1.2"]) == ["x/a.JPG", "x/b.jpeg", "x/CR.1.2.png", None]
    assert found.match(["a.png", "a.JPG"]) == [None, "x/a.JPG"]


names = st.sampled_from(["a.png", "b.png", "b.jpg", "c", "c.PNG", "d.e.png", ""])


@given(
    listed=st.lists(names, min_size=1, max_size=8), on_disk=st.sets(names.filter(lambda name: "." in name), max_size=5)
)
def test_every_listed_row_and_every_file_ends_in_the_table_or_among_the_rejected(tmp_path_factory, listed, on_disk):
    raw = tmp_path_factory.mktemp("raw")
    table = "".join(f"{number % 3},M,5,COVID-19,PA,X-ray,{name}\n" for number, name in enumerate(listed))
    put(raw, {"metadata.csv": "patientid,sex,age,finding,view,modality,imagename\n" + table})
    put(raw, images(*(f"images/{name}" for name in on_disk)))
    reading = read("actualmed", raw)
    unused = on_disk - {Path(path).name for path in reading.table["path"]}
    assert len(reading.table) + len(reading.rejected) == len(listed) + len(unused)
