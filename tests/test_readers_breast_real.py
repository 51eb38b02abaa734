"""Readers of mammograms on real files."""

import pandas as pd
import pytest

from medtransfer.datasets import cmmd, reader
from medtransfer.datasets.base import ABSENT, Reading
from tests.conftest import REALDATA

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def reading() -> Reading:
    return reader("mini_mias").read(REALDATA / "mini_mias")


@pytest.fixture(scope="module")
def bundle() -> pd.DataFrame:
    return pd.read_csv(REALDATA / "mini_mias" / "files.csv")


def test_every_film_of_the_table_is_taken_or_listed_as_absent(reading, bundle):
    assert len(reading.table) == 262 and len(reading.table) + len(reading.rejected) == 322
    assert (reading.rejected["reason"] == ABSENT).all()
    expected = bundle.set_index("refnum")["bundle_path"].str.removeprefix("mini_mias/").to_dict()
    assert reading.table.set_index("image_id")["path"].to_dict() == expected


def test_labels_and_pairs_agree_with_the_list_of_the_bundle(reading, bundle):
    table = reading.table.set_index("image_id")
    assert set(table.index[table["cancer"] == 1]) == set(bundle["refnum"][bundle["severity"] == "M"])
    assert set(table.index[table["abnormal"] == 0]) == set(bundle["refnum"][bundle["abnormality"] == "NORM"])
    assert (table["cancer"].sum(), table["abnormal"].sum()) == (47, 101)
    assert table.loc[bundle["refnum"], "patient_id"].tolist() == [f"pair{pair:03d}" for pair in bundle["pair_id"]]
    assert table.groupby("patient_id")["laterality"].agg("".join).isin(["RL"]).all()


def test_no_pair_is_torn_apart_and_every_split_has_cancers(reading):
    assert (reading.table.groupby("patient_id")["split"].nunique() == 1).all()
    assert (reading.table.groupby("split")["cancer"].sum() >= 5).all()
    assert reading.table["split"].nunique() == 3


def test_patient_side_and_view_of_a_mammogram_header():
    # This file has the side of its series, not of its image, and ViewPosition in place of a view code.
    assert cmmd._header(REALDATA / "dicom" / "rob" / "WG04_J2KI_MG1_J2KI") == ("3MG1", "L", "MLO")
