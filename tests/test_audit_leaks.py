"""The audit for leaks: nothing is found where there is none, and a moved patient, image or choice is named."""

from pathlib import Path

import pandas as pd
import pytest

from medtransfer.files import write_parquet
from medtransfer.review import leak_audit
from medtransfer.review.checks import CONFIRMED, DEVIATING
from medtransfer.runs import Run

RUN = Run("chest", "r14w16", "none", "random", "rule", "pct100", 0)
PEOPLE = pd.DataFrame(
    {
        "image_id": [f"i{number}" for number in range(8)],
        "patient_id": ["a", "a", "b", "c", "d", "e", "f", "f"],
        "dataset": "one",
        "split": ["train"] * 4 + ["val"] * 2 + ["test"] * 2,
    }
)


def rows(*images: str, **changed: str) -> pd.DataFrame:
    chosen = PEOPLE[PEOPLE["image_id"].isin(images)][["image_id", "patient_id"]]
    return chosen.assign(patient_id=[changed.get(i, who) for i, who in chosen.itertuples(index=False)])


def test_a_patient_in_two_splits_is_named():
    assert leak_audit.split_check("one", PEOPLE).result == CONFIRMED
    moved = PEOPLE.assign(split=PEOPLE["split"].where(PEOPLE["image_id"] != "i1", "test"))
    found = leak_audit.split_check("one", moved)
    assert (found.result, found.detail, found.n) == (DEVIATING, "one a: in test and train", 6)


def test_a_patient_trained_on_and_predicted_is_named():
    trained = leak_audit.persons(rows("i0", "i1", "i2"), PEOPLE)
    apart = {"one": leak_audit.persons(rows("i4", "i6"), PEOPLE)}
    assert trained == {"one/a", "one/b"} and leak_audit.apart_check(RUN, trained, apart).result == CONFIRMED
    both = {"one": leak_audit.persons(rows("i4", "i6", i6="b"), PEOPLE)}
    assert leak_audit.apart_check(RUN, trained, both).detail == "one one/b: trained on, too"


def test_patients_are_told_apart_over_datasets_and_found_again_in_cohorts_of_several():
    other = PEOPLE.assign(dataset="two")
    assert not leak_audit.persons(PEOPLE, PEOPLE) & leak_audit.persons(other, other)
    merged = PEOPLE.assign(image_id="one/" + PEOPLE["image_id"], patient_id="one/" + PEOPLE["patient_id"])
    assert leak_audit.persons(merged, merged) == leak_audit.persons(PEOPLE, PEOPLE)


def test_a_training_image_of_another_split_or_with_a_copy_among_the_tests_is_named():
    none = pd.DataFrame(columns=["dataset", "image_id", "reason"], dtype="str")
    assert leak_audit.images_check(RUN, rows("i0", "i3"), PEOPLE, none).result == CONFIRMED
    astray = leak_audit.images_check(RUN, rows("i0", "i6"), PEOPLE, none)
    assert astray.detail == "i6: trained on, but not of the training split"
    copies = pd.DataFrame({"dataset": ["one", "two"], "image_id": ["i3", "i0"], "reason": "duplicate of two x"})
    assert (
        leak_audit.images_check(RUN, rows("i0", "i3"), PEOPLE, copies).detail
        == "i3: trained on, but duplicate of two x"
    )


def test_a_look_at_test_images_is_named():
    looks = pd.concat([rows("i4", "i5").assign(step=step) for step in (0, 10)])
    assert leak_audit.looks_check(RUN, looks, PEOPLE).result == CONFIRMED
    peeked = pd.concat([looks, rows("i7").assign(step=10)])
    assert leak_audit.looks_check(RUN, peeked, PEOPLE).detail == "i7: looked at, but not of the validation split"


def test_budgets_that_are_not_nested_are_named(tmp_path: Path):
    budgets = {"pct5": ["i0"], "pct10": ["i0", "i2"], "pct100": ["i0", "i1", "i2"]}
    for budget, images in budgets.items():
        write_parquet(rows(*images), tmp_path / "subsets/chest" / budget / "seed0.parquet")
    assert leak_audit.nesting_check(tmp_path, "chest", 0).result == CONFIRMED
    write_parquet(rows("i3"), tmp_path / "subsets/chest/pct5/seed0.parquet")
    found = leak_audit.nesting_check(tmp_path, "chest", 0)
    assert (found.detail, found.check) == ("i3: in pct5, but not in pct10", "budgets nested: pct5, pct10, pct100")


@pytest.mark.parametrize(("column", "value"), [("split", "test"), ("cohort", "two")])
def test_a_temperature_chosen_elsewhere_than_on_validation_images_is_named(column, value):
    keys = {"task": "chest", "backbone": "r", "upstream": "none", "initialisation": "random", "recipe": "rule"}
    tuned = pd.DataFrame(
        [{**keys, "budget": "pct100", "seed": 0, "metric": "temperature", "cohort": "one", "split": "val"}]
    )
    assert leak_audit.tuning_check(tuned, {"chest": "one"}).result == CONFIRMED
    found = leak_audit.tuning_check(tuned.assign(**{column: value}), {"chest": "one"})
    assert found.result == DEVIATING and "chest/r/none/random/rule/pct100/seed0: temperature chosen on" in found.detail
