"""What contrasts measure, against the same read off an invented study's tables by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtransfer.claims.contrast import Curve, share_needed
from medtransfer.claims.data import Data, NotJudged
from medtransfer.claims.measures import compared
from medtransfer.claims.schema import Contrast, read_claims
from medtransfer.metrics.efficiency import fraction_needed
from medtransfer.metrics.scaling import scaling_fit
from medtransfer.runs import CELL, KEYS
from tests import invented
from tests.conftest import ROOT
from tests.invented import STUDY

CLAIMS = read_claims(ROOT / "config" / "claims.yaml")
SCALED = [
    {"weight": 1.0, "backbone": "large", "upstream": "broad"},
    {"weight": -1.0, "backbone": "small", "upstream": "narrow"},
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return invented.tables(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def data(inputs: dict[str, str]) -> Data:
    return Data.load(inputs, STUDY, {each.measure.metric for claim in CLAIMS for each in claim.contrasts})


def values(inputs: dict[str, str], cohort: str, metric: str, **where: Any) -> pd.DataFrame:
    """Test values of runs, read without the code under test."""
    table = pd.read_parquet(inputs["metrics"])
    wanted = {"cohort": cohort, "metric": metric, "split": "test", "label": "mean"} | where
    return table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)].set_index(list(KEYS))["value"]


def scaled(table: pd.DataFrame, task: str) -> float:
    mean = table.groupby(list(CELL)).mean()
    large = mean[task, "r26w64", "scenes-large", "pretrained", "rule", "pct100"]
    return large - mean[task, "r14w16", "scenes-small", "pretrained", "rule", "pct100"]


def measure(data: Data, task: str, expect: Any = None, **contrast: Any) -> tuple[float, Any]:
    declared = {"name": "c", "text": "", "terms": SCALED, "expect": expect or {"greater": 0.0}, **contrast}
    found = compared(Contrast.model_validate(declared), task, data, np.random.default_rng(0))
    assert isinstance(found.cells, list)
    return sum(cell.weight * cell.values.mean() for cell in found.cells), found


# --- what is measured ----------------------------------------------------------------------------------------------


def test_levels_and_shifts_are_means_over_cohorts(inputs: dict[str, str], data: Data) -> None:
    everyone = {"subgroup_by": "all"}
    inside, *outside = (
        scaled(values(inputs, cohort, "auc", **everyone), "chest5") for cohort in ("chexpert", "nih_cxr14", "vindr_cxr")
    )
    assert measure(data, "chest5")[0] == pytest.approx(inside)
    assert measure(data, "chest5", measure={"where": "ood"})[0] == pytest.approx(np.mean(outside))
    assert measure(data, "chest5", measure={"where": "shift"})[0] == pytest.approx(inside - np.mean(outside))
    found = measure(data, "chest5", measure={"where": "everywhere", "metric": "nll"})[1]
    assert found.n == 480 + 1250 + 700 and found.cohorts == "chexpert nih_cxr14 vindr_cxr" and found.seeds == 2


def test_sub_groups_are_means_over_columns_without_intersections(inputs: dict[str, str], data: Data) -> None:
    worst = {"subgroup": "(worst)"}
    columns = [scaled(values(inputs, "chexpert", "auc", subgroup_by=by, **worst), "chest5") for by in ("sex", "age")]
    assert measure(data, "chest5", measure={"subgroup": "worst"})[0] == pytest.approx(np.mean(columns))


def test_share_needed_is_read_off_the_curve_of_means(inputs: dict[str, str], data: Data) -> None:
    terms = [{"weight": 1.0, "backbone": "large", "upstream": "none"}]
    mean = values(inputs, "chexpert", "auc", subgroup_by="all").groupby(list(CELL)).mean()["chest5"]
    curve = [mean["r26w64", "none", "random", "rule", budget] for budget in ("pct10", "pct30", "pct100")]
    target = mean["r14w16", "scenes-small", "pretrained", "rule", "pct100"]
    expected = fraction_needed(np.array([0.1, 0.3, 1.0]), np.array(curve)[:, None], np.array([target]))
    declared = {"name": "c", "text": "", "terms": terms, "measure": {"metric": "share_needed"}, "expect": {"less": 1.0}}
    found = compared(Contrast.model_validate(declared), "chest5", data, np.random.default_rng(0))
    assert isinstance(found.cells, Curve)
    assert share_needed(found.cells, 0.95).size == pytest.approx(expected[0])


def test_interaction_is_the_coefficient_of_the_fit(inputs: dict[str, str], data: Data) -> None:
    mean = values(inputs, "chexpert", "auc", subgroup_by="all").groupby(list(CELL)).mean()["chest5"]
    cells = [(b, u) for b in STUDY["backbones"] for u in ("scenes-small", "scenes-large")]
    scores = [mean[backbone, upstream, "pretrained", "rule", "pct100"] for backbone, upstream in cells]
    sizes = {
        "parameters": np.array([STUDY["backbones"][backbone] for backbone, _ in cells], float),
        "images": np.array([invented.IMAGES_OF_UPSTREAM[upstream] for _, upstream in cells], float),
    }
    expected = scaling_fit(sizes, np.array(scores)[:, None]).coefficients["interaction"]
    got, found = measure(data, "chest5", terms=[], measure={"metric": "interaction"})
    assert got == pytest.approx(expected[0]) and len(found.cells) == 6


def test_similarity_is_that_of_the_upper_half_and_as_uncertain_as_its_intervals(data: Data) -> None:
    got, found = measure(data, "chest5", measure={"metric": "similarity"})
    assert got == pytest.approx(0.1)
    assert found.cells[0].values == pytest.approx(0.95 - 0.5 * 0.75 + 0.1)
    assert found.cells[0].replicates.std(axis=1) == pytest.approx(0.05 / 1.96, rel=0.1)


def test_steps_are_fewer_where_the_curve_rises_faster(data: Data) -> None:
    got, found = measure(data, "chest5", measure={"metric": "steps"})
    assert -50 < got < 0 and found.n == 200
    assert all((cell.replicates <= 50).all() for cell in found.cells)


def test_search_takes_what_is_best_on_validation_images(data: Data) -> None:
    rule = {"weight": -1.0, "backbone": "small", "upstream": "broad"}
    best = {**rule, "weight": 1.0, "recipe": "best"}
    cells = [
        ("chest5", "r14w16", "scenes-large", "pretrained", name, "pct100") for name in ("rule", "trial0", "trial1")
    ]
    known: dict[Any, Any] = {cell: np.mean([data.validation[run] for run in data.runs(cell)]) for cell in cells}
    assert measure(data, "chest5", terms=[best, rule])[1].runs.startswith(
        f"+1 {'/'.join(max(known, key=lambda cell: known[cell]))} "
    )


def test_the_least_budget_is_the_smallest_that_all_cells_share(data: Data) -> None:
    found = measure(data, "chest5", terms=[{**term, "budget": "least"} for term in SCALED])[1]
    assert found.runs.count("pct10 [seeds 0 1]") == 2


@pytest.mark.parametrize(
    ("task", "contrast", "why"),
    [
        ("skin8", {"terms": [{**term, "initialisation": "prefix3"} for term in SCALED]}, "Not in the study: skin8/"),
        ("nih5", {"measure": {"where": "ood"}, "terms": SCALED}, "Not in the study: nih5/r14w16"),
        ("chest5-ones", {"terms": [{**term, "budget": "least"} for term in SCALED]}, "No fraction below 1"),
        (
            "chest5-ones",
            {"terms": [SCALED[0]], "measure": {"metric": "share_needed"}, "expect": {"less": 1.0}},
            "one budget alone",
        ),
        ("chest5-ones", {"terms": [], "measure": {"metric": "interaction"}}, "no pre-trained cells in the arm"),
        ("skin8", {"terms": [{**SCALED[0], "recipe": "best"}, SCALED[1]]}, "No random search beside skin8/r26w64"),
    ],
)
def test_what_the_study_does_not_ask_for_is_named(data: Data, task: str, contrast: Any, why: str) -> None:
    with pytest.raises(NotJudged, match=why) as raised:
        measure(data, task, **contrast)
    assert raised.value.verdict == "not asked"
