"""Figures of shift, adaptation, efficiency and benefit: they show the numbers of their tables, all of them."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import jinja2
import numpy as np
import pandas as pd
import pytest
from figures import scale_adaptation, scale_benefit, scale_efficiency, scale_needed, scale_shift
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from medtransfer.errors import UserError
from medtransfer.results import Results, Study
from tests import invented
from tests.invented import ARMS, STUDY

FIGURES = [scale_shift, scale_adaptation, scale_benefit, scale_efficiency]


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, str]:
    arms = {arm: ARMS[arm] for arm in ("scale", "efficiency", "adaptation")}
    return invented.tables(tmp_path_factory.mktemp("results"), invented.runs(arms))


@pytest.fixture(scope="module")
def results(tables) -> Results:
    return Results.load(tables, STUDY)


def without(results: Results, runs: str) -> Results:
    """The results of a study that does not ask for some of its runs."""
    return replace(results, runs=results.runs.query(f"not ({runs})"))


@pytest.fixture(scope="module", params=FIGURES, ids=lambda script: script.__name__)
def made(request, tables, tmp_path_factory) -> tuple[ModuleType, pd.DataFrame, Figure]:
    """A script, the CSV it wrote, and the figure drawn from that CSV alone."""
    csv = tmp_path_factory.mktemp("figure") / "figure.csv"
    request.param.main(tables, STUDY, str(csv), [])
    numbers = pd.read_csv(csv, dtype={"seed": str})
    return request.param, numbers, request.param.draw(numbers, STUDY)


def heights(figure: Figure) -> list[float]:
    """Of all interval bars, both ends."""
    segments = [
        segment
        for axes in figure.axes
        for bars in axes.collections
        if hasattr(bars, "get_segments")
        for segment in bars.get_segments()
    ]
    return sorted(y for (x0, y0), (x1, y1) in segments for y in (y0, y1) if x0 == x1 and y0 != y1)


def words(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.findobj(Text)]
    return " ".join(" ".join(texts).split())


# --- All figures -----------------------------------------------------------------------------------------------------


def test_bars_are_the_intervals_of_the_csv(made):
    script, numbers, figure = made
    means = numbers[numbers["seed"] == "all"]
    if script is scale_shift:  # its levels in distribution are drawn level, and once in every tile of their task
        means = means[means["shift"] == "ood"]
    expected = sorted(bound for bounds in means[["ci_low", "ci_high"]].to_numpy() for bound in bounds)
    assert heights(figure) == pytest.approx(expected)


def test_a_figure_says_what_it_shows_of_how_many_and_what_it_cannot_tell(made):
    _, numbers, figure = made
    said = words(figure)
    for expected in (STUDY["note"], "95 % bootstrap intervals", "AUC"):
        assert expected in said
    for n in numbers["n"].unique():
        assert f"{n:,}" in said


def test_nothing_lies_outside_the_page_and_no_panel_is_empty(made):
    _, _, figure = made
    figure.draw_without_rendering()
    page = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1 and page.y0 - 1 <= box.y0 and box.y1 <= page.y1 + 1
        assert len(axes.lines) > 0


def test_the_caption_gives_the_interval_and_the_note(made):
    script, _, _ = made
    caption = Path(__file__).parents[1] / "report" / f"{script.__name__.removeprefix('figures.')}.rst"
    text = jinja2.Template(caption.read_text()).render(snakemake={"params": {"study": STUDY}})
    assert "95 %" in text
    assert STUDY["note"] in text


@pytest.mark.parametrize(
    "numbers",
    [
        scale_shift.shift_numbers,
        scale_adaptation.adaptation_numbers,
        scale_benefit.benefits,
        scale_efficiency.efficiency_numbers,
    ],
)
def test_a_missing_run_is_an_error(results, numbers):
    lost = replace(results, runs=results.runs.assign(status="missing"))
    with pytest.raises(UserError, match=r"runs that this needs are missing: \w+/r"):
        numbers(lost, STUDY)


# --- Out-of-distribution ---------------------------------------------------------------------------------------------


def test_the_loss_is_the_level_there_minus_the_level_at_home(results):
    numbers = scale_shift.shift_numbers(results, STUDY)
    means = numbers[numbers["seed"] == "all"].set_index(["quantity", "task", "backbone", "upstream", "cohort"])["value"]
    cell = ("chest5", "r26w64", "scenes-large")
    there, home = (means["level", *cell, cohort] for cohort in ("vindr_cxr", "chexpert"))
    assert means["ood - id", *cell, "vindr_cxr"] == pytest.approx(there - home)
    assert set(numbers["task"]) == {"chest5", "skin8"}


def test_a_study_without_other_cohorts_has_no_shift(results):
    alone: Study = {**STUDY, "tasks": {name: {**task, "ood_cohorts": []} for name, task in STUDY["tasks"].items()}}
    with pytest.raises(UserError, match="Add such a task to the arm, or `ood_cohorts`"):
        scale_shift.shift_numbers(results, alone)


# --- Adaptation ------------------------------------------------------------------------------------------------------


def test_adaptation_starts_from_the_network_as_the_first_hospital_left_it(results):
    numbers = scale_adaptation.adaptation_numbers(results, STUDY)
    assert set(numbers["cohort"]) == {"nih_cxr14"}
    before = numbers[(numbers["quantity"] == "unadapted") & (numbers["seed"] == "all")]
    left = results.measured(("chest5", "r26w64", "scenes-large", "pretrained", "rule", "pct100"), "nih_cxr14")
    assert left is not None
    assert before[["value", "fraction"]].to_numpy().tolist() == [[pytest.approx(left.values.mean()), 0]]


def test_adaptation_is_compared_with_the_same_patients_alone(results):
    numbers = scale_adaptation.adaptation_numbers(results, STUDY)
    means = numbers[numbers["seed"] == "all"].set_index(["quantity", "fraction"])["value"]
    for fraction in (0.1, 1.0):
        expected = means["adapted", fraction] - means["alone", fraction]
        assert means["adapted - alone", fraction] == pytest.approx(expected)


def test_a_study_that_adapts_nothing_says_which_arm_to_add(results):
    with pytest.raises(UserError, match=r"source `finetuned`, and an arm `adaptation`"):
        scale_adaptation.adaptation_numbers(without(results, "task == 'nih5'"), STUDY)


def test_an_adapted_network_needs_its_counterpart(results):
    lone = without(results, "task == 'nih5' and upstream == 'scenes-large'")
    with pytest.raises(UserError, match="nih5/r26w64/chexpert: add the upstream 'scenes-large'"):
        scale_adaptation.adaptation_numbers(lone, STUDY)


# --- Efficiency and benefit ------------------------------------------------------------------------------------------


def test_the_efficiency_figure_marks_where_each_curve_meets_the_baseline(results):
    chest = without(results, "task == 'skin8'")
    numbers = scale_efficiency.efficiency_numbers(chest, STUDY)
    assert set(numbers["backbone"]) == {"r14w16", "r26w64"}
    curves = numbers.groupby(["cohort", "backbone", "upstream"])["needed"].first()
    assert len(curves) == 3 * 2 * 3
    points = [points for axes in scale_efficiency.draw(numbers, STUDY).axes for points in axes.collections]
    white = [
        each
        for each in points
        if isinstance(each, PathCollection) and np.all(np.asarray(each.get_facecolor())[:, :3] == 1)
    ]
    marked = sorted(np.asarray(each.get_offsets())[0, 0] for each in white)
    assert marked == pytest.approx(sorted(100 * curves.clip(upper=scale_efficiency.BEYOND)))


def test_the_baseline_is_shown_though_it_has_one_share(results):
    narrow = without(results, "upstream == 'scenes-small' and fraction < 1 or backbone == 'r14w32'")
    shown = scale_efficiency.efficiency_numbers(narrow, STUDY).query("upstream == 'scenes-small'")
    assert shown[["backbone", "budget"]].drop_duplicates().to_numpy().tolist() == [["r14w16", "pct100"]]
    assert shown["needed"].isna().all()


def test_the_benefit_is_what_pretraining_adds_at_the_same_share(results):
    numbers = scale_benefit.benefits(results, STUDY)
    assert set(numbers["upstream"]) == {"scenes-small", "scenes-large"}
    assert set(numbers["fraction"]) == {0.1, 0.3, 1.0}
    row = numbers.query("task == 'skin8' and upstream == 'scenes-large' and backbone == 'r26w64' and fraction == 0.3")
    ends = [("scenes-large", "pretrained"), ("none", "random")]
    found = [results.measured(("skin8", "r26w64", *end, "rule", "pct30"), "isic_2019") for end in ends]
    means = [measured.values.mean() for measured in found if measured is not None]
    assert row["value"].iloc[-1] == pytest.approx(means[0] - means[1])


def test_larger_networks_are_darker():
    looks = scale_benefit.network_looks(pd.Series(["r26w64", "r14w16", "r14w32"]), STUDY)
    assert list(looks) == ["r14w16", "r14w32", "r26w64"]
    light = [sum(int(look.colour[i : i + 2], 16) for i in (1, 3, 5)) for look in looks.values()]
    assert light == sorted(light, reverse=True)
    assert len({look.marker for look in looks.values()}) == 3


def test_a_benefit_needs_training_from_scratch_with_the_same_shares(results):
    pretrained = replace(results, _seeds={cell: seeds for cell, seeds in results._seeds.items() if "none" not in cell})
    with pytest.raises(UserError, match="Add the upstream 'none' to the arm `efficiency`"):
        scale_benefit.benefits(without(pretrained, "upstream == 'none'"), STUDY)


# --- The table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "said"),
    [(np.inf, "not reached"), (0.1, "at most 10 %"), (0.274, "27.4 %"), (1.0, "100 %"), (np.nan, "–")],
)
def test_shares_are_given_in_percent_or_words(fraction, said):
    assert scale_needed.share(fraction, 0.1) == said


def test_the_table_has_a_row_for_each_curve_and_cohort(tables, tmp_path):
    paths = {name: str(tmp_path / f"table.{name}") for name in ("csv", "markdown", "latex")}
    scale_needed.main(tables, STUDY, paths)
    rows = pd.read_csv(paths["csv"])
    assert len(rows) == 2 * 3 * (3 + 2)  # backbones, upstreams, cohorts of both tasks
    text = Path(paths["markdown"]).read_text()
    assert text.count("\n|") == 1 + len(rows)
    assert "at most 10 %" in text and "NIH ChestX-ray14" in text and STUDY["note"] in text
    assert r"\toprule" in Path(paths["latex"]).read_text()
