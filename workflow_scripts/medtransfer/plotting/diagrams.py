"""From the table of diagrams to the numbers of a figure."""

from collections.abc import Sequence

import pandas as pd

from medtransfer.errors import UserError
from medtransfer.plotting.networks import which
from medtransfer.results import Results
from medtransfer.runs import CELL

COLUMNS = ["network", *CELL, "cohort", "shift", "diagram", "x", "value", "ci_low", "ci_high", "n", "n_images"]


def diagram_numbers(
    tables: dict[str, str], results: Results, cells: pd.DataFrame, diagrams: Sequence[str]
) -> pd.DataFrame:
    """Diagrams of the compared networks on every test cohort, the in-distribution one first.

    Args:
        tables: Path of `diagrams`.
        results: A study's results.
        cells: Rows of `compared_cells`.
        diagrams: Names of diagrams, as `metrics.diagrams` has them.

    Returns:
        network, the keys of a cell, cohort shift diagram x value ci_low ci_high n n_images: `n` counts forecasts or
        decisions of all seeds, `n_images` the cohort's images.

    Raises:
        UserError: A diagram of a cell on a cohort is not there.
    """
    chosen = [("diagram", "in", list(diagrams)), *((key, "in", sorted(set(cells[key]))) for key in CELL)]
    table = pd.read_parquet(tables["diagrams"], filters=chosen)
    places = pd.DataFrame(
        [
            (*cell, cohort, diagram, measured.n)
            for cell in cells[list(CELL)].itertuples(index=False, name=None)
            for cohort in results.cohorts(cell[0])
            for diagram in diagrams
            if (measured := results.measured(cell, cohort)) is not None
        ],
        columns=[*CELL, "cohort", "diagram", "n_images"],
    )
    found = places.merge(table, how="left")
    if (missing := found["x"].isna()).any():
        first = found.loc[missing].iloc[0]
        raise UserError(
            f"There is no {first['diagram']} diagram of {'/'.join(first[list(CELL)])} on {first['cohort']}. Compute "
            "the metrics again from these runs' predictions, or take the cohort out of the task."
        )
    return found.assign(network=which(found, results.study))[COLUMNS]
