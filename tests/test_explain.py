"""What a reviewer who asks where something comes from relies on: the records' own words, all runs and no others."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from figures import scale_benefit, scale_sensitivity

from medtransfer.claims.schema import read_claims
from medtransfer.claims.verdict import judge
from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.plotting.contrasts import fractions_needed
from medtransfer.plotting.fits import coefficient_rows, fits, sized_cells
from medtransfer.plotting.numbers import study_numbers
from medtransfer.results import Results
from medtransfer.review.cells import behind, compared
from medtransfer.review.code import describe_code
from medtransfer.review.explain import answer
from medtransfer.review.pages import WIDTH
from medtransfer.review.tier import Tier
from medtransfer.runs import CELL, Run
from tests import invented
from tests.conftest import ROOT
from tests.invented import STUDY
from tests.invented_records import made, of_network, of_run, sha, tier, write_provenance

ONE = Run("chest5", "r26w64", "scenes-large", "pretrained", "rule", "pct100", 1)
CELL_NAME = ONE.cell
ARMS = {name: invented.ARMS[name] for name in ("scale", "efficiency", "adaptation", "sensitivity")}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    runs = invented.runs(ARMS)
    tables = invented.tables(folder, runs)
    write_provenance(runs, folder / "provenance.parquet")
    claims = [claim for claim in read_claims(ROOT / "config" / "claims.yaml") if claim.id in ("S1", "S2")]
    write_csv(judge(claims, tables, STUDY, seed=0), folder / "claims.csv")
    loaded = Results.load(tables, STUDY)
    write_csv(scale_benefit.benefits(loaded, STUDY), folder / "figures" / "scale_benefit.csv")
    write_csv(study_numbers(loaded, loaded.cells("scale")), folder / "figures" / "scale_performance.csv")
    return folder


@pytest.fixture
def demo(results: Path) -> Tier:
    return tier(results)


def unwrapped(text: str) -> str:
    return " ".join(text.split())


# --- Runs ------------------------------------------------------------------------------------------------------------


def test_a_run_is_told_as_it_was_recorded(demo):
    text = answer(f"{CELL_NAME}/seed1", demo)
    record, network = of_run(ONE), of_network("scenes-large", "r26w64")
    told = [record["inputs"]["subset"], *record["inputs"]["cohorts"].values(), *record["inputs"]["weights"]]
    told += [
        made(ONE, "predictions"),
        made(ONE, "validation"),
        *network["inputs"].values(),
        sha("scenes-large", "r26w64"),
    ]
    assert [digest for digest in told if digest not in text] == []
    for words in ("learning_rate 0.003", "deviations steps=101", "node7", "torch 2.13.0", "step 3.5", "444"):
        assert words in text
    assert "scale/scale" in text and "version 0.1.0" in text and "recipe version  2" in text
    assert f"{demo.results}/runs/{CELL_NAME}/seed1/predictions.parquet" in text
    assert f"logs/{demo.results.name}/finetune/{CELL_NAME}/seed1.log" in text
    assert "seed0" not in text


def test_results_of_a_run_are_those_of_the_metrics(demo):
    table = pd.read_parquet(demo.file("metrics.parquet"))
    keys = {**dict(zip(CELL, CELL_NAME.split("/"), strict=True)), "seed": 1, "cohort": "nih_cxr14", "metric": "auc"}
    where = {**keys, "split": "test", "label": "mean", "subgroup_by": "all"}
    (row,) = table[(table[list(where)] == pd.Series(where)).all(axis=1)].to_dict("records")
    assert f"auc, nih_cxr14 (ood) {row['value']:.4g} [{row['ci_low']:.4g}," in unwrapped(
        answer(f"{CELL_NAME}/seed1", demo)
    )


def test_a_cell_is_all_its_seeds_and_says_once_what_they_share(demo):
    text = answer(CELL_NAME, demo)
    assert text.count(sha("chexpert")) == 1
    assert text.count("  Seed ") == 2
    for seed in invented.SEEDS:
        assert text.count(made(replace(ONE, seed=seed), "predictions")) == 1


def test_a_run_that_goes_on_from_another_is_followed_to_the_network_of_that(demo):
    text = answer("nih5/r26w64/chexpert/pretrained/rule/pct10/seed1", demo)
    assert f"The run that it goes on from: {CELL_NAME}/seed1" in text
    assert "The network that it starts from: r26w64, pre-trained on scenes-large" in text
    assert sha("scenes", 48) in text


def test_a_run_from_random_weights_starts_from_nothing(demo):
    assert "it starts from" not in answer("chest5/r14w16/none/random/rule/pct100/seed0", demo)


def test_weights_other_than_those_of_the_network_are_told(results, tmp_path):
    table = pd.read_parquet(results / "provenance.parquet")
    network = (table["what"] == "upstream") & (table["upstream"] == "scenes-large") & (table["backbone"] == "r26w64")
    assert "OTHER" not in answer(f"{CELL_NAME}/seed1", tier(results))
    for name in ("metrics.parquet", "completeness.csv", "claims.csv"):
        (tmp_path / name).symlink_to(results / name)
    table.assign(weights=table["weights"].mask(network, sha("others"))).to_parquet(tmp_path / "provenance.parquet")
    assert f"OTHER weights than those of {CELL_NAME}/seed1" in unwrapped(answer(f"{CELL_NAME}/seed1", tier(tmp_path)))


# --- Claims and numbers ----------------------------------------------------------------------------------------------


def test_a_contrast_is_told_as_it_was_judged_with_its_runs(demo):
    text = unwrapped(answer("S2/chest5/scaled_gain", demo))
    row = demo.claims.set_index(["claim", "task", "contrast"]).loc[("S2", "chest5", "scaled_gain")]
    for column in ("text", "source", "verdict", "effect", "ci_low", "ci_high", "expected", "otherwise"):
        assert unwrapped(row[column]) in text
    assert f"+1 {CELL_NAME} [seeds 0 1]" in text
    assert "-1 chest5/r14w16/scenes-small/pretrained/rule/pct100 [seeds 0 1]" in text
    assert made(ONE, "predictions") in text


def test_a_claim_is_all_its_contrasts_in_all_tasks(demo):
    text = answer("S1", demo)
    mine = demo.claims[demo.claims["claim"] == "S1"]
    assert text.count("what is claimed") == len(mine) > 3
    assert answer("S1/skin8", demo).count("what is claimed") == (mine["task"] == "skin8").sum()


def test_the_column_of_runs_is_read_as_it_is_written():
    small, large = ("a/b/none/random/rule/pct100 [seeds 0 1]", "a/c/up-1/pretrained/rule/pct0.5 [seeds 0]")
    one, other = (tuple(cell.split(" ")[0].split("/")) for cell in (small, large))
    assert compared(f"+1 {small}; -1 {large}") == {"+1": [one], "-1": [other]}
    assert compared(f"+1.28 {small}; -1e-05 {large}") == {"+1.28": [one], "-1e-05": [other]}
    assert compared(f"{large}; {small} against {small}") == {"curve": [other, one], "against": [one]}
    assert compared("") == {}


def test_a_number_is_told_as_it_stands_in_its_file_with_its_caption(demo):
    table = pd.read_csv(demo.shown["scale_benefit"], keep_default_na=False, dtype=str)
    row = table.index[table["seed"] == "all"][0]
    text = answer(f"scale_benefit:{row + 1}", demo)
    for column in ("value", "ci_low", "ci_high", "cohort"):
        assert f"{table.at[row, column]}\n" in text
    assert "Differences are taken by pairs" in text and "95 % intervals" in unwrapped(text)
    assert STUDY["note"] in unwrapped(text)


def test_rows_are_listed_with_the_numbers_that_ask_for_them(demo):
    table = pd.read_csv(demo.shown["scale_performance"], dtype=str)
    lines = answer("scale_performance", demo).splitlines()[3:]
    assert len(lines) == len(table)
    assert lines[11].split()[:2] == ["12", "/".join(table.loc[11, list(CELL)])]


def test_a_single_seed_rests_on_its_own_runs_alone(demo):
    table = pd.read_csv(demo.shown["scale_benefit"], dtype=str)
    row = table.index[table["seed"] == "1"][0]
    text = answer(f"scale_benefit:{row + 1}", demo)
    assert "[seeds 1]" in text and "seed0" not in text


def cells_of(name, row, runs) -> set[tuple[str, ...]]:
    return {cell for cells in behind(name, row, runs, STUDY).values() for cell in cells}


def test_a_benefit_is_the_difference_of_the_cells_named(demo):
    metrics = pd.read_parquet(demo.file("metrics.parquet"))
    metrics = metrics[(metrics["split"] == "test") & (metrics["label"] == "mean") & (metrics["subgroup_by"] == "all")]
    table = pd.read_csv(demo.shown["scale_benefit"], dtype=str)
    for row in table[table["seed"] == "all"].to_dict("records"):
        metric = STUDY["tasks"][row["task"]]["primary_metric"]
        here = metrics[(metrics["cohort"] == row["cohort"]) & (metrics["metric"] == metric)].set_index(list(CELL))
        ((one,), (other,)) = behind("scale_benefit", row, demo.completeness, STUDY).values()
        assert here.loc[[one], "value"].mean() - here.loc[[other], "value"].mean() == pytest.approx(float(row["value"]))


def fitted(results: Results, upstreams: str) -> pd.DataFrame:
    sized = sized_cells(results, upstreams)
    found = coefficient_rows(fits(results, sized, "chest5", "chexpert")[0], 0.95)
    return pd.DataFrame([{"task": "chest5", "coefficient": name, "value": value} for name, value, _, _ in found])


RESTS = {
    "scale_benefit": lambda results, _: scale_benefit.benefits(results, STUDY),
    "scale_needed": lambda results, _: fractions_needed(results),
    "scale_sensitivity": lambda results, _: scale_sensitivity.compared(results).fillna({"difference": 0.0}),
    "scale_fits_table": fitted,
}


@pytest.mark.parametrize("name", RESTS)
def test_a_row_depends_on_each_of_the_cells_named_and_on_no_others(name, demo):
    tables = {key: str(demo.file(f"{key}.parquet")) for key in ("metrics", "replicates")}
    tables |= {key: str(demo.file(f"{key}.csv")) for key in ("completeness", "upstreams")}
    results = Results.load(tables, STUDY)

    def last_row(worse: set[tuple[str, ...]]) -> pd.Series:
        """As it is when these cells do much worse."""
        values = {key: (v - 5 * (key[:6] in worse), n) for key, (v, n) in results._values.items()}
        draws = {key: drawn - 5 * (key[:6] in worse) for key, drawn in results._replicates.items()}
        return RESTS[name](replace(results, _values=values, _replicates=draws), tables["upstreams"]).iloc[-1]

    row = last_row(set())
    named = cells_of(name, row.to_dict(), demo.completeness)
    others = {tuple(run.cell.split("/")) for run in demo.runs} - named
    pd.testing.assert_series_equal(last_row(others), row)
    assert [cell for cell in named if last_row({cell}).equals(row)] == []


def test_an_unknown_figure_rests_on_all_cells_with_the_keys_that_its_row_names(demo):
    named = cells_of("scale_new", {"task": "nih5", "backbone": "r26w64"}, demo.completeness)
    assert {cell[:2] for cell in named} == {("nih5", "r26w64")} and len(named) == 4


# --- What else can be asked ------------------------------------------------------------------------------------------


def test_every_example_given_can_be_asked(demo):
    examples = re.findall(r"  of=(\S+)\n", answer(None, demo))
    assert len(examples) == 6
    assert all(answer(example, demo) for example in examples)


@pytest.mark.parametrize("of", ["S2/chest5/scaled_gain", "scale_performance", "scale_benefit:3", CELL_NAME, None])
def test_lines_fit_a_terminal_unless_a_path_is_longer(of, demo):
    long = [line for line in answer(of, demo).splitlines() if len(line) > WIDTH]
    assert [line for line in long if max(map(len, line.removesuffix("\\").split())) < WIDTH // 2] == []


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (CELL_NAME.replace("scenes-large", "scenes-larg"), CELL_NAME),
        (f"{CELL_NAME}/seed7", f"{CELL_NAME}/seed1"),
        ("S22", "S2"),
        ("S1/chest", "S1/chest5"),
        ("S1/chest5/usual_transfer/more", "S1/chest5/usual_transfer"),
        ("scale_perfomance:1", "scale_performance"),
        ("scale_performance:0", "rows 1 to"),
        ("scale_performance:9999", "rows 1 to"),
        ("scale_performance:-1", "no row '-1'"),
        ("", "explain"),
        ("../../etc/passwd:1", "There is no figure or table"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(of, message, demo):
    with pytest.raises(UserError, match=re.escape(message)):
        answer(of, demo)


def test_a_run_without_a_record_is_missing_and_how_it_is_made_is_told(results, tmp_path):
    for name in ("metrics.parquet", "claims.csv"):
        (tmp_path / name).symlink_to(results / name)
    runs = pd.read_csv(results / "completeness.csv", keep_default_na=False)
    gone = (runs[list(CELL)].agg("/".join, axis=1) == CELL_NAME) & (runs["seed"] == 1)
    write_csv(runs.assign(status=runs["status"].mask(gone, "missing")), tmp_path / "completeness.csv")
    left = pd.read_parquet(results / "provenance.parquet")
    left = left[left["predictions"] != made(ONE, "predictions")]
    left.to_parquet(tmp_path / "provenance.parquet")
    with pytest.raises(UserError, match=rf"(?s)is missing.*runs/{CELL_NAME}/seed1/predictions.parquet"):
        answer(f"{CELL_NAME}/seed1", tier(tmp_path))
    assert f"There is no record of {CELL_NAME}/seed1 (missing)" in unwrapped(answer(CELL_NAME, tier(tmp_path)))


def test_results_that_are_not_there_are_named_with_the_command_that_makes_them(tmp_path):
    with pytest.raises(
        UserError, match=r"(?s)completeness.csv is not there.*snakemake --configfile config/demo.yaml --"
    ):
        answer(None, tier(tmp_path))
    frozen = replace(tier(tmp_path), frozen=True)
    with pytest.raises(UserError, match="--config results=frozen --"):
        answer(None, frozen)


def test_the_code_of_frozen_results_is_that_which_froze_them(tmp_path):
    code = {"commit": "0123abcd", "modified": True}
    record = {"schema": 1, "tier": "demo", "code": code, "machine": {}, "files": {}}
    (tmp_path / "frozen.json").write_text(json.dumps(record))
    assert describe_code(str(tmp_path)) == "commit 0123abcd with changes, when these results were frozen"
    assert "in this folder now" in describe_code(None)
