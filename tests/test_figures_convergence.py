"""What readers of the figure and table of convergence rely on: steps that are right, censored runs that are counted."""

import numpy as np
import pandas as pd
import pytest
from figures import scale_convergence, scale_convergence_table
from matplotlib.figure import Figure

from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.metrics.convergence import restricted_mean_steps
from medtransfer.plotting.convergence import BASELINE, LEVEL, OWN, SCORE, convergence_numbers
from medtransfer.plotting.numbers import ALL_SEEDS, means
from medtransfer.results import Results
from tests.invented import ARMS, STEPS, STUDY, runs, tables

GRID = {"scale": ARMS["scale"]}
HORIZON = STEPS[-1]
GAINS = {("none", 0): 0.1, ("none", 1): 0.25, ("scenes-small", 0): 0.2, ("scenes-small", 1): 0.2}
GAINS |= {("scenes-large", 0): 0.4, ("scenes-large", 1): 0.4}
TARGET = 0.95 * 0.2  # of the baseline, r14w16 from scenes-small


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    return tables(tmp_path_factory.mktemp("results"), runs(GRID))


@pytest.fixture
def straight(noisy, tmp_path):
    """Curves that are straight lines from 0.5, without chance in patients."""
    curves = pd.read_parquet(noisy["curves"])
    gains = [GAINS[each] for each in zip(curves["upstream"], curves["seed"], strict=True)]
    value = 0.5 + np.array(gains) * curves["step"] / HORIZON
    curves = curves.assign(value=value, replicates=[np.full(30, each) for each in value])
    return changed(noisy, tmp_path, curves)


def changed(paths, folder, curves):
    write_parquet(curves.reset_index(drop=True), folder / "curves.parquet")
    return {**paths, "curves": str(folder / "curves.parquet")}


def numbers_of(paths, study=STUDY) -> pd.DataFrame:
    return convergence_numbers(paths["curves"], Results.load(paths, study))


def steps(numbers, quantity, upstream, seed=ALL_SEEDS) -> pd.DataFrame:
    here = (numbers["quantity"] == quantity) & (numbers["upstream"] == upstream) & (numbers["seed"] == seed)
    return numbers[here]


# --- Numbers ---------------------------------------------------------------------------------------------------------


def test_a_straight_line_is_at_its_own_target_after_95_percent_of_its_steps(straight):
    own = numbers_of(straight).query("quantity == @OWN")
    np.testing.assert_allclose(own["value"], 0.95 * HORIZON)
    assert (own["n_censored"] == 0).all()


def test_steps_to_the_shared_target_are_those_of_the_lines(straight):
    numbers = numbers_of(straight)
    np.testing.assert_allclose(numbers.loc[numbers["quantity"] == LEVEL, "value"], 0.5 + TARGET)
    np.testing.assert_allclose(steps(numbers, BASELINE, "scenes-small")["value"], 0.95 * HORIZON)
    np.testing.assert_allclose(steps(numbers, BASELINE, "scenes-large")["value"], TARGET / 0.4 * HORIZON)


def test_a_run_that_misses_the_target_is_censored_and_counts_with_the_whole_schedule(straight):
    numbers = numbers_of(straight)
    reached = np.array([[np.inf], [TARGET / 0.25 * HORIZON]])
    for column, seed in enumerate("01"):
        single = steps(numbers, BASELINE, "none", seed)
        np.testing.assert_allclose(single["value"], min(reached[column, 0], HORIZON))
        assert (single["n_censored"] == int(np.isinf(reached[column, 0]))).all()
    mean = steps(numbers, BASELINE, "none")
    np.testing.assert_allclose(mean["value"], restricted_mean_steps(reached, HORIZON)[0])
    assert (mean["n_censored"] == 1).all()
    assert (mean["n_seeds"] == 2).all()


def test_means_and_intervals_stay_within_the_schedule_and_hold_the_mean(noisy):
    rows = means(numbers_of(noisy)).query("quantity in [@OWN, @BASELINE]")
    assert rows[["value", "ci_low"]].min().min() >= 0
    assert rows[["value", "ci_high"]].max().max() <= HORIZON
    curves = means(numbers_of(noisy)).query("quantity == @SCORE")
    assert (curves["ci_low"] < curves["value"]).all()
    assert (curves["value"] < curves["ci_high"]).all()


def test_curves_are_means_over_seeds_of_the_primary_metric(noisy):
    table = pd.read_parquet(noisy["curves"])
    table = table[
        table["metric"] == table["task"].map({task: STUDY["tasks"][task]["primary_metric"] for task in STUDY["tasks"]})
    ]
    keys = ["task", "backbone", "upstream", "step"]
    expected = table.groupby(keys)["value"].mean()
    found = means(numbers_of(noisy)).query("quantity == @SCORE").set_index(keys)["value"]
    np.testing.assert_allclose(found.loc[expected.index], expected)


def test_the_interval_knows_the_chance_in_the_baselines_target(noisy, tmp_path):
    """Where the cell itself is sure, its steps vary because the target does."""
    curves = pd.read_parquet(noisy["curves"])
    sure = curves["upstream"] == "scenes-large"
    exact = [np.full(200, value, dtype=np.float32) for value in curves["value"]]
    replicates = curves["replicates"].where(~sure, pd.Series(exact, index=curves.index))
    rows = steps(numbers_of(changed(noisy, tmp_path, curves.assign(replicates=replicates))), BASELINE, "scenes-large")
    assert (rows["ci_low"] < rows["value"] - 0.1).all()


# --- What is refused, and what is left out ---------------------------------------------------------------------------


def test_missing_or_undefined_curves_are_an_error_that_names_the_cell(noisy, tmp_path):
    curves = pd.read_parquet(noisy["curves"])
    cell = (curves["task"] == "skin8") & (curves["backbone"] == "r14w32") & (curves["upstream"] == "none")
    late = cell & (curves["seed"] == 1) & (curves["step"] == HORIZON)
    for damaged in (curves[~cell], curves[~late], curves.assign(value=curves["value"].mask(late))):
        with pytest.raises(UserError, match="skin8/r14w32/none/random/rule/pct100"):
            numbers_of(changed(noisy, tmp_path, damaged))


@pytest.mark.parametrize("column", ["step", "n"])
def test_runs_of_other_schedules_or_images_are_not_compared(noisy, tmp_path, column):
    curves = pd.read_parquet(noisy["curves"])
    other = (curves["task"] == "chest5") & (curves["backbone"] == "r26w64")
    with pytest.raises(UserError, match="not followed over the same steps on the same validation images"):
        numbers_of(changed(noisy, tmp_path, curves.assign(**{column: curves[column] + 5 * other})))


def test_a_study_without_its_baseline_is_told_which_arm_lacks_it(tmp_path):
    grid = {"scale": [{"tasks": ["chest5"], "backbones": ["r26w64"], "upstreams": ["none"]}]}
    with pytest.raises(UserError, match=r"baseline.*`small` backbone with the `narrow` upstream"):
        numbers_of(tables(tmp_path, runs(grid)))


def test_a_task_without_the_baseline_is_left_out(tmp_path):
    rest = {"tasks": ["skin8"], "backbones": ["r26w64"], "upstreams": ["none"]}
    numbers = numbers_of(tables(tmp_path, runs({"scale": [{**ARMS["scale"][0], "tasks": ["chest5"]}, rest]})))
    assert set(numbers["task"]) == {"chest5"}


# --- Figure and table ------------------------------------------------------------------------------------------------


def xy(line) -> list[list[float]]:
    """The points of a line: [2, points]."""
    return np.asarray(line.get_data(), dtype=float).tolist()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for panel in figure.axes for text in panel.texts]


def test_the_csv_beside_the_figure_holds_the_drawn_numbers(straight, tmp_path):
    csv = tmp_path / "figure.csv"
    scale_convergence.main(straight, STUDY, str(csv), [])
    table = pd.read_csv(csv)
    assert set(table.loc[table["quantity"].isin([SCORE, OWN]), "backbone"]) == {"r14w16", "r26w64"}
    small, large, last, *_ = scale_convergence.draw(table[table["task"] == "chest5"], STUDY).axes
    rows = means(table[table["task"] == "chest5"])
    for panel, backbone in ((small, "r14w16"), (large, "r26w64")):
        own = rows[rows["backbone"] == backbone]
        lines = sorted(y for line in panel.lines for y in xy(line)[1] if len(xy(line)[1]) == len(STEPS))
        assert lines == pytest.approx(sorted(own.loc[own["quantity"] == SCORE, "value"]))
        marks = [x for line in panel.lines if line.get_markersize() == 6 for x in xy(line)[0]]
        assert marks == pytest.approx(list(own.loc[own["quantity"] == OWN, "value"]))
    steps_drawn = [x for line in last.lines if len(xy(line)[0]) == 3 for x in xy(line)[0]]
    assert sorted(steps_drawn) == pytest.approx(sorted(rows.loc[rows["quantity"] == BASELINE, "value"]))


def test_censored_runs_are_marked_and_counted(straight):
    figure = scale_convergence.draw(numbers_of(straight).query("task == 'chest5'"), STUDY)
    triangles = [line for panel in figure.axes for line in panel.lines if line.get_marker() == ">"]
    assert texts(figure) == ["1/2"] * 3  # from scratch, in each of three networks
    assert len(triangles) == 3
    assert all(xy(line)[0][0] > HORIZON for line in triangles)


def test_a_baseline_that_gains_nothing_leaves_no_target_and_all_censored(straight, tmp_path):
    curves = pd.read_parquet(straight["curves"])
    falling = (curves["upstream"] == "scenes-small") & (curves["backbone"] == "r14w16")
    curves["value"] = curves["value"].mask(falling, 0.5 - 0.001 * curves["step"])
    curves["replicates"] = [np.full(30, value) for value in curves["value"]]
    numbers = numbers_of(changed(straight, tmp_path, curves))
    rows = numbers.query("quantity == @BASELINE")
    assert (rows["value"] == HORIZON).all()
    assert (rows["n_censored"] == rows["n_seeds"]).all()
    figure = scale_convergence.draw(numbers.query("task == 'chest5'"), STUDY)
    assert "No target: the baseline gains nothing" in [panel.get_title(loc="left") for panel in figure.axes]
    assert np.isfinite([y for panel in figure.axes for line in panel.lines for y in xy(line)[1]]).all()


def test_the_figure_states_images_steps_and_what_its_numbers_cannot_tell(noisy):
    figure = scale_convergence.draw(numbers_of(noisy), STUDY)
    assert STUDY["note"] in " ".join(text.get_text() for text in figure.texts)
    assert "200 validation images" in figure.axes[0].get_ylabel()
    assert figure.axes[0].get_xlabel() == "optimiser steps, 64 images each"


def test_the_table_holds_steps_censored_runs_and_the_horizon(straight, tmp_path):
    paths = {name: str(tmp_path / f"table.{name}") for name in ("csv", "markdown", "latex")}
    scale_convergence_table.main(straight, STUDY, paths)
    table = pd.read_csv(paths["csv"])
    assert len(table) == 2 * 3 * 3
    row = table.query("task == 'skin8' and backbone == 'r26w64' and upstream == 'none'").iloc[0]
    assert row["own_steps"] == pytest.approx(0.95 * HORIZON)
    assert row["baseline_steps"] == pytest.approx((HORIZON + TARGET / 0.25 * HORIZON) / 2)
    assert (row["baseline_censored"], row["n_seeds"], row["horizon"], row["images_per_step"]) == (1, 2, HORIZON, 64)
    markdown = (tmp_path / "table.markdown").read_text()
    assert markdown.count("1 of 2") == 2 * 3
    assert STUDY["note"] in markdown


def test_a_missing_run_is_an_error(noisy, tmp_path):
    runs_listed = pd.read_csv(noisy["completeness"])
    write_csv(runs_listed.assign(status="missing"), tmp_path / "completeness.csv")
    with pytest.raises(UserError, match="36 of 36 runs that this needs are missing"):
        numbers_of({**noisy, "completeness": str(tmp_path / "completeness.csv")})
