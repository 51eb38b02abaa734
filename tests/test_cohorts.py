"""Cohorts put together from datasets, and images that the configuration excludes."""

import numpy as np
import pandas as pd
import pytest
import yaml

from medtransfer.cohorts import exclude, label_columns
from medtransfer.config import Cohort
from medtransfer.datasets import reader
from medtransfer.derived import derive
from medtransfer.errors import UserError
from medtransfer.training.examples import examples
from tests.conftest import ROOT


def cohort(dataset: str, **columns) -> pd.DataFrame:
    """Two patients, three images; label columns are given as lists."""
    table = pd.DataFrame(
        {
            "dataset": dataset,
            "row": [0, 1, 2],
            "image_id": ["a", "b", "c"],
            "patient_id": ["1", "1", "2"],
            "study_id": ["s", "s", "t"],
            "path": [f"{dataset}/{name}.png" for name in "abc"],
        }
    )
    labels = {
        name: pd.array(values, dtype="Int8") for name, values in columns.items() if name not in ("view", "uncertain")
    }
    others = {name: values for name, values in columns.items() if name not in labels}
    return table.assign(**others, **labels, split=["train", "train", "test"])


ONE = cohort(
    "one", no_finding=[1, 0, None], edema=[None, 1, 0], support_devices=[1, 0, None], view=["PA", "lateral", None]
)
TWO = cohort("two", edema=[0, 0, 1], hernia=[1, 0, 0], view=["AP", "AP", "PA"])


def definition(**settings) -> Cohort:
    return Cohort.model_validate({"title": "Both", "of": ["one", "two"], **settings})


def test_ids_of_several_datasets_are_kept_apart():
    table, rejected = derive("both", definition(), {"one": ONE, "two": TWO})
    assert table["image_id"].is_unique and table["patient_id"].nunique() == 4 and rejected.empty
    assert table["image_id"].tolist()[:1] == ["one/a"] and table["row"].tolist() == [0, 1, 2, 0, 1, 2]
    assert table["hernia"].isna().tolist() == [True] * 3 + [False] * 3


def test_a_part_of_one_dataset_keeps_its_ids_and_says_what_it_leaves_out():
    table, rejected = derive("pa", definition(of=["one"], where={"view": ["PA"]}), {"one": ONE})
    assert table["image_id"].tolist() == ["a"]
    assert rejected["file"].tolist() == ["one/b.png", "one/c.png"]
    assert rejected["reason"].tolist() == ["view lateral is not PA", "view missing is not PA"]
    with pytest.raises(UserError, match="no row of one fits"):
        derive("none", definition(of=["one"], where={"view": ["oblique"]}), {"one": ONE})
    with pytest.raises(UserError, match="no column 'machine'"):
        derive("none", definition(of=["one"], where={"machine": ["7"]}), {"one": ONE})


def test_shared_labels_are_those_that_every_dataset_has_values_for():
    empty = TWO.assign(no_finding=pd.array([None] * 3, dtype="Int8"))
    table, _ = derive("both", definition(labels="shared"), {"one": ONE, "two": empty})
    assert [column for column in table if str(table[column].dtype) == "Int8"] == ["edema"]
    named, _ = derive("both", definition(labels=["edema", "hernia"]), {"one": ONE, "two": TWO})
    assert "support_devices" not in named and {"edema", "hernia"} <= set(named)
    with pytest.raises(UserError, match=r"no dataset has \['gout'\]"):
        derive("both", definition(labels=["gout"]), {"one": ONE, "two": TWO})


@pytest.mark.parametrize(("name", "n_labels"), [("chest_cm", 13), ("chest_cmn", 7), ("chest_cmnp", 7)])
def test_merged_chest_sets_have_as_many_labels_as_published(name, n_labels):
    """Cherti & Jitsev 2021, code: 13 findings for two sets; with ChestX-ray14 and PadChest these seven."""
    settings = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())["cohorts"][name]
    tables = {
        dataset: cohort(dataset, view=["PA"] * 3, **{label: [1, 0, 0] for label in reader(dataset).LABELS})
        for dataset in settings["of"]
    }
    table, _ = derive(name, Cohort.model_validate(settings), tables)
    labels = set(label_columns(table))
    seven = {"atelectasis", "cardiomegaly", "consolidation", "edema", "effusion", "pneumonia", "pneumothorax"}
    assert len(labels) == n_labels and seven <= labels and len(table) == 3 * len(tables)


@pytest.mark.parametrize(
    ("policy", "devices", "edema"), [("as_read", 1, -1), ("clears_findings", 1, 0), ("clears_all", 0, 0)]
)
def test_what_no_finding_says_of_other_labels_is_a_choice(policy, devices, edema):
    uncertain = ONE.assign(uncertain=["edema|support_devices", "edema", ""])
    table, _ = derive("one", definition(of=["one"], no_finding=policy), {"one": uncertain})
    first = table.fillna({"edema": -1}).iloc[0]
    assert (first["support_devices"], first["edema"]) == (devices, edema)
    left = {"as_read": "edema|support_devices", "clears_findings": "support_devices", "clears_all": ""}
    assert table["uncertain"].tolist() == [left[policy], "edema", ""]
    assert table["edema"].tolist()[1:] == [1, 0] and ("no_finding" in table) == (policy == "as_read")


def test_a_label_can_stand_for_any_of_several():
    table = ONE.assign(mel=pd.array([1, 0, 0], "Int8"), bcc=pd.array([None, 0, None], "Int8"))
    derived, _ = derive("one", definition(of=["one"], any_of={"malignant": ["mel", "bcc"]}), {"one": table})
    assert derived["malignant"].tolist()[:2] == [1, 0] and derived["malignant"].isna().tolist() == [False, False, True]
    assert derived["malignant"].dtype == "Int8"
    alone = definition(of=["one"], any_of={"malignant": ["mel", "bcc"]}, labels=["malignant"])
    assert "mel" not in derive("one", alone, {"one": table})[0]
    with pytest.raises(UserError, match=r"any_of.malignant: there is no label \['scc'\]"):
        derive("one", definition(of=["one"], any_of={"malignant": ["mel", "scc"]}), {"one": table})


def test_excluded_images_are_taken_out_and_listed(tmp_path):
    path = tmp_path / "leaks.csv"
    path.write_text("dataset,image_id,reason\none,b,same as two/x\ntwo,a,other\none,zz,not there\n")
    kept, excluded = exclude(ONE, "one", [str(path)])
    assert kept["image_id"].tolist() == ["a", "c"]
    assert excluded.to_dict("records") == [{"file": "one/b.png", "reason": f"excluded by {path}: same as two/x"}]
    path.write_text("image\nb\n")
    with pytest.raises(UserError, match="lacks the columns"):
        exclude(ONE, "one", [str(path)])


def test_every_image_of_a_merged_cohort_comes_from_its_own_store():
    table, _ = derive("both", definition(), {"one": ONE, "two": TWO})
    stores = {
        name: np.full((3, 4, 4), start, dtype=np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None]
        for name, start in (("one", 10), ("two", 20))
    }
    shown = examples(table, stores, np.zeros((6, 1), dtype=np.float32))
    assert shown.pixels(np.array([5, 0, 3, 1]))[:, 0, 0, 0].tolist() == [22, 10, 20, 11]
    with pytest.raises(UserError, match="different shapes"):
        examples(table, stores | {"two": np.zeros((3, 5, 5), dtype=np.uint8)}, np.zeros((6, 1), dtype=np.float32))
