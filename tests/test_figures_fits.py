"""What readers of scaling fits and of the sensitivity table rely on: slopes as others compute them, paired changes."""

import numpy as np
import pandas as pd
import pytest
from figures import scale_fits, scale_fits_table, scale_sensitivity
from scipy import stats

from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.plotting.numbers import means
from medtransfer.results import Results
from tests.invented import ARMS, STUDY, runs, tables

GRID = {arm: ARMS[arm] for arm in ("scale", "sensitivity")}
EVERY = ARMS["scale"][0]["upstreams"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return tables(tmp_path_factory.mktemp("results"), runs(GRID))


@pytest.fixture(scope="module")
def scores(paths) -> pd.DataFrame:
    """Mean scores of the cells that have an upstream, with sizes, straight from the tables."""
    metrics = pd.read_parquet(paths["metrics"]).query(
        "label == 'mean' and split == 'test' and subgroup_by == 'all' and metric in ['auc', 'balanced_accuracy']"
    )
    primary = metrics["task"].map({task: facts["primary_metric"] for task, facts in STUDY["tasks"].items()})
    keys = ["task", "cohort", "backbone", "upstream"]
    found = metrics[metrics["metric"] == primary].groupby(keys, as_index=False)["value"].mean()
    sized = found.merge(pd.read_csv(paths["upstreams"], keep_default_na=False), on=["upstream", "backbone"])
    return sized[sized["upstream"] != "none"]


def numbers_of(paths) -> pd.DataFrame:
    return scale_fits.numbers_of(Results.load(paths, STUDY), paths["upstreams"])


def coefficients_of(paths) -> pd.DataFrame:
    return scale_fits_table.coefficients(Results.load(paths, STUDY), paths["upstreams"])


def only(folder, backbones, upstreams):
    return tables(folder, runs({"scale": [{"tasks": ["chest5"], "backbones": backbones, "upstreams": upstreams}]}))


def xy(line) -> list[list[float]]:
    """The points of a line: [2, points]."""
    return np.asarray(line.get_data(), dtype=float).tolist()


# --- Fits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["parameters", "images", "multiply_adds"])
@pytest.mark.parametrize(("task", "cohort"), [("chest5", "chexpert"), ("skin8", "isic_2019")])
def test_slopes_and_lines_are_those_of_linear_regression(paths, scores, task, cohort, axis):
    cells = scores[(scores["task"] == task) & (scores["cohort"] == cohort)]
    expected = stats.linregress(np.log10(cells[axis].astype(float)), cells["value"])
    own = numbers_of(paths).query("task == @task and axis == @axis")
    slope = own[own["drawn"] == "coefficient"].iloc[0]
    assert slope["value"] == pytest.approx(expected.slope)
    assert slope["ci_low"] < slope["value"] < slope["ci_high"]
    line = own[own["drawn"] == "line"]
    np.testing.assert_allclose(line["value"], expected.intercept + expected.slope * np.log10(line[axis]))
    assert (line["ci_low"] < line["value"]).all()
    assert (line["value"] < line["ci_high"]).all()
    assert (line[axis].min(), line[axis].max()) == pytest.approx((cells[axis].min(), cells[axis].max()))


def test_the_interaction_is_that_of_least_squares_on_raw_logarithms(paths, scores):
    rows = coefficients_of(paths).query("coefficient == 'interaction'")
    assert len(rows) == 3 + 2  # cohorts of the tasks
    for row in rows.itertuples():
        cells = scores[(scores["task"] == row.task) & (scores["cohort"] == row.cohort)]
        first, second = np.log10(cells["parameters"]), np.log10(cells["images"].astype(float))
        design = np.column_stack([np.ones(len(cells)), first, second, first * second])
        assert row.value == pytest.approx(np.linalg.lstsq(design, cells["value"], rcond=None)[0][3])
        assert row.n_cells == len(cells) == 6


def test_networks_from_scratch_are_shown_and_not_fitted(paths, tmp_path):
    before = numbers_of(paths)
    metrics = pd.read_parquet(paths["metrics"])
    scratch = metrics["upstream"] == "none"
    write_parquet(metrics.assign(value=metrics["value"] - 0.3 * scratch), tmp_path / "metrics.parquet")
    after = numbers_of({**paths, "metrics": str(tmp_path / "metrics.parquet")})
    fitted = before["drawn"] != "cell"
    pd.testing.assert_frame_equal(before[fitted], after[fitted])
    shown = means(after[(after["drawn"] == "cell") & (after["upstream"] == "none")])
    assert len(shown) == 2 * 3
    assert (shown["value"] < 0.6).all()


def test_one_network_leaves_the_fits_over_upstreams_alone(tmp_path):
    paths = only(tmp_path, ["r14w16"], EVERY)
    assert set(numbers_of(paths)["axis"].dropna()) == {"images", "multiply_adds"}
    assert set(coefficients_of(paths)["fit"]) == {"images", "multiply_adds"}
    figure = scale_fits.draw(numbers_of(paths), STUDY)
    assert [panel.get_xlabel() for panel in figure.axes] == ["upstream images", "pre-training multiply-adds"]


def test_one_upstream_has_no_fit_over_images_and_no_interaction(tmp_path):
    paths = only(tmp_path, [*STUDY["backbones"]], ["none", "scenes-small"])
    assert set(coefficients_of(paths)["fit"]) == {"parameters", "multiply_adds"}


@pytest.mark.parametrize("upstreams", [["none", "scenes-small"], ["none"]])
def test_a_study_with_nothing_to_fit_is_told_what_to_add(tmp_path, upstreams):
    paths = only(tmp_path, ["r14w16"], upstreams)
    for make in (numbers_of, coefficients_of):
        with pytest.raises(UserError, match="Add backbones or upstreams to its arm `scale`"):
            make(paths)


def test_an_upstream_of_unknown_size_is_an_error(paths, tmp_path):
    known = pd.read_csv(paths["upstreams"], keep_default_na=False)
    write_csv(known[known["upstream"] != "scenes-large"], tmp_path / "upstreams.csv")
    with pytest.raises(UserError, match=r"how many images of scenes-large .*`images`, `epochs` and `crop`"):
        numbers_of({**paths, "upstreams": str(tmp_path / "upstreams.csv")})


def test_the_csv_beside_the_figure_holds_the_drawn_numbers(paths, tmp_path):
    csv = tmp_path / "figure.csv"
    scale_fits.main(paths, STUDY, str(csv), [])
    table = pd.read_csv(csv)
    for panel in scale_fits.draw(table, STUDY).axes[:3]:
        own = table[table["task"] == "chest5"]
        axis = next(name for name, title in scale_fits.AXES.items() if title == panel.get_xlabel())
        marked = [y for line in panel.lines if line.get_marker() != "None" for y in xy(line)[1]]
        assert sorted(marked) == pytest.approx(sorted(means(own)["value"]))
        line = own[(own["drawn"] == "line") & (own["axis"] == axis)]
        assert list(xy(panel.lines[0])[1]) == pytest.approx(list(line["value"]))
        slope = own[(own["drawn"] == "coefficient") & (own["axis"] == axis)]["value"].iloc[0]
        assert panel.get_title(loc="left").startswith(f"{slope:+.3f} [")


def test_the_figure_prints_the_interaction_and_what_its_numbers_cannot_tell(paths):
    numbers = numbers_of(paths)
    figure = scale_fits.draw(numbers, STUDY)
    value = numbers.loc[numbers["coefficient"] == "interaction", "value"].iloc[0]
    headings = [text.get_text() for row in figure.subfigs for text in row.texts]
    assert any(text.startswith(f"Interaction of parameters and images: {value:+.3f} [") for text in headings)
    assert STUDY["note"] in " ".join(text.get_text() for text in figure.texts)
    assert "ID, 480 images" in figure.axes[0].get_ylabel()


# --- Sensitivity -----------------------------------------------------------------------------------------------------


def compared(paths, study=STUDY) -> pd.DataFrame:
    return scale_sensitivity.compared(Results.load(paths, study))


def gain(scores, task, cohort) -> float:
    cells = scores[(scores["task"] == task) & (scores["cohort"] == cohort)].set_index(["backbone", "upstream"])["value"]
    return cells["r26w64", "scenes-large"] - cells["r14w16", "scenes-small"]


def test_gains_and_their_change_are_differences_of_means(paths, scores):
    rows = compared(paths)
    assert list(rows["cohort"].unique()) == ["chexpert", "nih_cxr14", "vindr_cxr"]
    for cohort, part in rows.groupby("cohort"):
        decided, variant = part.set_index("variant").loc[["chest5", "chest5-ones"]].to_dict("records")
        assert decided["gain"] == pytest.approx(gain(scores, "chest5", cohort))
        assert variant["gain"] == pytest.approx(gain(scores, "chest5-ones", cohort))
        assert variant["difference"] == pytest.approx(variant["gain"] - decided["gain"])
        assert variant["difference_low"] <= variant["difference"] <= variant["difference_high"]
        assert variant["paired"]
        assert np.isnan(decided["difference"])


def test_changes_on_other_images_are_not_paired_and_less_certain(paths, tmp_path):
    """Each cell gets noise of its own in patients, the same in both tasks: paired, the change has none."""
    replicates = pd.read_parquet(paths["replicates"])
    noise = {name: np.random.default_rng(seed).normal(0, 0.05, 200) for seed, name in enumerate(STUDY["backbones"])}
    drawn = [each + noise[name] for each, name in zip(replicates["replicates"], replicates["backbone"], strict=True)]
    write_parquet(replicates.assign(replicates=drawn), tmp_path / "replicates.parquet")
    metrics = pd.read_parquet(paths["metrics"])
    fewer = metrics["n"].mask(metrics["task"] == "chest5-ones", metrics["n"] - 1)
    write_parquet(metrics.assign(n=fewer), tmp_path / "metrics.parquet")
    noisy = {**paths, "replicates": str(tmp_path / "replicates.parquet")}
    same = compared(noisy).query("variant != task")
    other = compared({**noisy, "metrics": str(tmp_path / "metrics.parquet")}).query("variant != task")
    assert same["paired"].all()
    assert not other["paired"].any()
    width = {
        name: (rows["difference_high"] - rows["difference_low"]).mean() for name, rows in (("s", same), ("o", other))
    }
    assert width["o"] > 3 * width["s"]


def test_a_variant_that_is_trained_on_another_cohort_is_in_distribution_there(paths, scores):
    elsewhere = {**STUDY["tasks"]["chest5-ones"], "id_cohort": "nih_cxr14", "ood_cohorts": []}
    rows = compared(paths, {**STUDY, "tasks": {**STUDY["tasks"], "chest5-ones": elsewhere}})
    inside = rows[(rows["shift"] == "id") & (rows["variant"] == "chest5-ones")].iloc[0]
    assert inside["cohort"] == "nih_cxr14" and not inside["paired"]
    assert inside["gain"] == pytest.approx(gain(scores, "chest5-ones", "nih_cxr14"))


def test_a_study_without_variants_is_told_what_to_add(paths):
    with pytest.raises(UserError, match=r"`variants`.*arm `sensitivity`"):
        compared(paths, {**STUDY, "variants": {}})


def test_a_missing_variant_run_is_an_error(paths, tmp_path):
    listed = pd.read_csv(paths["completeness"])
    lost = (listed["task"] == "chest5-ones") & (listed["seed"] == 1)
    write_csv(listed.assign(status=listed["status"].mask(lost, "missing")), tmp_path / "completeness.csv")
    with pytest.raises(UserError, match="2 of 4 runs that this needs are missing: chest5-ones"):
        compared({**paths, "completeness": str(tmp_path / "completeness.csv")})


@pytest.mark.parametrize("script", [scale_fits_table, scale_sensitivity])
def test_tables_have_three_formats_with_intervals_and_the_note(script, paths, tmp_path):
    outputs = {name: str(tmp_path / f"table.{name}") for name in ("csv", "markdown", "latex")}
    script.main(paths, STUDY, outputs)
    rows = pd.read_csv(outputs["csv"])
    markdown = (tmp_path / "table.markdown").read_text()
    assert markdown.count("\n| ") == len(rows)
    assert "VinDr-CXR" in markdown
    for name in ("markdown", "latex"):
        assert STUDY["note"] in (tmp_path / f"table.{name}").read_text()
