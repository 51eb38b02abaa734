"""What readers of figures and tables rely on: complete, honest intervals, and the numbers that were drawn."""

import itertools
import re
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import pytest
from docutils.core import publish_parts
from figures import scale_efficiency, scale_performance, scale_table
from scipy import stats

from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.metrics.seeds import mean_over_seeds
from medtransfer.plotting import names, style
from medtransfer.plotting.numbers import ALL_SEEDS, Study, full_budget, study_numbers
from medtransfer.runs import KEYS

COHORTS = {
    "chest5": {"chexpert": ("id", 480), "nih_cxr14": ("ood", 1250), "vindr_cxr": ("ood", 700)},
    "skin8": {"isic_2019": ("id", 820), "pad_ufes_20": ("ood", 310), "ham10000": ("ood", 450)},
}
STUDY: Study = {
    "name": "scale",
    "tasks": {
        "chest5": {"title": "Chest films, five findings", "primary_metric": "auc", "id_cohort": "chexpert"},
        "skin8": {
            "title": "Skin lesions, eight classes",
            "primary_metric": "balanced_accuracy",
            "id_cohort": "isic_2019",
        },
    },
    "backbones": {"r14w16": 41_000, "r26w64": 890_000, "r14w32": 160_000},
    "upstreams": ["none", "scenes-small", "scenes-large"],
    "roles": {"small": "r14w16", "large": "r26w64", "none": "none", "narrow": "scenes-small", "broad": "scenes-large"},
    "confidence": 0.95,
    "note": "Synthetic images. These numbers say nothing about medicine.",
    "titles": {"chexpert": "CheXpert", "nih_cxr14": "NIH ChestX-ray14", "vindr_cxr": "VinDr-CXR"},
}
REPLICATES = 50


def invented(study: Study, cohorts: dict, budgets=("pct10", "pct30", "pct100"), seeds=(0, 1)) -> list[pd.DataFrame]:
    """Metrics, replicates and completeness of every run of a grid, from a made-up law and seeded noise."""
    rng = np.random.default_rng(7)
    sizes = sorted(study["backbones"].values())
    metrics, replicates, runs = [], [], []
    for task, backbone, upstream, budget, seed in itertools.product(
        study["tasks"], study["backbones"], study["upstreams"], budgets, seeds
    ):
        initialisation = "random" if upstream == "none" else "pretrained"
        run = dict(zip(KEYS, (task, backbone, upstream, initialisation, budget, seed), strict=True))
        runs.append({**run, "studies": "scale domain", "status": "present"})
        size, data = sizes.index(study["backbones"][backbone]), np.log10(float(budget.removeprefix("pct")) / 100)
        gain = 0.02 * study["upstreams"].index(upstream) * (1 + size) / 2 + 0.01 * size
        luck = 0.008 * rng.standard_normal()
        for cohort, (shift, n) in cohorts[task].items():
            value = 0.78 + gain + (0.08 - gain / 2) * data - 0.05 * (shift == "ood") + luck
            draws = value + 0.35 / np.sqrt(n) * np.random.default_rng(n).standard_normal(REPLICATES)
            here = {**run, "cohort": cohort, "split": "test", "label": "mean"}
            measured = {"shift": shift, "subgroup_by": "all", "subgroup": "all", "n": n, "n_positive": n // 3}
            metric = study["tasks"][task]["primary_metric"]
            metrics.append({**here, **measured, "metric": metric, "value": value})
            # What must not get into a figure: another metric, label, split and sub-group.
            metrics.append({**here, **measured, "metric": "average_precision", "value": -1.0})
            metrics.append({**here, **measured, "metric": metric, "label": "edema", "value": -1.0})
            metrics.append({**here, **measured, "metric": metric, "split": "val", "value": -1.0})
            metrics.append({**here, **measured, "metric": metric, "subgroup_by": "sex", "value": -1.0})
            replicates += [
                {**here, "metric": metric, "replicate": number, "value": draw} for number, draw in enumerate(draws)
            ]
    return [pd.DataFrame(rows) for rows in (metrics, replicates, runs)]


def written(folder: Path, metrics: pd.DataFrame, replicates: pd.DataFrame, runs: pd.DataFrame) -> dict[str, Any]:
    """The tables as files; their paths by the names that the figures' functions give them."""
    write_parquet(metrics, folder / "metrics.parquet")
    write_parquet(replicates, folder / "replicates.parquet")
    write_csv(runs, folder / "completeness.csv")
    names = ("metrics.parquet", "replicates.parquet", "completeness.csv")
    return {name.split(".")[0]: str(folder / name) for name in names}


@pytest.fixture(scope="module")
def tables() -> list[pd.DataFrame]:
    return invented(STUDY, COHORTS)


@pytest.fixture(scope="module")
def inputs(tables, tmp_path_factory) -> dict[str, Any]:
    return written(tmp_path_factory.mktemp("results"), *tables)


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


# --- The numbers -----------------------------------------------------------------------------------------------------


def test_means_are_those_of_the_primary_metric_on_whole_test_cohorts(tables, inputs):
    numbers = study_numbers(**inputs, study=STUDY)
    metrics = tables[0].query("label == 'mean' and split == 'test' and subgroup_by == 'all' and value > 0")
    expected = metrics.groupby([*KEYS[:-1], "cohort"])["value"].agg(["mean", "std", "size"])
    means = numbers[numbers["seed"] == ALL_SEEDS].set_index([*KEYS[:-1], "cohort"]).loc[expected.index]
    np.testing.assert_allclose(means[["value", "seed_sd", "n_seeds"]].astype(float), expected)
    assert (means["ci_low"] < means["value"]).all()
    assert (means["value"] < means["ci_high"]).all()
    assert len(numbers) == len(metrics) + len(expected)


def test_rows_stand_in_the_order_of_the_study(inputs):
    numbers = study_numbers(**inputs, study=STUDY)
    assert list(numbers["task"].unique()) == list(STUDY["tasks"])
    assert list(numbers["backbone"].unique()) == ["r14w16", "r14w32", "r26w64"]
    assert list(numbers["upstream"].unique()) == STUDY["upstreams"]
    assert list(numbers["budget"].unique()) == ["pct10", "pct30", "pct100"]
    assert list(numbers["seed"].unique()) == ["0", "1", ALL_SEEDS]
    assert numbers["cohort"].iloc[0] == "chexpert"


@pytest.mark.parametrize("gone", ["completeness", "metrics", "replicates"])
def test_a_missing_run_is_an_error_that_names_it(tables, tmp_path, gone):
    metrics, replicates, runs = tables
    lost = "task == 'skin8' and backbone == 'r14w32' and upstream == 'none' and budget == 'pct100' and seed == 1"
    if gone == "completeness":
        runs = runs.assign(status=runs["status"].where(~runs.eval(lost), "missing"))
    elif gone == "metrics":
        metrics = metrics.query(f"not ({lost})")
    else:
        replicates = replicates.query(f"not ({lost})")
    paths = written(tmp_path, metrics, replicates, runs)
    image: dict[str, Any] = {"csv": str(tmp_path / "f.csv"), "images": [str(tmp_path / "f.svg")]}
    for make in (
        lambda: scale_performance.main(**paths, study=STUDY, **image),
        lambda: scale_efficiency.main(**paths, study=STUDY, **image),
        lambda: scale_table.main(**paths, study=STUDY, **formats(tmp_path)),
    ):
        with pytest.raises(UserError, match=r"\b1 of \d+ runs|\b3 of \d+ pairs") as error:
            make()
        assert "skin8/r14w32/none/random/pct100/1" in str(error.value)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".svg", ".md", ".tex")]


def test_many_missing_runs_are_counted_and_the_first_ones_named(tables, tmp_path):
    metrics, replicates, runs = tables
    paths = written(tmp_path, metrics, replicates, runs.assign(status="missing"))
    with pytest.raises(UserError, match=r"108 of 108 runs .* and 103 more"):
        study_numbers(**paths, study=STUDY)


def test_a_run_that_the_figure_does_not_need_may_be_missing(tables, tmp_path):
    metrics, replicates, runs = tables
    runs = runs.assign(status=runs["status"].where(runs["budget"] == "pct100", "missing"))
    numbers = study_numbers(**written(tmp_path, metrics, replicates, runs), study=STUDY, choose=full_budget)
    assert set(numbers["budget"]) == {"pct100"}


def test_an_undefined_value_is_an_error(tables, tmp_path):
    metrics, replicates, runs = tables
    metrics = metrics.assign(value=metrics["value"].where(metrics["cohort"] != "ham10000"))
    with pytest.raises(UserError, match=r"54 of 324 pairs.*ham10000"):
        study_numbers(**written(tmp_path, metrics, replicates, runs), study=STUDY)


def test_runs_tested_on_different_images_are_not_compared(tables, tmp_path):
    metrics, replicates, runs = tables
    metrics = metrics.assign(n=metrics["n"] + ((metrics["cohort"] == "vindr_cxr") & (metrics["seed"] == 1)))
    with pytest.raises(UserError, match="different numbers of images: chest5/vindr_cxr"):
        study_numbers(**written(tmp_path, metrics, replicates, runs), study=STUDY)


def test_a_study_without_runs_is_an_error(inputs):
    with pytest.raises(UserError, match=r"no run of the study 'fusion'.*scale domain"):
        study_numbers(**inputs, study={**STUDY, "name": "fusion"})


# --- The figures -----------------------------------------------------------------------------------------------------


def drawn(figure) -> tuple[list[float], list[float]]:
    """Heights of all markers of means, and of both ends of all interval bars."""
    means, bounds = [], []
    for axes in figure.axes:
        means += [y for line in axes.lines if line.get_marker() not in ("", "None") for y in line.get_ydata()]
        for collection in axes.collections:
            if hasattr(collection, "get_segments"):
                bounds += [y for segment in collection.get_segments() for y in segment[:, 1]]
    return sorted(means), sorted(bounds)


@pytest.mark.parametrize("script", [scale_performance, scale_efficiency])
def test_the_csv_beside_a_figure_holds_the_drawn_numbers(script, inputs, tmp_path):
    csv = tmp_path / "figure.csv"
    script.main(**inputs, study=STUDY, csv=str(csv), images=[])
    table = pd.read_csv(csv)
    means, bounds = drawn(script.draw(table, STUDY))
    rows = table[table["seed"] == ALL_SEEDS]
    assert means == pytest.approx(sorted(rows["value"]))
    assert bounds == pytest.approx(sorted([*rows["ci_low"], *rows["ci_high"]]))


def test_figures_are_byte_identical_between_runs_undated_and_with_embedded_fonts(inputs, tmp_path):
    numbers = study_numbers(**inputs, study=STUDY, choose=full_budget).query("task == 'chest5'")
    for name in ("first", "second"):
        style.save(scale_performance.draw(numbers, STUDY), tmp_path / f"{name}.svg", tmp_path / f"{name}.pdf")
    svg, pdf = (tmp_path / "first.svg").read_bytes(), (tmp_path / "first.pdf").read_bytes()
    assert svg == (tmp_path / "second.svg").read_bytes()
    assert pdf == (tmp_path / "second.pdf").read_bytes()
    assert b"<dc:date>" not in svg
    assert b"CreationDate" not in pdf
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


@pytest.mark.parametrize("script", [scale_performance, scale_efficiency])
def test_a_figure_says_what_its_numbers_cannot_tell(script, inputs):
    numbers = study_numbers(**inputs, study=STUDY)
    texts = " ".join(text.get_text() for text in script.draw(numbers, STUDY).texts)
    assert STUDY["note"] in texts.replace("\n", " ")
    assert "95 % bootstrap intervals" in texts


def test_the_efficiency_figure_needs_the_runs_with_several_budgets_and_the_baseline(tables):
    seldom = "(backbone == 'r14w32' or upstream == 'scenes-small') and budget != 'pct100'"
    runs = scale_efficiency.needed(tables[2].query(f"not ({seldom})"), STUDY)
    assert len(runs) == 2 * 2 * 2 * 3 * 2 + 2 * 2  # tasks, backbones, upstreams, budgets, seeds; tasks, seeds
    assert set(runs["backbone"]) == {"r14w16", "r26w64"}
    narrow = runs.query("upstream == 'scenes-small'")
    assert narrow[["backbone", "budget"]].drop_duplicates().to_numpy().tolist() == [["r14w16", "pct100"]]


def test_a_study_with_one_budget_has_no_efficiency_figure(tables):
    with pytest.raises(UserError, match=r"nothing to show\. Add `fractions`"):
        scale_efficiency.needed(tables[2].query("budget == 'pct100'"), STUDY)


def test_an_efficiency_figure_needs_a_baseline(tables):
    with pytest.raises(UserError, match="`small` backbone and a `narrow` upstream"):
        scale_efficiency.needed(tables[2], {**STUDY, "roles": {"small": "r14w16"}})


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


# --- The table -------------------------------------------------------------------------------------------------------


def formats(folder: Path) -> dict[str, str]:
    suffixes = {"csv": "csv", "markdown": "md", "latex": "tex"}
    return {name: str(folder / f"table.{suffix}") for name, suffix in suffixes.items()}


GOLDEN = Path(__file__).parent / "golden" / "scale_table"


def test_the_table_is_byte_identical_to_the_committed_one(tmp_path):
    tables = [pd.read_csv(GOLDEN / f"{name}.csv") for name in ("metrics", "replicates", "completeness")]
    study: Study = {**STUDY, "tasks": {"chest5": STUDY["tasks"]["chest5"]}}
    outputs = formats(tmp_path)
    scale_table.main(**written(tmp_path, *tables), study=study, **outputs)
    for path in map(Path, outputs.values()):
        assert path.read_bytes() == (GOLDEN / path.name).read_bytes(), f"{path.name} differs from the committed one"


def test_the_tables_formats_agree(inputs, tmp_path):
    outputs = formats(tmp_path)
    scale_table.main(**inputs, study=STUDY, **outputs)
    csv, md, tex = map(Path, outputs.values())
    rows = pd.read_csv(csv)
    cells = [f"{row['mean']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" for _, row in rows.iterrows()]
    for path in (md, tex):
        assert re.findall(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", path.read_text()) == cells
        assert STUDY["note"] in path.read_text()
    assert r"\toprule" in tex.read_text()


def test_one_seed_has_no_spread(tmp_path):
    paths = written(tmp_path, *invented(STUDY, COHORTS, budgets=("pct100",), seeds=(3,)))
    outputs = formats(tmp_path)
    scale_table.main(**paths, study=STUDY, **outputs)
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
