"""What rules are told of a configuration: which runs keep their weights, what is compared once, what is drawn."""

from pathlib import Path

import pytest
import yaml

from medtransfer import plan
from medtransfer.config import Config, load
from medtransfer.errors import UserError
from medtransfer.runs import run_table
from tests.conftest import ROOT


def tier(name: str) -> Config:
    return load(yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()), name)


def test_runs_that_others_go_on_from_are_runs_of_the_study() -> None:
    for name in ("demo", "small", "paper"):
        config = tier(name)
        runs = run_table(config.studies, config.search.trials if config.search else 0)
        kept = plan.origins(config, runs)
        assert kept and set(kept) <= set(runs)


def test_tasks_of_the_same_cohorts_are_searched_for_duplicates_once() -> None:
    config = tier("demo")
    groups = plan.task_groups(config, run_table(config.studies, 3))
    assert groups["chest5-ones"] == groups["chest5-low"] == groups["chest5"] == "chest5"
    assert groups["nih5"] == "nih5" and groups["skin8"] == "skin8"


def test_what_no_arm_feeds_is_not_drawn() -> None:
    assert set(plan.shown(tier("demo"), plan.FIGURES)) == set(plan.FIGURES)
    assert "scale_adaptation" not in plan.shown(tier("medmnist"), plan.FIGURES)
    assert "scale_sensitivity" not in plan.shown(tier("medmnist"), plan.TABLES)


def test_every_figure_and_table_has_a_script_and_a_caption() -> None:
    for name in (*plan.FIGURES, *plan.TABLES):
        assert (ROOT / "figures" / f"{name}.py").is_file() and (ROOT / "report" / f"{name}.rst").is_file(), name
    scripts = {path.stem for path in (ROOT / "figures").glob("*.py")}
    assert scripts == {*plan.FIGURES, *plan.TABLES}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{title: A, arm: scale, needs: [primary, pixels]}", "pixels is missing"),
        ("{title: A}", "arm is missing"),
        ("{title: A, arm: scale, colour: red}", "colour is missing or not known"),
    ],
)
def test_a_figure_that_is_not_told_right_is_named(entry: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "figures.yaml"
    path.write_text(f"figures: {{scale_x: {entry}}}\ntables: {{}}\n")
    with pytest.raises(UserError, match=f"figures.scale_x: {told}"):
        plan.read_shown(path)


def test_released_weights_say_how_much_they_have_seen() -> None:
    facts = plan.released_facts(tier("paper"))
    assert facts["in1k"]["seen"] == 90 * facts["in1k"]["images"] and set(facts) == {"in1k", "in21k"}
    assert plan.released_facts(tier("demo")) == {}


def test_a_study_names_its_axes_in_order() -> None:
    config = tier("demo")
    runs = run_table(config.studies, 3)
    titles = {cohort: cohort.upper() for task in config.tasks for cohort in plan.cohort_names(config, task)}
    facts = plan.study_facts(config, runs, "scale", titles)
    assert list(facts["tasks"])[:3] == ["chest5", "skin8", "breast"]
    assert facts["upstreams"] == ["none", "scenes-small", "scenes-large", "from-chexpert"]
    assert facts["adapted"] == {"from-chexpert": {"task": "chest5", "upstream": "scenes-large"}}
    assert facts["titles"]["chexpert"] == "CHEXPERT" and facts["backbones"]["r14w16"] < facts["backbones"]["r26w32"]
