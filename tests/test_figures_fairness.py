"""What readers of the fairness figures and table rely on: every group accounted for, honest intervals and gaps."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figures import scale_equity, scale_fairness, scale_fairness_table
from matplotlib.figure import Figure
from scipy import stats

from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.metrics.evaluate import EXPECTED_GAP, GAP, WORST
from medtransfer.metrics.seeds import mean_over_seeds
from medtransfer.plotting import networks, subgroups
from medtransfer.results import PRIMARY, Results, Study
from medtransfer.runs import CELL
from tests import invented

STUDY = invented.STUDY
SCALE = invented.runs({"scale": [{**invented.ARMS["scale"][0], "backbones": ["r14w16", "r26w64"]}]})


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, str]:
    paths = invented.tables(tmp_path_factory.mktemp("invented"), SCALE)

    def without_bounds(metrics: pd.DataFrame) -> pd.DataFrame:
        """As measured ones, expected gaps have no interval."""
        there = metrics["subgroup"] != EXPECTED_GAP
        return metrics.assign(ci_low=metrics["ci_low"].where(there), ci_high=metrics["ci_high"].where(there))

    return changed(paths, tmp_path_factory.mktemp("results"), "metrics", without_bounds)


def changed(tables: dict[str, str], folder: Path, name: str, change: Callable) -> dict[str, str]:
    """The tables with one of them changed."""
    if name == "completeness":
        write_csv(change(pd.read_csv(tables[name])), folder / f"{name}.csv")
        return {**tables, name: str(folder / f"{name}.csv")}
    write_parquet(change(pd.read_parquet(tables[name])), folder / f"{name}.parquet")
    return {**tables, name: str(folder / f"{name}.parquet")}


def numbers_of(tables: dict[str, str], study: Study = STUDY, metric: str = PRIMARY) -> pd.DataFrame:
    results = Results.load(tables, study, (metric,))
    return subgroups.subgroup_numbers(tables, results, networks.compared_cells(results), metric)


# --- The interval of a group -----------------------------------------------------------------------------------------


def replicates(correlation: float, seeds: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Of seeds whose patients' noise goes together as given: values [seeds], replicates [seeds, 20,000]."""
    rng = np.random.default_rng(5)
    shared, own = rng.normal(0, 0.03, (1, 20_000)), rng.normal(0, 0.03, (seeds, 20_000))
    values = np.linspace(0.78, 0.82, seeds)
    return values, values[:, None] + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own


@pytest.mark.parametrize("correlation", [1.0, 0.8, 0.3, 0.0])
def test_without_replicates_the_interval_is_as_wide_as_with_them_or_wider(correlation: float) -> None:
    values, drawn = replicates(correlation)
    bounds = np.quantile(drawn, [0.025, 0.975], axis=1)
    mean, low, high = subgroups.interval_without_replicates(values, bounds, 0.95)
    _, true_low, true_high = mean_over_seeds(drawn, values, 0.95, np.random.default_rng(0))
    assert mean == pytest.approx(0.8)
    ratio = (high - low) / (true_high - true_low)
    if correlation == 1:
        assert ratio == pytest.approx(1, abs=0.03)
    else:
        assert 1 < ratio < 1.3


def test_the_interval_of_one_seed_is_its_own_and_stays_within_0_and_1() -> None:
    one = subgroups.interval_without_replicates(np.array([0.9]), np.array([[0.7], [0.95]]), 0.95)
    assert one == pytest.approx((0.9, 0.7, 0.95))
    wild = subgroups.interval_without_replicates(np.array([0.2, 0.9]), np.array([[0, 0], [1, 1]]), 0.95)
    assert wild == pytest.approx((0.55, 0, 1))


def test_a_seed_without_bounds_leaves_the_mean_without_an_interval() -> None:
    bounds = np.array([[np.nan, 0.7], [np.nan, 0.9]])
    mean, low, high = subgroups.interval_without_replicates(np.array([0.7, 0.8]), bounds, 0.95)
    assert mean == 0.75
    assert np.isnan([low, high]).all()


def test_luck_of_seeds_has_the_standard_error_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.02, 12)
    _, low, high = subgroups.interval_without_replicates(values, np.array([values, values]), 0.95)
    assert high - low == pytest.approx(2 * stats.norm.ppf(0.975) * stats.sem(values))


# --- The numbers -----------------------------------------------------------------------------------------------------


def test_groups_are_means_over_seeds_and_small_ones_are_listed_with_their_n(tables) -> None:
    numbers = numbers_of(tables)
    assert set(zip(numbers["backbone"], numbers["upstream"], strict=True)) == {
        ("r14w16", "none"),
        ("r14w16", "scenes-small"),
        ("r26w64", "scenes-large"),
    }
    measured = pd.read_parquet(tables["metrics"]).query("label == 'mean' and split == 'test' and subgroup_by == 'sex'")
    for row in numbers[numbers["subgroup"] == "male"].itertuples():
        same = " and ".join(f"{key} == '{getattr(row, key)}'" for key in (*CELL, "cohort", "metric", "subgroup"))
        runs = measured.query(same)
        assert row.value == pytest.approx(runs["value"].mean())
        assert row.n_seeds == len(runs) == 2
        assert row.ci_low < runs["ci_low"].mean() < row.value < runs["ci_high"].mean() < row.ci_high
    small = numbers[numbers["subgroup_by"] == "skin_type"]
    assert len(small) == 3 * (3 + 2)  # networks, cohorts
    assert small["value"].isna().all()
    assert (small["n"] == 7).all()


def test_gaps_have_bootstrap_intervals_and_stand_beside_the_expected_one(tables) -> None:
    numbers = numbers_of(tables).set_index("subgroup")
    assert numbers.loc[[GAP, WORST], ["ci_low", "ci_high"]].notna().all(axis=None)
    assert numbers.loc[EXPECTED_GAP, "ci_low"].isna().all()
    by_sex = numbers[numbers["subgroup_by"] == "sex"]
    assert by_sex.loc[GAP, "value"].to_numpy(float) == pytest.approx(0.02)
    assert by_sex.loc[WORST, "value"].to_numpy(float) == pytest.approx(by_sex.loc["male", "value"].to_numpy(float))


def test_cohorts_and_columns_stand_in_order_though_the_first_cohort_lacks_some(tables, tmp_path) -> None:
    lost = "not (cohort == 'chexpert' and subgroup_by == 'sex')"
    tables = changed(tables, tmp_path, "metrics", lambda metrics: metrics.query(lost))
    numbers = numbers_of(tables)
    assert list(numbers["cohort"].unique()) == ["chexpert", "nih_cxr14", "vindr_cxr", "isic_2019", "pad_ufes_20"]
    assert subgroups.column_order(numbers) == ["sex", "age", "skin_type"]
    groups = ["[100, 120)", "[40, 60)", "(worst)", "male", "female, [60, 80)", "female, [0, 5)"]
    ordered = sorted(groups, key=subgroups.group_order)
    assert ordered == ["[40, 60)", "[100, 120)", "female, [0, 5)", "female, [60, 80)", "male", "(worst)"]


@pytest.mark.parametrize("how", ["other n", "gone"])
def test_groups_of_different_images_are_not_averaged(tables, tmp_path, how: str) -> None:
    def change(metrics: pd.DataFrame) -> pd.DataFrame:
        there = metrics.eval("subgroup == 'male' and seed == 1 and cohort == 'vindr_cxr' and backbone == 'r26w64'")
        return metrics[~there] if how == "gone" else metrics.assign(n=metrics["n"] + there)

    with pytest.raises(
        UserError, match=r"chest5/r26w64/scenes-large.* not all tested .*vindr_cxr, ood, auc, sex, male"
    ):
        numbers_of(changed(tables, tmp_path, "metrics", change))


# --- Which networks --------------------------------------------------------------------------------------------------


def test_tasks_without_all_three_networks_are_left_out_and_none_is_an_error(tables, tmp_path) -> None:
    lost = "not (task == 'skin8' and backbone == 'r26w64')"
    some = changed(tables, tmp_path, "completeness", lambda runs: runs.query(lost))
    assert set(networks.compared_cells(Results.load(some, STUDY))["task"]) == {"chest5"}
    none = changed(tables, tmp_path, "completeness", lambda runs: runs.query("backbone != 'r26w64'"))
    with pytest.raises(UserError, match=r"all of r14w16, nothing .*; r26w64, scenes-large.*`scale`"):
        networks.compared_cells(Results.load(none, STUDY))
    with pytest.raises(UserError, match=r"plays broad.*`roles`"):
        roles = {role: name for role, name in STUDY["roles"].items() if role != "broad"}
        networks.compared_cells(Results.load(tables, {**STUDY, "roles": roles}))


def test_a_missing_run_is_an_error_that_names_it(tables, tmp_path) -> None:
    def lose(runs: pd.DataFrame) -> pd.DataFrame:
        lost = runs.eval("task == 'skin8' and upstream == 'scenes-large' and backbone == 'r26w64' and seed == 1")
        return runs.assign(status=runs["status"].where(~lost, "missing"))

    paths = changed(tables, tmp_path, "completeness", lose)
    for script in (scale_fairness, scale_equity):
        with pytest.raises(UserError, match="skin8/r26w64/scenes-large/pretrained/rule/pct100/1"):
            script.main(paths, STUDY, str(tmp_path / "figure.csv"), [])


# --- The figures -----------------------------------------------------------------------------------------------------


def drawn(figure: Figure) -> tuple[list[float], list[float]]:
    """All numbers that markers stand for, and both ends of all interval bars, along the axis of values."""
    values: list[float] = []
    bounds: list[float] = []
    for axes in figure.axes:
        axis = 0 if axes.get_xaxis().get_gridlines()[0].get_visible() else 1
        values += [each for line in axes.lines for each in np.asarray(line.get_xydata())[:, axis]]
        for collection in axes.collections:
            if hasattr(collection, "get_segments"):
                bounds += [each for segment in collection.get_segments() for each in segment[:, axis]]
    return sorted(values), sorted(bounds)


@pytest.mark.parametrize("script", [scale_fairness, scale_equity])
def test_the_csv_beside_a_figure_holds_the_drawn_numbers(script, tables, tmp_path) -> None:
    csv = tmp_path / "figure.csv"
    script.main(tables, STUDY, str(csv), [])
    table = pd.read_csv(csv)
    values, bounds = drawn(script.draw(table, STUDY))
    assert values == pytest.approx(sorted(table["value"].dropna()))
    assert bounds == pytest.approx(sorted([*table["ci_low"].dropna(), *table["ci_high"].dropna()]))


def texts(figure: Figure) -> str:
    parts: list[Any] = [figure, *figure.subfigs, *figure.axes]
    return " ".join(text.get_text() for part in parts for text in part.texts).replace("\n", " ")


def test_a_figure_says_n_what_is_not_shown_and_what_its_numbers_cannot_tell(tables, tmp_path) -> None:
    scale_fairness.main(tables, STUDY, str(tmp_path / "figure.csv"), [])
    found = texts(scale_fairness.draw(pd.read_csv(tmp_path / "figure.csv"), STUDY))
    assert found.count("not shown") == 5  # cohorts
    assert all(n in found for n in ("7", "240", "625", "95 % intervals"))
    assert STUDY["note"] in found


def test_a_study_without_sub_groups_is_an_error(tables, tmp_path) -> None:
    paths = changed(tables, tmp_path, "metrics", lambda metrics: metrics.query("subgroup_by == 'all'"))
    for script in (scale_fairness, scale_equity):
        with pytest.raises(UserError, match="`subgroups`"):
            script.main(paths, STUDY, str(tmp_path / "figure.csv"), [])
    with pytest.raises(UserError, match="`subgroups`"):
        scale_fairness_table.main(paths, STUDY, {})


def test_operating_points_are_shown_of_the_first_cohort_with_groups_and_without_what_one_label_repeats(
    tables, tmp_path
) -> None:
    lost = "not (cohort == 'chexpert' and subgroup_by != 'all')"
    paths = {**changed(tables, tmp_path, "metrics", lambda metrics: metrics.query(lost))}
    paths |= {"replicates": changed(tables, tmp_path, "replicates", lambda table: table.query(lost))["replicates"]}
    one_label: Any = {**STUDY["tasks"], "skin8": {**STUDY["tasks"]["skin8"], "labels": ["mel"]}}
    scale_equity.main(paths, {**STUDY, "tasks": one_label}, str(tmp_path / "figure.csv"), [])
    table = pd.read_csv(tmp_path / "figure.csv")
    assert list(table["cohort"].unique()) == ["nih_cxr14", "isic_2019"]
    assert set(table[table["task"] == "chest5"]["metric"]) == {"sensitivity", "specificity", "underdiagnosis"}
    assert set(table[table["task"] == "skin8"]["metric"]) == {"sensitivity", "specificity"}
    assert set(table["backbone"]) == {"r14w16", "r26w64"}


# --- The table -------------------------------------------------------------------------------------------------------


def test_the_table_names_the_worst_group_and_every_size(tables, tmp_path) -> None:
    paths = {
        name: str(tmp_path / f"table.{end}") for name, end in (("csv", "csv"), ("markdown", "md"), ("latex", "tex"))
    }
    scale_fairness_table.main(tables, STUDY, paths)
    rows = pd.read_csv(paths["csv"])
    by_sex = rows[(rows["subgroup_by"] == "sex") & (rows["cohort"] == "chexpert")].set_index("metric")
    assert set(by_sex.loc["auc", "worst_group"]) == {"male"}
    assert set(by_sex.loc["underdiagnosis", "worst_group"]) == {"female"}  # whose rate is the higher one
    assert set(by_sex.loc["auc", "groups"]) == {"female: 240; male: 240"}
    assert by_sex.loc["equalised_odds", "gap"].to_numpy() == pytest.approx(0.03)
    assert by_sex.loc["auc", "expected_gap"].to_numpy() == pytest.approx(0.01)
    assert set(rows[rows["subgroup_by"] == "skin_type"]["too_small"].dropna()) == {"VI: 7"}
    cells = [f"{row.gap:.3f} [{row.gap_low:.3f}, {row.gap_high:.3f}]" for row in rows.dropna(subset="gap").itertuples()]
    for path in (paths["markdown"], paths["latex"]):
        text = Path(path).read_text()
        found = re.findall(r"(0\.0\d\d \[-?0\.\d{3}, 0\.\d{3}\]) +[&|]", text)
        assert found == cells
        assert STUDY["note"] in text


@pytest.mark.parametrize(
    ("groups", "text"), [("female: 52; male: 60", "2 (52–60)"), ("VI: 7", "1 (7)"), ("", "–"), (None, "–")]
)
def test_groups_are_counted_with_the_smallest_and_the_largest(groups: str, text: str) -> None:
    assert scale_fairness_table.sizes(groups) == text
