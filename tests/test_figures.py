"""What readers of figures and tables rely on: honest intervals, numbers as drawn, the same files each time."""

import itertools
import json
import re
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import pytest
from docutils.core import publish_parts
from figures import scale_performance, scale_table
from scipy import stats

from medtransfer.errors import UserError
from medtransfer.metrics.seeds import mean_over_seeds
from medtransfer.plotting import names, style
from medtransfer.plotting.numbers import ALL_SEEDS
from tests import invented
from tests.invented import STUDY


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return invented.tables(tmp_path_factory.mktemp("results"), invented.runs({"scale": invented.ARMS["scale"]}))


# --- The mean over seeds ---------------------------------------------------------------------------------------------


def test_interval_of_one_seed_is_that_of_its_patients():
    values = np.random.default_rng(0).normal(0.8, 0.02, (1, 999))
    mean, low, high = mean_over_seeds(values, np.array([0.81]), 0.9, np.random.default_rng(1))
    assert mean == 0.81
    assert [low, high] == pytest.approx(np.quantile(values[0], [0.05, 0.95]))


def test_interval_without_patient_noise_has_the_standard_error_of_a_mean_of_seeds():
    point = np.random.default_rng(2).normal(0.8, 0.02, 12)
    values = np.repeat(point[:, None], 20_000, axis=1)
    mean, low, high = mean_over_seeds(values, point, 0.95, np.random.default_rng(1))
    assert mean == pytest.approx(point.mean())
    assert (high - low) / (2 * stats.norm.ppf(0.975)) == pytest.approx(stats.sem(point), rel=0.05)


def test_interval_adds_the_variances_of_patients_and_seeds():
    rng = np.random.default_rng(3)
    patients, point = rng.normal(0, 0.01, 20_000), rng.normal(0.8, 0.03, 12)
    _, low, high = mean_over_seeds(point[:, None] + patients, point, 0.95, np.random.default_rng(1))
    assert (high - low) / (2 * stats.norm.ppf(0.975)) == pytest.approx(np.hypot(0.01, stats.sem(point)), rel=0.05)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(4), 0
    for _ in range(400):
        patients, seeds = rng.normal(0, 0.01), rng.normal(0, 0.02, 8)
        replicates = patients + seeds[:, None] + rng.normal(0, 0.01, 300)
        _, low, high = mean_over_seeds(replicates, patients + seeds, 0.9, rng)
        hits += low <= 0 <= high
    assert 0.83 < hits / 400 < 0.95


def test_few_undefined_replicates_are_left_out_and_many_leave_no_interval():
    values = np.random.default_rng(5).uniform(0.7, 0.9, (2, 100))
    values[0, 0] = np.nan
    _, low, high = mean_over_seeds(values, np.array([0.8, 0.8]), 0.95, np.random.default_rng(0))
    assert 0.6 < low < high < 1
    values[1, 1:] = np.nan
    _, low, high = mean_over_seeds(values, np.array([0.8, 0.8]), 0.95, np.random.default_rng(0))
    assert np.isnan([low, high]).all()


def test_values_and_point_must_hold_the_same_seeds():
    with pytest.raises(ValueError, match="same seeds"):
        mean_over_seeds(np.zeros((2, 5)), np.zeros(3), 0.95, np.random.default_rng(0))


# --- A figure, for all of them ---------------------------------------------------------------------------------------


def drawn(figure) -> tuple[list[float], list[float]]:
    """Heights of all markers of means, and of both ends of all interval bars."""
    means, bounds = [], []
    for axes in figure.axes:
        means += [y for line in axes.lines if line.get_marker() not in ("", "None") for y in line.get_ydata()]
        for collection in axes.collections:
            if hasattr(collection, "get_segments"):
                bounds += [y for segment in collection.get_segments() for y in segment[:, 1]]
    return sorted(means), sorted(bounds)


def test_the_csv_beside_a_figure_holds_the_drawn_numbers(tables, tmp_path):
    csv = tmp_path / "figure.csv"
    scale_performance.main(tables, STUDY, str(csv), images=[])
    table = pd.read_csv(csv)
    means, bounds = drawn(scale_performance.draw(table, STUDY))
    rows = table[table["seed"] == ALL_SEEDS]
    assert means == pytest.approx(sorted(rows["value"]))
    assert bounds == pytest.approx(sorted([*rows["ci_low"], *rows["ci_high"]]))
    assert len(rows) == 3 * 3 * (3 + 2)  # backbones, upstreams, cohorts of the tasks


def test_figures_are_byte_identical_between_runs_undated_and_with_embedded_fonts(tables, tmp_path):
    for name in ("first", "second"):
        images = [str(tmp_path / f"{name}.{suffix}") for suffix in ("svg", "pdf")]
        scale_performance.main(tables, STUDY, str(tmp_path / f"{name}.csv"), images)
    svg, pdf = (tmp_path / "first.svg").read_bytes(), (tmp_path / "first.pdf").read_bytes()
    assert svg == (tmp_path / "second.svg").read_bytes()
    assert pdf == (tmp_path / "second.pdf").read_bytes()
    assert b"<dc:date>" not in svg
    assert b"CreationDate" not in pdf
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def test_a_figure_says_what_its_numbers_cannot_tell(tables, tmp_path):
    scale_performance.main(tables, STUDY, str(tmp_path / "f.csv"), images=[])
    figure = scale_performance.draw(pd.read_csv(tmp_path / "f.csv"), STUDY)
    texts = " ".join(text.get_text() for text in figure.texts)
    assert STUDY["note"] in texts.replace("\n", " ")
    assert "95 % bootstrap intervals" in texts


def test_a_figure_with_a_missing_run_is_not_made(tables, tmp_path):
    runs = pd.read_csv(tables["completeness"], keep_default_na=False)
    runs.loc[3, "status"] = "missing"
    runs.to_csv(tmp_path / "completeness.csv", index=False)
    with pytest.raises(UserError, match="1 of 36 runs that this needs are missing"):
        changed = {**tables, "completeness": str(tmp_path / "completeness.csv")}
        scale_performance.main(changed, STUDY, str(tmp_path / "f.csv"), [str(tmp_path / "f.svg")])
    assert not (tmp_path / "f.csv").exists() and not (tmp_path / "f.svg").exists()


def test_lines_differ_in_marker_and_in_lightness():
    looks = list(style.looks(["none", "a", "b"]).values())
    assert len({look.marker for look in looks}) == 3
    lightness = [np.dot([int(look.colour[i : i + 2], 16) for i in (1, 3, 5)], [0.299, 0.587, 0.114]) for look in looks]
    assert min(abs(a - b) for a, b in itertools.combinations(lightness, 2)) > 40


def test_more_upstreams_than_looks_is_an_error():
    with pytest.raises(UserError, match="tells 7 upstreams apart and was given 8"):
        style.looks(map(str, range(8)))


@pytest.mark.parametrize(("count", "text"), [(41_000, "0.041 M"), (1_490_000, "1.5 M"), (928_340_224, "928 M")])
def test_parameter_counts_are_given_in_millions(count, text):
    assert names.parameters(count) == text


def test_a_look_stays_with_its_name_where_not_all_are_shown():
    every = style.looks(["none", "a", "b"])
    assert style.shown_looks(["none", "a", "b"], ["b"]) == {"b": every["b"]}


# --- The table -------------------------------------------------------------------------------------------------------


def formats(folder: Path) -> dict[str, str]:
    suffixes = {"csv": "csv", "markdown": "md", "latex": "tex"}
    return {name: str(folder / f"table.{suffix}") for name, suffix in suffixes.items()}


GOLDEN = Path(__file__).parent / "golden" / "scale_table"


def golden_inputs(folder: Path) -> dict[str, str]:
    """The committed results of two cells, as the workflow writes them."""
    stored = json.loads((GOLDEN / "results.json").read_text())
    for name, rows in stored.items():
        table = pd.DataFrame(rows)
        if name == "completeness":
            table.to_csv(folder / "completeness.csv", index=False)
        else:
            table.to_parquet(folder / f"{name}.parquet")
    return {path.stem: str(path) for path in folder.iterdir()}


def test_the_table_is_byte_identical_to_the_committed_one(tmp_path):
    outputs = formats(tmp_path)
    scale_table.main(golden_inputs(tmp_path), STUDY, outputs)
    for path in map(Path, outputs.values()):
        assert path.read_bytes() == (GOLDEN / path.name).read_bytes(), f"{path.name} differs from the committed one"


def test_the_tables_formats_agree(tables, tmp_path):
    outputs = formats(tmp_path)
    scale_table.main(tables, STUDY, outputs)
    csv, md, tex = map(Path, outputs.values())
    rows = pd.read_csv(csv)
    cells = [f"{row['mean']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" for _, row in rows.iterrows()]
    for path in (md, tex):
        assert re.findall(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", path.read_text()) == cells
        assert STUDY["note"] in path.read_text()
    assert r"\toprule" in tex.read_text()


def test_one_seed_has_no_spread(tmp_path):
    few = invented.tables(tmp_path, invented.runs({"scale": invented.ARMS["scale"]}, seeds=[3]))
    outputs = formats(tmp_path)
    scale_table.main(few, STUDY, outputs)
    assert pd.read_csv(outputs["csv"])["seed_sd"].isna().all()
    assert "| –" in Path(outputs["markdown"]).read_text()


# --- The captions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caption", sorted((Path(__file__).parents[1] / "report").glob("*.rst")), ids=lambda x: x.stem)
@pytest.mark.parametrize("note", ["", STUDY["note"]])
def test_captions_are_valid_and_carry_the_tiers_note(caption, note):
    config = {"tier": "demo", **({"note": note} if note else {})}
    snakemake = {
        "config": config,
        "params": {"study": {**STUDY, "note": note}, "facts": {"note": note}},
        "wildcards": {"cohort": "chexpert"},
    }
    text = jinja2.Template(caption.read_text()).render(snakemake=snakemake)
    html = publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    assert ("say nothing about medicine" in html) == bool(note)
    assert ("95 %" in html) == ("confidence" in caption.read_text())
