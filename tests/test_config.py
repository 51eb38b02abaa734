"""A configuration is checked whole, before any job starts, and its mistakes are told in the user's terms."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medtransfer.config import load, schema
from medtransfer.errors import UserError
from medtransfer.runs import budget_fraction, budget_name, run_table
from tests.conftest import ROOT

TIERS = sorted(path for path in (ROOT / "config").glob("*.yaml") if path.name != "claims.yaml")


@pytest.fixture
def content() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    return copy.deepcopy(content)


@pytest.mark.parametrize("path", TIERS, ids=lambda path: path.stem)
def test_every_tier_of_the_project_is_valid(path: Path) -> None:
    config = load(yaml.safe_load(path.read_text()), path.name)
    assert config.tier == path.stem
    assert run_table(config.studies)


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
    content[last] = value


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("recipe.overrides.learning_rate", "3e-3", ["recipe.overrides.learning_rate", "'3e-3'", "text", "3.0e-3"]),
        ("recipe.overrides.learning_rte", 0.1, ["recipe.overrides.learning_rte", "no such key"]),
        ("recipe.hyperrule", "mine", ["recipe.hyperrule", "'mine'", "'code' or 'paper'"]),
        ("studies.scale.grids", [], ["studies.scale.grids", "at least 1"]),
        ("tasks.chest5.labels", ["edema", "edema"], ["tasks.chest5", "twice"]),
        ("tasks.chest5.id_cohort", "chexprt", ["tasks.chest5.id_cohort", "'chexprt'", "chexpert"]),
        ("tasks.chest5.flip", "no", ["tasks.chest5.flip", "'no'", "boolean"]),
        ("tasks.chest5.resolution", {"resize": 40, "crop": 48}, ["tasks.chest5.resolution", "does not fit"]),
        ("training.threads", 0, ["training.threads", "0", "greater than or equal to 1"]),
        ("training.threads", 1.5, ["training.threads", "1.5", "integer"]),
        ("studies.scale.roles.large", "r999x1", ["studies.scale.roles.large", "'r999x1'", "r50x1"]),
    ],
)
def test_a_mistake_is_told_with_file_key_value_and_what_is_allowed(
    content: dict[str, Any], key: str, value: Any, told: list[str]
) -> None:
    _set(content, key, value)
    with pytest.raises(UserError) as error:
        load(content, "demo.yaml")
    message = str(error.value)
    assert "demo.yaml" in message
    for words in told:
        assert words in message


@pytest.mark.parametrize(
    ("axis", "value", "told"),
    [
        ("tasks", "chest9", ["grids.0.tasks", "'chest9'", "chest5, skin8"]),
        ("backbones", "r51x1", ["grids.0.backbones", "'r51x1'", "r50x1"]),
        ("upstreams", "in22k", ["grids.0.upstreams", "'in22k'", "none, scenes-small"]),
        ("fractions", 0, ["grids.0.fractions", "greater than 0"]),
        ("fractions", 1.1, ["grids.0.fractions", "less than or equal to 1"]),
        ("seeds", -1, ["grids.0.seeds", "greater than or equal to 0"]),
    ],
)
def test_a_grid_can_only_name_what_exists(content: dict[str, Any], axis: str, value: Any, told: list[str]) -> None:
    content["studies"]["scale"]["grids"][0][axis] = [value]
    with pytest.raises(UserError) as error:
        load(content, "demo.yaml")
    for words in told:
        assert words in str(error.value)


def test_all_mistakes_are_told_at_once(content: dict[str, Any]) -> None:
    content["recipe"]["hyperrule"] = "mine"
    content["studies"]["scale"]["grids"][0]["fractions"] = [0]
    content["no_such_key"] = 1
    with pytest.raises(UserError) as error:
        load(content, "demo.yaml")
    assert str(error.value).count("demo.yaml") == 3


def test_released_weights_must_cover_the_backbones(content: dict[str, Any]) -> None:
    content["upstreams"]["in21k"] = {"source": "released", "weights": {"r50x1": "x.npz"}, "home": "https://example.org"}
    content["studies"]["scale"]["grids"][0]["upstreams"].append("in21k")
    with pytest.raises(UserError, match="'in21k' has no weights for backbone 'r14w16'; it has: r50x1"):
        load(content, "demo.yaml")


def test_runs_are_unique_and_know_their_studies(content: dict[str, Any]) -> None:
    grid = copy.deepcopy(content["studies"]["scale"]["grids"][0])
    roles = content["studies"]["scale"]["roles"]
    content["studies"]["second"] = {"roles": roles, "grids": [grid, {**grid, "seeds": [0, 7]}]}
    runs = run_table(load(content, "demo.yaml").studies)
    assert len(runs) == len(set(runs))
    asked = [run for run in runs if run.budget == "pct100" and run.backbone in grid["backbones"]]
    by_seed = {run.seed: run.studies for run in asked if run.task in grid["tasks"]}
    assert by_seed == {0: ("scale", "second"), 1: ("scale", "second"), 7: ("second",)}


def test_random_weights_have_no_upstream_and_the_other_way_round(content: dict[str, Any]) -> None:
    runs = run_table(load(content, "demo.yaml").studies)
    assert {(run.upstream == "none", run.initialisation == "random") for run in runs} == {(True, True), (False, False)}


@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.1, 0.07, 0.025, 0.001])
def test_budget_names_can_be_read_back(fraction: float) -> None:
    assert budget_fraction(budget_name(fraction)) == pytest.approx(fraction)
    assert budget_name(0.10) == budget_name(0.1) == "pct10"


def test_the_schema_for_editors_is_in_step() -> None:
    path = ROOT / "config" / "schema.json"
    assert json.loads(path.read_text()) == schema(), "run: make schema"


def test_every_key_is_described() -> None:
    definitions = schema()["$defs"] | {"Config": schema()}
    for name, definition in definitions.items():
        for key, field in definition["properties"].items():
            assert "description" in field, f"{name}.{key}"
