"""A configuration is checked whole, before any job starts, and its mistakes are told in the user's terms."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medtransfer.config import Search, load, schema
from medtransfer.errors import UserError
from medtransfer.runs import budget_fraction, budget_name, run_table
from medtransfer.training.recipe import named_recipes, random_trials
from tests.conftest import ROOT

TIERS = sorted(
    path for path in (ROOT / "config").glob("*.yaml") if path.name not in ("claims.yaml", "costs.yaml", "figures.yaml")
)


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
        ("studies.scale.arms.scale", [], ["studies.scale.arms.scale", "at least 1"]),
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
        ("tasks", "chest9", ["arms.scale.0.tasks", "'chest9'", "skin8, breast"]),
        ("backbones", "r51x1", ["arms.scale.0.backbones", "'r51x1'", "r50x1"]),
        ("upstreams", "in22k", ["arms.scale.0.upstreams", "'in22k'", "none, scenes-small"]),
        ("fractions", 0, ["arms.scale.0.fractions", "greater than 0"]),
        ("fractions", 1.1, ["arms.scale.0.fractions", "less than or equal to 1"]),
        ("seeds", -1, ["arms.scale.0.seeds", "greater than or equal to 0"]),
        ("recipes", "longer", ["arms.scale.0.recipes", "'longer'", "rule, long, trials"]),
        ("initialisations", "prefix6", ["arms.scale.0.initialisations", "'prefix6'", "pretrained, prefix1"]),
    ],
)
def test_a_grid_can_only_name_what_exists(content: dict[str, Any], axis: str, value: Any, told: list[str]) -> None:
    content["studies"]["scale"]["arms"]["scale"][0][axis] = [value]
    with pytest.raises(UserError) as error:
        load(content, "demo.yaml")
    for words in told:
        assert words in str(error.value)


def test_all_mistakes_are_told_at_once(content: dict[str, Any]) -> None:
    content["recipe"]["hyperrule"] = "mine"
    content["studies"]["scale"]["arms"]["scale"][0]["fractions"] = [0]
    content["no_such_key"] = 1
    with pytest.raises(UserError) as error:
        load(content, "demo.yaml")
    assert str(error.value).count("demo.yaml") == 3


def test_released_weights_must_cover_the_backbones(content: dict[str, Any]) -> None:
    facts = {"home": "https://example.org", "images": 100, "epochs": 1.0, "crop": 224}
    content["upstreams"]["in21k"] = {"source": "released", "weights": {"r50x1": "x.npz"}, **facts}
    content["studies"]["scale"]["arms"]["scale"][0]["upstreams"].append("in21k")
    with pytest.raises(UserError, match="'in21k' has no weights for backbone 'r14w16'; it has: r50x1"):
        load(content, "demo.yaml")


def test_runs_are_unique_and_know_their_arms(content: dict[str, Any]) -> None:
    grid = copy.deepcopy(content["studies"]["scale"]["arms"]["scale"][0])
    roles = content["studies"]["scale"]["roles"]
    grids = {"scale": [grid], "schedule": [{**grid, "seeds": [0, 7]}]}
    content["studies"] = {name: {"roles": roles, "arms": grids} for name in ("scale", "second")}
    del content["upstreams"]["from-chexpert"]
    runs = run_table(load(content, "demo.yaml").studies)
    assert len(runs) == len(set(runs)) == 3 * 2 * 3 * 3
    users = {run.seed: run.arms for run in runs}
    assert users[0] == ("scale/scale", "scale/schedule", "second/scale", "second/schedule")
    assert users[1] == ("scale/scale", "second/scale")
    assert users[7] == ("scale/schedule", "second/schedule")


def test_trials_are_runs_of_their_own_recipes_and_more_of_them_leave_the_first_as_they_are() -> None:
    config = load(yaml.safe_load((ROOT / "config" / "demo.yaml").read_text()), "demo.yaml")
    runs = run_table(config.studies, trials=3)
    assert {run.recipe for run in runs} == {"rule", "long", "trial0", "trial1", "trial2"}
    assert random_trials(Search(trials=5))[:3] == random_trials(Search(trials=3))
    recipes = named_recipes(config.recipe, config.recipes, config.search)
    assert recipes["long"].overrides.stretch == 3.0 and recipes["long"].overrides.steps == 100
    assert recipes["trial0"].overrides.steps == 100
    assert 0.02 <= recipes["trial0"].overrides.learning_rate <= 0.3  # type: ignore[operator]


@pytest.mark.parametrize("name", ["rule", "trials", "trial7"])
def test_a_recipe_cannot_take_a_name_that_means_something_else(content: dict[str, Any], name: str) -> None:
    content["recipes"][name] = {"steps": 7}
    with pytest.raises(UserError, match=f"recipes.{name}: this name is taken"):
        load(content, "demo.yaml")


def test_networks_can_only_go_on_from_runs_that_there_are(content: dict[str, Any]) -> None:
    content["studies"]["scale"]["arms"]["adaptation"][0]["seeds"] = [0, 5]
    with pytest.raises(
        UserError, match="goes on from task 'chest5' from 'scenes-large', r26w32, seed 5, which is no run"
    ):
        load(content, "demo.yaml")


def test_networks_can_only_go_on_with_the_same_labels(content: dict[str, Any]) -> None:
    content["tasks"]["nih5"]["labels"] = ["edema", "effusion"]
    with pytest.raises(UserError, match="'from-chexpert' predicts other labels, or of another kind, than task 'nih5'"):
        load(content, "demo.yaml")


def test_a_whole_network_is_taken_over_as_it_is(content: dict[str, Any]) -> None:
    content["studies"]["scale"]["arms"]["adaptation"][0]["initialisations"] = ["prefix2"]
    with pytest.raises(UserError, match=r"initialisations: 'from-chexpert' is a whole network: 'pretrained' alone"):
        load(content, "demo.yaml")


def test_an_upstream_cannot_be_called_like_a_cohort(content: dict[str, Any]) -> None:
    content["upstreams"]["nih_cxr14"] = content["upstreams"]["scenes-small"]
    with pytest.raises(UserError, match=r"upstreams.nih_cxr14: this is the name of a dataset or cohort already"):
        load(content, "demo.yaml")


def test_intersections_are_of_declared_subgroups(content: dict[str, Any]) -> None:
    content["tasks"]["chest5"]["intersections"] = [["sex", "insurance"]]
    with pytest.raises(UserError, match="intersections names \\['insurance'\\]"):
        load(content, "demo.yaml")


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
