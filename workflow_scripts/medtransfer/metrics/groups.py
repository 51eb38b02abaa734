"""Which images belong to which sub-group: by the values of a column, by bins of a number, by intersections of these."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from medtransfer.errors import UserError

Edges = Sequence[float] | None


def groups(table: pd.DataFrame, by: str, edges: Mapping[str, Edges]) -> dict[str, np.ndarray]:
    """The rows of each sub-group, as positions in `table`, ascending.

    Args:
        table: One row per image.
        by: A column, "sex", or an intersection of columns, "sex*age".
        edges: For each column that `by` may name: None, for its own values as groups, or ascending edges of half-open
            bins such as [0, 40, 60], for "[0, 40)" and "[40, 60)".

    Returns:
        Groups by name, that of an intersection being "female, [40, 60)". Only groups that have images, sorted by the
        first column's value, then the second's; bins by their edges, a categorical column by its order. The name of a
        value does not depend on how the column is stored: 1 is "1" also where missing values made floats of integers.
        Images without a value in one of the columns, or outside all bins, form no group; there are none at all where
        a whole column is missing or not in the table.

    Raises:
        UserError: `by` names a column that `edges` lacks; bins are asked for of a column that is not numeric.
    """
    columns = by.split("*")
    if unknown := [column for column in columns if column not in edges]:
        raise UserError(
            f"Sub-groups {by!r} are of columns that are not declared: {', '.join(unknown)}. Declared are: "
            f"{', '.join(edges) or 'none'}. Declare them among the task's subgroups, or join declared ones by '*'."
        )
    if not set(columns) <= set(table.columns):
        return {}
    values = pd.DataFrame({column: _values(table[column], edges[column]) for column in columns}).reset_index(drop=True)
    grouped = values.groupby(columns, observed=True)
    return {", ".join(map(str, names)): rows.index.to_numpy() for names, rows in grouped}


def _values(values: pd.Series, edges: Edges) -> pd.Series:
    """What to group by: the values themselves in a dtype with missing values, or the names of their bins."""
    values = values.convert_dtypes()
    if edges is None or values.isna().all():
        return values
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        first = values.dropna().iloc[0]
        raise UserError(f"Sub-groups of {values.name!r} are bins, but its values are not numbers: {first!r}.")
    names = [f"[{low:g}, {high:g})" for low, high in pairwise(edges)]
    return pd.cut(values, list(edges), right=False, labels=names)
