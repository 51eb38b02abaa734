"""What readers of the calibration figures and table rely on: what was drawn, of whom, and which intervals to trust."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figures import scale_calibration, scale_selective, scale_uncertainty, scale_uncertainty_table
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.metrics import calibration
from medtransfer.metrics.seeds import mean_over_seeds
from medtransfer.plotting import names
from medtransfer.plotting.numbers import ALL_SEEDS, study_numbers
from medtransfer.results import Results
from medtransfer.runs import CELL, KEYS
from tests import invented

STUDY = invented.STUDY
SCALE = invented.runs({"scale": [{**invented.ARMS["scale"][0], "backbones": ["r14w16", "r26w64"]}]})
FIGURES = [scale_calibration, scale_selective, scale_uncertainty]
COMPARED = {("r14w16", "none"), ("r14w16", "scenes-small"), ("r26w64", "scenes-large")}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, str]:
    return invented.tables(tmp_path_factory.mktemp("results"), SCALE)


@pytest.fixture(scope="module")
def numbers(tables, tmp_path_factory) -> dict[str, pd.DataFrame]:
    """The CSV beside each figure."""
    folder, found = tmp_path_factory.mktemp("figures"), {}
    for script in FIGURES:
        script.main(tables, STUDY, str(folder / "figure.csv"), [])
        found[script.__name__] = pd.read_csv(folder / "figure.csv", keep_default_na=False, na_values=[""])
    return found


def changed(tables: dict[str, str], folder: Path, name: str, change: Callable) -> dict[str, str]:
    """The tables with one parquet file changed."""
    write_parquet(change(pd.read_parquet(tables[name])), folder / f"{name}.parquet")
    return {**tables, name: str(folder / f"{name}.parquet")}


# --- The figures -----------------------------------------------------------------------------------------------------


def drawn(figure: Figure) -> tuple[list[float], list[float]]:
    """Heights of all markers of lines, and of both ends of all bars and bands."""
    values: list[float] = []
    bounds: list[float] = []
    for axes in figure.axes:
        for line in axes.lines:
            if line.get_marker() not in ("", "None", "|"):
                values += np.asarray(line.get_ydata()).tolist()
        for collection in axes.collections:
            if isinstance(collection, LineCollection | PolyCollection):
                bounds += [y for path in collection.get_paths() for y in np.asarray(path.vertices)[:, 1]]
    return values, bounds


@pytest.mark.parametrize("script", FIGURES)
def test_the_csv_beside_a_figure_holds_the_drawn_numbers(script, numbers) -> None:
    table = numbers[script.__name__]
    values, bounds = drawn(script.draw(table, STUDY))
    if script is scale_uncertainty:
        table = table[table["seed"] == ALL_SEEDS]
    curves = table[table["diagram"] != "aurc"] if script is scale_selective else table
    assert sorted(values) == pytest.approx(sorted(curves["value"]))
    # A band's outline holds every bound, and those at its ends twice.
    assert {round(y, 6) for y in bounds} == {round(y, 6) for y in (*curves["ci_low"], *curves["ci_high"])}


@pytest.mark.parametrize("script", [scale_calibration, scale_selective])
def test_diagrams_are_those_of_the_three_networks_on_every_cohort(script, numbers) -> None:
    table = numbers[script.__name__]
    assert set(zip(table["backbone"], table["upstream"], strict=True)) == COMPARED
    assert list(table["cohort"].unique()[:3]) == ["chexpert", "nih_cxr14", "vindr_cxr"]
    assert table.groupby("cohort")["n_images"].first().to_dict() == {
        cohort: n for cohort, n in invented.IMAGES.items() if cohort in set(table["cohort"])
    }
    diagrams = {"reliability", "reliability_scaled"} if script is scale_calibration else {"risk_coverage", "aurc"}
    assert set(table["diagram"]) == diagrams


@pytest.mark.parametrize("script", FIGURES)
def test_a_figure_says_n_and_what_its_numbers_cannot_tell(script, numbers) -> None:
    figure = script.draw(numbers[script.__name__], STUDY)
    titles = " ".join(axes.get_title(loc="left") for axes in figure.axes)
    texts = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "480" in titles
    assert "95 % bootstrap intervals over patients" in texts
    assert STUDY["note"] in texts


def test_areas_under_risk_coverage_curves_are_written_into_their_panels(numbers) -> None:
    table = numbers[scale_selective.__name__]
    legends = [legend for axes in scale_selective.draw(table, STUDY).axes if (legend := axes.get_legend())]
    written = [text.get_text() for legend in legends for text in legend.get_texts()]
    areas = table[table["diagram"] == "aurc"].sort_values(["task", "cohort"])
    assert sorted(written) == sorted(f"{r.value:.3f} [{r.ci_low:.3f}, {r.ci_high:.3f}]" for r in areas.itertuples())


@pytest.mark.parametrize("script", [scale_calibration, scale_selective])
def test_a_missing_diagram_is_an_error_that_names_it(script, tables, tmp_path) -> None:
    paths = changed(tables, tmp_path, "diagrams", lambda rows: rows[rows["cohort"] != "pad_ufes_20"])
    with pytest.raises(UserError, match=r"no \w+ diagram of skin8/r14w16/none/random/rule/pct100 on pad_ufes_20"):
        script.main(paths, STUDY, str(tmp_path / "figure.csv"), [])
    assert not (tmp_path / "figure.csv").exists()


# --- The mean over cohorts -------------------------------------------------------------------------------------------


def test_the_mean_over_ood_cohorts_counts_each_alike_and_pairs_its_draws(tables) -> None:
    results = Results.load(tables, STUDY, ("brier",))
    cells = results.cells("scale", task="chest5", backbone="r26w64", upstream="none")
    rows = scale_uncertainty.over_ood_cohorts(results, cells, "brier")
    cell = tuple(cells[list(CELL)].iloc[0])
    both = [results.measured(cell, cohort, "brier") for cohort in ("nih_cxr14", "vindr_cxr")]
    values, drawn = (sum(getattr(each, name) for each in both) / 2 for name in ("values", "replicates"))
    assert rows["value"].to_numpy()[:2] == pytest.approx(values)
    mean = rows.iloc[-1]
    expected = mean_over_seeds(drawn, values, 0.95, np.random.default_rng(0))
    assert [mean["value"], mean["ci_low"], mean["ci_high"]] == pytest.approx(list(expected))
    assert mean["n"] == 1250 + 700


def test_the_mean_over_one_cohort_is_that_cohort(tables) -> None:
    results = Results.load(tables, STUDY, ("nll",))
    cells = results.cells("scale", task="skin8")
    alone = study_numbers(results, cells, "nll").query("cohort == 'pad_ufes_20'").reset_index(drop=True)
    mean = scale_uncertainty.over_ood_cohorts(results, cells, "nll")
    shared = [*KEYS, "cohort", "shift", "metric", "value", "ci_low", "ci_high", "n"]
    pd.testing.assert_frame_equal(mean[shared], alone[shared], check_dtype=False)


def test_a_task_without_ood_cohorts_shows_the_one_it_has(tables, tmp_path) -> None:
    study: Any = {**STUDY, "tasks": {**STUDY["tasks"], "skin8": {**STUDY["tasks"]["skin8"], "ood_cohorts": []}}}
    scale_uncertainty.main(tables, study, str(tmp_path / "figure.csv"), [str(tmp_path / "figure.svg")])
    table = pd.read_csv(tmp_path / "figure.csv")
    assert set(table[table["task"] == "skin8"]["cohort"]) == {"isic_2019"}


@pytest.mark.parametrize("script", [*FIGURES, scale_uncertainty_table])
def test_a_study_without_the_networks_is_an_error_that_says_what_to_add(script, tables, tmp_path) -> None:
    runs = pd.read_csv(tables["completeness"])
    write_csv(runs.assign(arms="scale/efficiency"), tmp_path / "completeness.csv")
    paths = {**tables, "completeness": str(tmp_path / "completeness.csv")}
    outputs: list[Any] = [{}] if script is scale_uncertainty_table else [str(tmp_path / "figure.csv"), []]
    with pytest.raises(UserError, match="arm `scale`"):
        script.main(paths, STUDY, *outputs)


# --- The table -------------------------------------------------------------------------------------------------------


def test_the_table_has_every_metric_with_and_without_scaling_and_the_temperature(tables, tmp_path) -> None:
    def with_temperatures(metrics: pd.DataFrame) -> pd.DataFrame:
        fitted = metrics.query("metric == 'nll' and split == 'val' and label == 'mean' and shift == 'id'")
        return pd.concat([metrics, fitted.assign(metric="temperature", value=1.5 + fitted["seed"] / 10)])

    paths = {
        name: str(tmp_path / f"table.{end}") for name, end in (("csv", "csv"), ("markdown", "md"), ("latex", "tex"))
    }
    scale_uncertainty_table.main(changed(tables, tmp_path, "metrics", with_temperatures), STUDY, paths)
    rows = pd.read_csv(paths["csv"])
    assert set(rows.groupby(["task", "backbone", "upstream", "cohort"])["metric"].size()) == {8, 9}
    temperatures = rows[rows["metric"] == "temperature"]
    assert len(temperatures) == 2 * 2 * 3  # tasks, backbones, upstreams; fitted once
    assert temperatures["value_scaled"].to_numpy() == pytest.approx(1.55)
    assert temperatures["value"].isna().all()
    biased = rows["metric"].isin(["ece", "brier_reliability", "brier_resolution"])
    bounds = rows[["ci_low", "ci_high", "ci_low_scaled", "ci_high_scaled"]]
    assert bounds[biased].isna().all(axis=None)
    assert bounds[rows["metric"].isin(["ece_debiased", "brier", "nll"])].notna().all(axis=None)
    forecasts = rows[rows["metric"].isin(calibration.METRICS)]
    assert forecasts["value_scaled"].to_numpy() == pytest.approx(forecasts["value"].to_numpy() / 2, abs=1e-6)
    written = [
        f"{row.value:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]" for row in rows[rows["metric"] == "nll"].itertuples()
    ]
    for path in (paths["markdown"], paths["latex"]):
        text = Path(path).read_text()
        assert re.findall(r"\(nats\) +[&|] (\S+ \[\S+ \S+\])", text) == written
        assert STUDY["note"] in text


def test_every_metric_has_a_readable_name() -> None:
    assert names.METRICS["ece_debiased"] == "debiased ECE"
    assert {f"{metric}_scaled" for metric in calibration.METRICS} < set(names.METRICS)
    assert not [name for name in names.METRICS.values() if "_" in name]
