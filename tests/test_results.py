"""A study's results are complete or the missing is named, in order, and paired."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.plotting.numbers import means, study_numbers
from medtransfer.results import Results
from tests import invented

CELL = ("chest5", "r14w16", "none", "random", "rule", "pct100")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return invented.tables(tmp_path_factory.mktemp("results"))


def changed(tables: dict[str, str], name: str, folder: Path, change: object) -> dict[str, str]:
    """The tables with one of them changed."""
    table = (
        pd.read_csv(tables[name], keep_default_na=False) if name == "completeness" else pd.read_parquet(tables[name])
    )
    path = folder / Path(tables[name]).name
    (write_csv if name == "completeness" else write_parquet)(change(table), path)  # type: ignore[operator]
    return {**tables, name: str(path)}


def test_cells_of_an_arm_stand_in_the_order_of_the_study(tables: dict[str, str]) -> None:
    results = Results.load(tables, invented.STUDY)
    cells = results.cells("scale")
    assert cells["task"].unique().tolist() == ["chest5", "skin8"]
    chest = cells[cells["task"] == "chest5"]
    assert chest["backbone"].unique().tolist() == ["r14w16", "r14w32", "r26w64"]  # by size
    assert chest["upstream"].tolist()[:3] == ["none", "scenes-small", "scenes-large"]
    both = results.cells("scale", "efficiency", task="chest5", backbone="r14w16", upstream="none")
    assert both["fraction"].tolist() == [0.1, 0.3, 1.0]
    assert results.cells("depth")["initialisation"].unique().tolist() == ["prefix1", "prefix3"]


def test_a_metric_of_a_cell_holds_every_seed_and_its_replicates(tables: dict[str, str]) -> None:
    results = Results.load(tables, invented.STUDY, ["primary", "ece"])
    measured = results.measured(CELL, "nih_cxr14")
    assert measured is not None and measured.values.shape == (2,) and measured.n == 1250
    assert measured.drawn.shape == (2, 1 + invented.REPLICATES)
    np.testing.assert_array_equal(measured.drawn[:, 0], measured.values)
    worst = results.measured(CELL, "nih_cxr14", subgroup_by="age", subgroup="(worst)")
    assert worst is not None and (worst.values < measured.values).all()
    assert results.measured(CELL, "nih_cxr14", subgroup_by="density", subgroup="(worst)") is None
    assert results.measured(CELL, "nih_cxr14", "ece") is not None


def test_draws_are_paired_between_runs(tables: dict[str, str]) -> None:
    results = Results.load(tables, invented.STUDY)
    one, other = (results.measured((*CELL[:1], backbone, *CELL[2:]), "chexpert") for backbone in ("r14w16", "r26w64"))
    assert one is not None and other is not None
    assert np.corrcoef(one.replicates[0], other.replicates[0])[0, 1] > 0.99


def test_a_missing_run_is_named(tables: dict[str, str], tmp_path: Path) -> None:
    def without(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(
            status=table["status"].mask((table["upstream"] == "none") & (table["seed"] == 1), "missing")
        )

    results = Results.load(changed(tables, "completeness", tmp_path, without), invented.STUDY)
    with pytest.raises(UserError, match=r"runs that this needs are missing: chest5/r14w16/none/random/rule/pct100/1"):
        results.cells("scale")
    assert len(results.cells("scale", upstream="scenes-large"))


def test_seeds_that_were_tested_on_other_images_are_refused(tables: dict[str, str], tmp_path: Path) -> None:
    def other_images(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(n=table["n"].mask(table["seed"] == 1, 7))

    results = Results.load(changed(tables, "metrics", tmp_path, other_images), invented.STUDY)
    with pytest.raises(UserError, match="were not all tested on the same images of chexpert"):
        results.measured(CELL, "chexpert")


def test_a_study_that_is_not_there_is_an_error(tables: dict[str, str]) -> None:
    with pytest.raises(UserError, match="has no run of the study 'domain'"):
        Results.load(tables, {**invented.STUDY, "name": "domain"})


def test_numbers_hold_each_seed_and_their_mean_and_nothing_of_other_metrics(tables: dict[str, str]) -> None:
    results = Results.load(tables, invented.STUDY)
    numbers = study_numbers(results, results.cells("scale"))
    assert (numbers["value"] > 0).all() and set(numbers["seed"]) == {"0", "1", "all"}
    assert set(numbers.loc[numbers["task"] == "skin8", "metric"]) == {"balanced_accuracy"}
    for keys, rows in numbers.groupby(["task", "backbone", "upstream", "cohort"]):
        mean = means(rows).iloc[0]
        assert mean["value"] == pytest.approx(rows.loc[rows["seed"] != "all", "value"].mean()), keys
        assert mean["ci_low"] < mean["value"] < mean["ci_high"] and mean["n_seeds"] == 2


def test_an_undefined_value_is_an_error_and_not_a_gap(tables: dict[str, str], tmp_path: Path) -> None:
    def undefined(table: pd.DataFrame) -> pd.DataFrame:
        here = (table["cohort"] == "vindr_cxr") & (table["subgroup_by"] == "all")
        return table.assign(value=table["value"].mask(here))

    results = Results.load(changed(tables, "metrics", tmp_path, undefined), invented.STUDY)
    with pytest.raises(UserError, match="no primary of chest5/r14w16/none/random/rule/pct100 on vindr_cxr"):
        study_numbers(results, results.cells("scale"))
