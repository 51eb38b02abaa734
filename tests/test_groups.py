"""Sub-groups: which images they hold, what they are called and in which order they come, however a column is stored."""

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtransfer.errors import UserError
from medtransfer.metrics.groups import groups

EDGES: dict[str, Any] = {"sex": None, "site": None, "age": [0, 40, 60]}


def listed(table: pd.DataFrame, by: str, edges: dict[str, Any] = EDGES) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in groups(table, by, edges).items()}


def test_values_bins_and_intersections_by_hand() -> None:
    table = pd.DataFrame(
        {
            "sex": ["male", "female", None, "female", "male"],
            "age": [40.0, 39.9, 10.0, np.nan, 59.0],
            "site": list("NSNSN"),
        }
    )
    assert listed(table, "sex") == {"female": [1, 3], "male": [0, 4]}
    assert listed(table, "age") == {"[0, 40)": [1, 2], "[40, 60)": [0, 4]}
    assert listed(table, "sex*age") == {"female, [0, 40)": [1], "male, [40, 60)": [0, 4]}
    assert listed(table, "age*sex") == {"[0, 40), female": [1], "[40, 60), male": [0, 4]}
    assert listed(table, "sex*age*site") == {"female, [0, 40), S": [1], "male, [40, 60), N": [0, 4]}


def test_ages_outside_all_bins_form_no_group() -> None:
    ages = [-1.0, 0.0, 60.0, np.inf, -np.inf, np.nan, 12.0]
    assert listed(pd.DataFrame({"age": ages}), "age") == {"[0, 40)": [1, 6]}


def plainly(rows: list[tuple[str | None, float | None]]) -> dict[str, list[int]]:
    """Row by row, with nothing but Python."""
    found = defaultdict(list)
    for row, (sex, age) in enumerate(rows):
        for low, high in ((0, 40), (40, 60)):
            if sex is not None and age is not None and low <= age < high:
                found[f"{sex}, [{low}, {high})"].append(row)
    return {name: found[name] for name in sorted(found)}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["f", "m", None]), st.sampled_from([0, 39.5, 40, 59, 60, None])),
        min_size=1,
        max_size=12,
    )
)
def test_intersections_equal_a_loop_over_the_images(rows: list[Any]) -> None:
    table = pd.DataFrame(rows, columns=["sex", "age"], index=np.zeros(len(rows)))
    found = listed(table, "sex*age")
    assert found == plainly(rows)
    assert list(found) == list(plainly(rows))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pd.Series([2, 1, 2]), {"1": [1], "2": [0, 2]}),
        (pd.Series([10.0, np.nan, 9.0]), {"9": [2], "10": [0]}),
        (pd.Series([2, pd.NA, 1], dtype="Int64"), {"1": [2], "2": [0]}),
        (pd.Series([2, None, 1], dtype=object), {"1": [2], "2": [0]}),
        (pd.Series([1.5, 0.5, 1.5]), {"0.5": [1], "1.5": [0, 2]}),
        (pd.Series([True, False, True]), {"False": [1], "True": [0, 2]}),
        (pd.Series([True, None, False], dtype=object), {"False": [2], "True": [0]}),
        (pd.Series([True, pd.NA, False], dtype="boolean"), {"False": [2], "True": [0]}),
        (pd.Series(["b", pd.NA, "a"], dtype="string"), {"a": [2], "b": [0]}),
        (pd.Series(["b", None, "a"], dtype="category"), {"a": [2], "b": [0]}),
        (pd.Series(pd.Categorical(["D", "A", None], ["D", "A", "unused"], ordered=True)), {"D": [0], "A": [1]}),
    ],
    ids=lambda values: str(values.dtype) if isinstance(values, pd.Series) else "",
)
def test_own_values_of_any_dtype(values: pd.Series, names: dict[str, list[int]]) -> None:
    found = listed(pd.DataFrame({"site": values}), "site")
    assert found == names
    assert list(found) == list(names)


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "float64", object])
def test_bins_of_numbers_with_missing_values_of_any_dtype(dtype: Any) -> None:
    ages = pd.Series([30, None, 45], dtype=dtype)
    assert listed(pd.DataFrame({"age": ages}), "age") == {"[0, 40)": [0], "[40, 60)": [2]}


@pytest.mark.parametrize("dtype", [object, "float64", "Int64", "string", "category", "boolean"])
@pytest.mark.parametrize("by", ["site", "age", "sex*site", "sex*age"])
def test_a_column_that_is_missing_altogether_gives_no_groups(by: str, dtype: Any) -> None:
    nothing = pd.Series([None, None], dtype=dtype)
    assert listed(pd.DataFrame({"sex": ["f", "m"], "site": nothing, "age": nothing}), by) == {}
    assert listed(pd.DataFrame({"sex": ["f", "m"]}), by) == {}


def test_a_table_without_images_has_no_groups() -> None:
    assert listed(pd.DataFrame({"sex": [], "age": []}), "sex*age") == {}


@pytest.mark.parametrize(
    ("values", "example"), [([None, "old"], "'old'"), ([True, False], "True"), ([pd.NA, False], "False")]
)
def test_bins_of_what_is_not_a_number_are_refused(values: list[Any], example: str) -> None:
    with pytest.raises(UserError, match=f"'age' are bins, but its values are not numbers: .*{example}"):
        groups(pd.DataFrame({"age": values}), "age", EDGES)


@pytest.mark.parametrize("by", ["race", "sex*race", "sex * age", "sex*", ""])
def test_columns_that_are_not_declared_are_refused(by: str) -> None:
    with pytest.raises(UserError, match=r"not declared.*Declared are: sex, site, age"):
        groups(pd.DataFrame({"sex": ["f"], "race": ["x"], "age": [3]}), by, EDGES)
