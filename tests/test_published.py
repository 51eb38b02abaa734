"""Published numbers: what is kept of them, when ours stand beside them, and when nothing may."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtransfer.config import Config, load
from medtransfer.errors import UserError
from medtransfer.review.published import COLUMNS, read_published, remarks, side_by_side
from tests.conftest import ROOT

FIVE = ["atelectasis", "cardiomegaly", "consolidation", "edema", "effusion"]
ROW = {
    **dict.fromkeys(COLUMNS, "x"),
    "paper": "raghu2019",
    "task": "chexpert5",
    "cohort": "CheXpert (scored split unknown)",
    "backbone": "bit_r50x1",
    "upstream": "random",
    "budget": "full",
    "metric": "auc_edema",
    "value": "88.70",
    "sd": "0.13",
    "n_seeds": "3",
    "confidence": "second-hand",
}


def config(synthetic: bool = False, dataset: str = "chexpert", labels: list[str] = FIVE) -> Config:
    task = {"title": "Chest", "kind": "multilabel", "labels": labels, "id_cohort": dataset, "flip": False}
    grid = {"tasks": ["chest5"], "backbones": ["r50x1"], "upstreams": ["none"], "seeds": [0, 1]}
    roles = {"small": "r50x1", "large": "r50x1", "none": "none", "narrow": "none", "broad": "none"}
    content: dict[str, Any] = {"tier": "t", "tasks": {"chest5": task}, "metrics": {}}
    content["studies"] = {"scale": {"roles": roles, "arms": {"scale": [grid]}}}
    if synthetic:
        content["synthetic"] = {dataset: {"patients": 100, "size": 80}}
    return load(content, "test")


def metrics(**changes: Any) -> pd.DataFrame:
    """Two seeds of one cell."""
    place = {"task": "chest5", "backbone": "r50x1", "upstream": "none", "initialisation": "random", "recipe": "rule"}
    place |= {"budget": "pct100", "cohort": "chexpert", "split": "test", "subgroup_by": "all", "subgroup": "all"}
    return pd.DataFrame(
        [
            {**place, "seed": seed, "label": "edema", "metric": "auc", "value": value, "n": 400} | changes
            for seed, value in ((0, 0.85), (1, 0.87))
        ]
    )


def beside(row: dict[str, str], settings: Config, table: pd.DataFrame, study: str = "transfusion") -> dict[str, str]:
    (found,) = side_by_side(pd.DataFrame([row]), table, settings, [study]).to_dict("records")
    return {str(key): value for key, value in found.items()}


def test_the_shipped_table_is_read_and_keeps_every_confidence():
    table = read_published(ROOT / "config" / "published.csv")
    assert set(table["confidence"]) == {"seen", "derived", "second-hand", "recalled"}
    assert {"mustafa2021", "raghu2019", "cherti2021"} <= set(table["paper"])


def test_our_mean_over_seeds_stands_beside_a_number_of_the_same_thing_in_its_unit():
    found = beside(ROW, config(), metrics())
    assert {key: found[key] for key in ROW} == ROW
    assert (found["ours"], found["ours_sd"], found["ours_seeds"]) == ("86.000", "1.414", "2")
    assert found["ours_cell"] == "chest5/r50x1/none/random/rule/pct100"
    assert found["why_not"] == ""


@pytest.mark.parametrize(
    ("published", "measured", "settings", "why"),
    [
        ({"cohort": "RETINA test (private)"}, {}, config(), "no dataset of ours is known to be RETINA"),
        ({}, {}, config(synthetic=True), "chexpert is drawn in this tier"),
        ({"metric": "top5_acc"}, {}, config(), "no metric of ours is top5_acc"),
        ({"budget": "5shot"}, {}, config(), "no run of ours has the budget 5shot"),
        ({"budget": "-"}, {}, config(), "no run of ours has the budget -"),
        ({}, {}, config(labels=["edema", "effusion"]), "no task of ours is chexpert5"),
        ({"backbone": "resnet50"}, {}, config(), "no run of chest5 with resnet50"),
        ({"upstream": "in1k"}, {}, config(), "no run of chest5 with r50x1 and in1k"),
        ({}, {"split": "val"}, config(), "no run of chest5"),
        ({}, {"subgroup_by": "sex"}, config(), "no run of chest5"),
        ({}, {"recipe": "long"}, config(), "no run of chest5"),
        ({}, {"budget": "pct10"}, config(), "no run of chest5"),
        ({}, {"initialisation": "prefix1"}, config(), "no run of chest5"),
    ],
)
def test_nothing_of_ours_stands_beside_a_number_of_another_thing(
    published: dict[str, str], measured: dict[str, str], settings: Config, why: str
):
    found = beside({**ROW, **published}, settings, metrics(**measured))
    assert found["ours"] == found["ours_cell"] == ""
    assert why in found["why_not"]


def test_another_number_of_test_images_is_another_test():
    row = {**ROW, "paper": "cherti2021", "task": "covidx", "cohort": "covidx_cxr2_kaggle_v3_test_n400"}
    row |= {"metric": "mean_auc"}
    settings = config(dataset="covidx_cxr2", labels=["covid19"])
    ours = metrics(cohort="covidx_cxr2", label="mean")
    assert beside(row, settings, ours, "domain")["ours"] == "86.000"
    assert "our test images are 380, theirs 400" in beside(row, settings, ours.assign(n=380), "domain")["why_not"]


def test_of_other_papers_nothing_is_shown_and_of_mustafa_it_is_said_that_no_number_is_available():
    table = read_published(ROOT / "config" / "published.csv")
    shown = side_by_side(table, metrics(), config(), ["scale"])
    assert set(shown["paper"]) == {"mustafa2021"}
    assert set(shown["confidence"]) == {"second-hand"}
    assert (shown["ours"] == "").all() and (shown["why_not"] != "").all()
    assert "No number of Mustafa et al. 2021" in remarks(["scale"])[0]
    assert remarks(["transfusion"]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "eighty"}, "line 2: value is 'eighty'"),
        ({"value": ""}, "line 2: value is empty"),
        ({"sd": "0,3"}, "line 2: sd is '0,3'"),
        ({"confidence": "sure"}, "one of seen, derived, second-hand, recalled"),
        ({"confidence": ""}, "line 2: confidence is empty"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_line(change: dict[str, str], message: str, tmp_path: Path):
    path = tmp_path / "published.csv"
    pd.DataFrame([{**ROW, **change}]).to_csv(path, index=False)
    with pytest.raises(UserError, match=message):
        read_published(path)


def test_a_table_with_other_columns_is_refused(tmp_path: Path):
    path = tmp_path / "published.csv"
    pd.DataFrame([ROW]).drop(columns="confidence").to_csv(path, index=False)
    with pytest.raises(UserError, match="they have to be paper, claim_or_table"):
        read_published(path)
