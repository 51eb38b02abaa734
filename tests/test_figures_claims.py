"""The table and the figure of verdicts: complete, readable, and with nothing drawn that was not judged."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figures import scale_claims, scale_verdicts
from matplotlib.figure import Figure

from medtransfer.claims.schema import read_claims
from medtransfer.claims.verdict import judge
from medtransfer.files import write_csv
from tests import invented
from tests.conftest import ROOT
from tests.invented import STUDY


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("verdicts")
    table = judge(read_claims(ROOT / "config" / "claims.yaml"), invented.tables(folder), STUDY, 0)
    other = table.assign(study="domain", effect=99.0)
    write_csv(pd.concat([table, other]), folder / "claims.csv")
    return str(folder / "claims.csv")


@pytest.fixture(scope="module")
def verdicts(path: str) -> pd.DataFrame:
    table = pd.read_csv(path)
    return table[table["study"] == "scale"].reset_index(drop=True)


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for panel in figure.axes for text in panel.texts]
    return [*found, *(text.get_text() for text in figure.texts)]


# --- the table -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(path: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("table")
    paths = {"csv": folder / "t.csv", "markdown": folder / "t.md", "latex": folder / "t.tex"}
    scale_claims.main(path, STUDY, {name: str(each) for name, each in paths.items()})
    return paths


def test_table_has_every_verdict_of_its_study_alone(written: dict[str, Path], verdicts: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(pd.read_csv(written["csv"]), verdicts)
    lines = [line for line in written["markdown"].read_text().splitlines() if line.startswith("| S")]
    assert len(lines) == len(verdicts)
    assert all(line.rstrip("| ").endswith(verdict) for line, verdict in zip(lines, verdicts["verdict"], strict=True))


def test_table_names_tasks_and_says_what_is_not_adjusted(written: dict[str, Path]) -> None:
    for name in ("markdown", "latex"):
        content = written[name].read_text()
        for words in ("Chest films, five findings", "all tasks", "together", "Holm's method", STUDY["note"]):
            assert words in content


def test_effects_and_expectations_are_told_in_short() -> None:
    row = {"effect": 0.26789, "ci_low": 0.1, "ci_high": np.inf, "threshold_low": -0.01, "threshold_high": 0.01}
    each: Any = pd.Series({**row, "expected": "differs"})
    assert scale_claims.effect(each) == "0.268 [0.1, not reached]"
    assert scale_claims.expectation(each) == "not 0 (±0.01 is none)"
    assert scale_claims.effect(pd.Series({**row, "effect": np.nan})) == "–"
    assert [scale_claims.probability(p) for p in (np.nan, 0.0004, 0.0312)] == ["", "< 0.001", "0.031"]


# --- the figure ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figure(verdicts: pd.DataFrame) -> Figure:
    return scale_verdicts.draw(verdicts[verdicts["task"] != "all"].reset_index(drop=True), STUDY)


def test_figure_has_a_row_for_every_contrast_and_a_word_for_every_verdict(
    figure: Figure, verdicts: pd.DataFrame
) -> None:
    shown = verdicts[verdicts["task"] != "all"]
    labels = {label.get_text() for panel in figure.axes for label in panel.get_yticklabels()}
    for each in shown[shown["contrast"] != "all"].itertuples():
        assert f"{each.claim}  {each.contrast.replace('_', ' ')}" in labels
    words = [re.sub(", p.*", "", text) for text in texts(figure)]
    for verdict, number in shown["verdict"].value_counts().items():
        assert words.count(verdict) == number


def test_effects_stand_where_they_are(figure: Figure, verdicts: pd.DataFrame) -> None:
    drawn = np.concatenate(
        [line.get_xdata() for panel in figure.axes for line in panel.lines if line.get_marker() in ("o", "X")]
    )
    for effect in verdicts["effect"].dropna():
        assert np.isclose(drawn, effect).any()
    assert not np.isclose(drawn, 99).any()


def test_panels_of_one_unit_share_their_axis_and_hold_every_effect(figure: Figure, verdicts: pd.DataFrame) -> None:
    limits: dict[str, set[Any]] = {}
    for panel in figure.axes:
        if panel.get_xlabel():
            limits.setdefault(panel.get_xlabel(), set()).add(panel.get_xlim())
    assert set(limits) == set(scale_verdicts.ORDER)
    assert all(len(ends) == 1 for ends in limits.values())
    (low, high) = next(iter(limits[scale_verdicts.SCORES]))
    scores = verdicts[verdicts["metric"].isin(["auc", "balanced_accuracy", "equalised_odds"])]
    assert scores["effect"].dropna().between(low, high).all()


def test_what_is_not_reached_is_drawn_at_the_edge_with_an_arrow(verdicts: pd.DataFrame) -> None:
    never = verdicts[(verdicts["metric"] == "share_needed") & (verdicts["task"] == "chest5")]
    never = never.assign(effect=np.inf, ci_high=np.inf, verdict="contradicted")
    panel = next(p for p in scale_verdicts.draw(never, STUDY).axes if p.get_xlabel() == "share of patients needed")
    assert any(line.get_marker() == ">" for line in panel.lines)
    assert all(np.max(line.get_xdata()) <= scale_verdicts.NEVER for line in panel.lines)


def test_bands_begin_at_the_declared_thresholds() -> None:
    row: Any = {"expected": "differs", "threshold_low": -0.01, "threshold_high": 0.01}
    ends = (-0.1, 0.1)
    assert scale_verdicts.expected_bands(pd.Series(row), ends) == [(-0.1, -0.01), (0.01, 0.1)]
    row |= {"expected": "greater", "threshold_low": 0.0, "threshold_high": np.nan}
    assert scale_verdicts.expected_bands(pd.Series(row), ends) == [(0.0, 0.1)]
    row |= {"expected": "less", "threshold_low": np.nan, "threshold_high": 0.02}
    assert scale_verdicts.expected_bands(pd.Series(row), ends) == [(-0.1, 0.02)]


def test_nothing_lies_on_top_of_anything(figure: Figure) -> None:
    figure.draw_without_rendering()
    beside = [text for panel in figure.axes for text in [*panel.texts, *panel.get_yticklabels()] if text.get_visible()]
    boxes = [text.get_window_extent() for text in beside if text.get_text()]
    overlapping = [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.shrunk(0.9, 0.8).overlaps(b)]
    assert not overlapping
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_tasks_beyond_a_pages_width_stand_below(verdicts: pd.DataFrame) -> None:
    names = [f"skin8-{number}" for number in range(5)]
    many: Any = {**STUDY, "tasks": {name: {**STUDY["tasks"]["skin8"], "title": name} for name in names}}
    skin = verdicts[verdicts["task"] == "skin8"]
    figure = scale_verdicts.draw(pd.concat([skin.assign(task=name) for name in names], ignore_index=True), many)
    assert [panel.get_title() for panel in figure.axes if panel.get_title()] == names
    words = [re.sub(", p.*", "", text) for text in texts(figure)]
    assert sum(word in set(skin["verdict"]) for word in words) == 5 * len(skin)


def test_figure_files_are_the_same_twice(path: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        files = [str(tmp_path / f"{name}.{kind}") for kind in ("svg", "pdf")]
        scale_verdicts.main(path, STUDY, str(tmp_path / f"{name}.csv"), files)
    for kind in ("svg", "pdf", "csv"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
