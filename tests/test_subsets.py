"""Budgets are nested, stratified, patient-level and reproducible."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from medtransfer.cohorts import check_cohort, select, targets
from medtransfer.config import Task
from medtransfer.errors import UserError
from medtransfer.subsets import patient_fraction

LABELS = ["a", "b", "c"]


def _images(seed: int, n_patients: int) -> tuple[pd.Series, np.ndarray]:
    generator = np.random.default_rng(seed)
    patients = np.repeat([f"p{i}" for i in range(n_patients)], generator.integers(1, 4, n_patients))
    values = (generator.random((len(patients), 3)) < [0.5, 0.2, 0.1]).astype(float)
    values[generator.random(values.shape) < 0.1] = np.nan
    values[:3] = np.eye(3)
    return pd.Series(patients), values


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(5, 200), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 5))
def test_smaller_fractions_lie_inside_larger_ones_and_no_patient_is_divided(seed, n_patients, one, other, k) -> None:
    patients, values = _images(seed, n_patients)
    try:
        small, large = (patient_fraction(patients, values, LABELS, f, k) for f in sorted((one, other)))
    except UserError:
        assume(False)
    assert not (small & ~large).any()
    for mask in (small, large):
        assert not set(patients[mask]) & set(patients[~mask])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.randoms())
def test_the_order_of_rows_does_not_matter(seed, random) -> None:
    patients, values = _images(seed, 50)
    order = list(range(len(patients)))
    random.shuffle(order)
    straight = set(patients[patient_fraction(patients, values, LABELS, 0.4, 1)])
    shuffled = patients.iloc[order].reset_index(drop=True)
    assert straight == set(shuffled[patient_fraction(shuffled, values[order], LABELS, 0.4, 1)])


def test_the_fraction_is_of_patients_in_every_stratum() -> None:
    patients, values = _images(3, 2000)
    mask = patient_fraction(patients, values, LABELS, 0.1, 0)
    assert patients[mask].nunique() == pytest.approx(200, abs=4)
    np.testing.assert_allclose(np.nanmean(values[mask], axis=0), np.nanmean(values, axis=0), rtol=0.25)


def test_the_whole_cohort_is_everyone_and_seeds_differ() -> None:
    patients, values = _images(3, 100)
    assert patient_fraction(patients, values, LABELS, 1.0, 0).all()
    assert (
        patient_fraction(patients, values, LABELS, 0.3, 0) != patient_fraction(patients, values, LABELS, 0.3, 1)
    ).any()


def test_an_empty_class_is_an_error_that_names_it() -> None:
    patients = pd.Series([f"p{i}" for i in range(10)])
    values = np.zeros((10, 2))
    values[:, 0] = 1
    with pytest.raises(UserError, match=r"no positive image of b\b"):
        patient_fraction(patients, values, ["a", "b"], 0.5, 0)


def _task(**changes) -> Task:
    base = {"title": "t", "kind": "multilabel", "labels": ["x", "y"], "id_cohort": "chexpert"}
    return Task.model_validate(base | changes)


def _cohort() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "row": range(5),
            "dataset": "x",
            "image_id": list("abcde"),
            "patient_id": list("pqrst"),
            "study_id": list("pqrst"),
            "path": list("abcde"),
            "x": pd.array([1, 0, None, None, None], dtype="Int8"),
            "y": pd.array([0, 0, 1, None, None], dtype="Int8"),
            "uncertain": ["", "", "x", "x|y", ""],
            "view": ["PA", "AP", "lateral", "PA", None],
            "split": ["train", "train", "train", "train", "test"],
        }
    )
    return frame


NAN = np.nan


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [[1, 0], [0, 0], [NAN, 1], [NAN, NAN], [NAN, NAN]]),
        ({"uncertain": "zeros"}, [[1, 0], [0, 0], [0, 1], [0, 0], [NAN, NAN]]),
        ({"uncertain": "ones", "blank": "zeros"}, [[1, 0], [0, 0], [1, 1], [1, 1], [0, 0]]),
        ({"uncertain_overrides": {"y": "ones"}}, [[1, 0], [0, 0], [NAN, 1], [NAN, 1], [NAN, NAN]]),
    ],
)
def test_policies_for_uncertain_and_blank_labels(changes, expected) -> None:
    np.testing.assert_array_equal(targets(_cohort(), _task(**changes), training=True), expected)


def test_evaluation_uses_definite_labels_alone() -> None:
    task = _task(uncertain="ones", blank="zeros")
    np.testing.assert_array_equal(targets(_cohort(), task, training=False), targets(_cohort(), _task(), training=True))


def test_a_label_that_a_cohort_lacks_has_no_value_there() -> None:
    assert np.isnan(targets(_cohort(), _task(labels=["x", "z"]), training=True)[:, 1]).all()


def test_rows_are_chosen_by_split_view_and_having_a_label() -> None:
    assert list(select(_cohort(), _task(), "train")["image_id"]) == ["a", "b", "c"]
    assert list(select(_cohort(), _task(uncertain="ones"), "train")["image_id"]) == ["a", "b", "c", "d"]
    assert list(select(_cohort(), _task(uncertain="ones", views=["PA"]), "train")["image_id"]) == ["a", "d"]
    assert select(_cohort(), _task(), "test").empty


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda c: c.drop(columns="split"), r"lacks the columns \['split'\]"),
        (lambda c: c.assign(split=["train", "test", "train", "holdout", "val"]), "'holdout'.*train, val, test"),
        (lambda c: c.assign(patient_id="p"), "more than one split: p in"),
        (lambda c: c.assign(image_id="a"), "more than once.*'a'"),
        (lambda c: c.assign(x=pd.array([2, 0, 1, 0, 1], dtype="Int8")), "label x holds values"),
    ],
)
def test_a_broken_cohort_is_an_error(spoil, told) -> None:
    check_cohort(_cohort(), "good")
    with pytest.raises(UserError, match=told):
        check_cohort(spoil(_cohort()), "bad")
