"""Contrasts, their intervals and the verdicts that follow, on runs made up to a known truth."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from medtransfer.claims.contrast import Cell, Effect, contrast
from medtransfer.claims.schema import Expectation
from medtransfer.claims.verdict import decide, in_task, judge, over_tasks, read_claims
from medtransfer.errors import UserError
from tests.conftest import ROOT

CLAIMS = ROOT / "config" / "claims.yaml"
RUN = ["task", "backbone", "upstream", "initialisation", "budget", "seed"]
REPLICATES = 400
STUDY: Any = {
    "name": "scale",
    "tasks": {
        "chest5": {"title": "Chest", "primary_metric": "auc", "id_cohort": "chexpert"},
        "skin8": {"title": "Skin", "primary_metric": "balanced_accuracy", "id_cohort": "isic_2019"},
    },
    "roles": {"small": "r14w16", "large": "r26w32", "none": "none", "narrow": "scenes-small", "broad": "scenes-large"},
    "confidence": 0.95,
    "note": "Synthetic images.",
}
# Mean of each cell, and what it makes of the three claims.
SUPPORTED = {"small": {"none": 0.71, "narrow": 0.70, "broad": 0.72}, "large": {"narrow": 0.71, "broad": 0.80}}
CONTRADICTED = {"small": {"none": 0.60, "narrow": 0.70, "broad": 0.75}, "large": {"narrow": 0.69, "broad": 0.62}}
UNDECIDED = {"small": {"none": 0.69, "narrow": 0.70, "broad": 0.70}, "large": {"narrow": 0.70, "broad": 0.70}}


def tables(
    truths: dict[str, Any], seeds: int = 3, noise: float = 0.02
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Run table, results and replicates; the draws of patients move all runs of a task alike, and each a little."""
    rng = np.random.default_rng(4)
    runs, metrics, replicates = [], [], []
    for task, truth in truths.items():
        settings = STUDY["tasks"][task]
        common = 0.1 * rng.standard_normal(REPLICATES)
        for size, row in truth.items():
            for upstream, mean in row.items():
                for seed in range(seeds):
                    initialisation = "random" if upstream == "none" else "pretrained"
                    names = (task, STUDY["roles"][size], STUDY["roles"][upstream], initialisation, "pct100", seed)
                    run = dict(zip(RUN, names, strict=True))
                    value = mean + 0.002 * (seed - (seeds - 1) / 2)
                    draws = value + common + noise * rng.standard_normal(REPLICATES)
                    place = {"cohort": settings["id_cohort"], "split": "test", "label": "mean"}
                    place["metric"] = settings["primary_metric"]
                    everyone = {"shift": "id", "subgroup_by": "all", "subgroup": "all", "n": 300}
                    runs.append({**run, "studies": "domain scale"})
                    metrics.append({**run, **place, **everyone, "value": value})
                    replicates += [{**run, **place, "replicate": b, "value": draw} for b, draw in enumerate(draws)]
                    # What must not decide a claim: another split, cohort, metric, label, budget or sub-group.
                    wrong = {"split": "val"}, {"cohort": "abroad"}, {"metric": "accuracy"}, {"label": "edema"}
                    for change in (*wrong, {"budget": "pct10"}):
                        metrics.append({**run, **place, **everyone, "value": -9.0, **change})
                        replicates.append({**run, **place, "replicate": 0, "value": -9.0, **change})
                    metrics.append({**run, **place, **everyone, "value": -9.0, "subgroup_by": "sex"})
    shuffled = pd.DataFrame(replicates).sample(frac=1, random_state=0)
    return pd.DataFrame(runs), pd.DataFrame(metrics), shuffled


def verdicts_of(truths: dict[str, Any], **options: Any) -> pd.DataFrame:
    return judge(read_claims(CLAIMS), *tables(truths, **options), study=STUDY, seed=0)


def verdict(table: pd.DataFrame, claim: str, task: str, contrast: str) -> str:
    return table.set_index(["claim", "task", "contrast"]).loc[(claim, task, contrast), "verdict"]


# --- the interval --------------------------------------------------------------------------------------------------


def test_contrast_equals_a_plain_loop_over_replicates_and_cells() -> None:
    rng = np.random.default_rng(0)
    cells = [Cell(weight, rng.random(seeds), rng.random((seeds, 60))) for weight, seeds in ((1, 3), (-1, 1), (0.5, 2))]
    effect = contrast(cells, 0.9, np.random.default_rng(7))
    generator = np.random.default_rng(7)
    drawn = [generator.integers(len(c.values), size=(len(c.values), 60)) if len(c.values) > 1 else None for c in cells]
    looped = []
    for b in range(60):
        total = 0.0
        for cell, seeds in zip(cells, drawn, strict=True):
            mean = cell.replicates[:, b].mean()
            total += cell.weight * mean
            if seeds is not None:
                k = len(cell.values)
                deviations = [cell.replicates[seed, b] - mean for seed in seeds[:, b]]
                total += cell.weight * np.sqrt(k / (k - 1)) * np.mean(deviations)
        looped.append(total)
    np.testing.assert_allclose([effect.low, effect.high], np.quantile(looped, [0.05, 0.95]), rtol=0, atol=1e-12)
    assert effect.size == pytest.approx(sum(cell.weight * cell.values.mean() for cell in cells), abs=1e-15)


def test_what_all_networks_find_hard_in_a_draw_of_patients_cancels() -> None:
    common = np.random.default_rng(0).normal(scale=0.2, size=(1, 500))
    cells = [Cell(1, np.array([0.8]), 0.8 + common), Cell(-1, np.array([0.7]), 0.7 + common)]
    assert contrast(cells, 0.95, np.random.default_rng(0)) == pytest.approx((0.1, 0.1, 0.1))


def test_spread_over_seeds_is_the_unbiased_one_of_their_mean() -> None:
    """Without any chance in patients: s / sqrt(k), and for two seeds the three values that can be drawn."""
    rng = np.random.default_rng(1)
    for values, half_width in ((rng.normal(size=50), None), (np.array([0.7, 0.8]), 0.1 / np.sqrt(2))):
        cell = Cell(1, values, np.repeat(values[:, None], 20_000, axis=1))
        effect = contrast([cell], 0.6827, rng)
        expected = half_width or values.std(ddof=1) / np.sqrt(len(values))
        assert (effect.high - effect.low) / 2 == pytest.approx(expected, rel=0.03)
        assert (effect.high + effect.low) / 2 == pytest.approx(values.mean(), abs=0.03 * expected)


def test_an_interval_needs_defined_replicates() -> None:
    undefined = np.where(np.arange(100) < 60, np.nan, 0.5)[None]
    effect = contrast([Cell(1, np.array([0.5]), undefined)], 0.95, np.random.default_rng(0))
    assert effect.size == 0.5 and np.isnan([effect.low, effect.high]).all()


# --- verdicts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "greater", "less"),
    [
        (0.1, 0.2, "supported", "contradicted"),
        (-0.2, -0.1, "contradicted", "supported"),
        (-0.1, 0.1, "inconclusive", "inconclusive"),
        (0.0, 0.1, "inconclusive", "inconclusive"),
        (np.nan, np.nan, "inconclusive", "inconclusive"),
    ],
)
def test_an_interval_decides_only_when_it_leaves_the_threshold_out(
    low: float, high: float, greater: str, less: str
) -> None:
    effect = Effect((low + high) / 2, low, high)
    assert decide(effect, Expectation(greater=0.0)) == greater
    assert decide(effect, Expectation(less=0.0)) == less


@pytest.mark.parametrize(
    ("contrasts", "expected"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "inconclusive"], "inconclusive"),
        (["supported", "contradicted"], "contradicted"),
        (["not run", "contradicted"], "contradicted"),
        (["not run", "supported"], "not run"),
    ],
)
def test_all_contrasts_of_a_claim_must_hold(contrasts: list[Any], expected: str) -> None:
    assert in_task(contrasts) == expected


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (["supported", "supported"], "supported"),
        (["not run", "not run"], "not run"),
        (["contradicted", "inconclusive"], "contradicted"),
        (["contradicted", "not run"], "contradicted"),
        (["supported", "contradicted"], "inconclusive"),
        (["supported", "not run"], "inconclusive"),
        (["supported", "inconclusive"], "inconclusive"),
    ],
)
def test_a_claim_holds_only_where_it_holds_in_every_task(tasks: list[Any], expected: str) -> None:
    assert over_tasks(tasks) == expected


@pytest.mark.parametrize(
    ("truth", "noise", "expected"),
    [
        (SUPPORTED, 0.005, {"S1": "supported", "S2": "supported", "S7": "supported"}),
        (CONTRADICTED, 0.005, {"S1": "contradicted", "S2": "contradicted", "S7": "contradicted"}),
        (UNDECIDED, 0.05, {"S1": "inconclusive", "S2": "inconclusive", "S7": "inconclusive"}),
    ],
)
def test_verdicts_follow_the_truth_of_made_up_runs(truth: Any, noise: float, expected: dict[str, str]) -> None:
    table = verdicts_of({"chest5": truth, "skin8": truth}, noise=noise)
    whole = table[table["task"] == "all"].set_index("claim")
    assert whole["verdict"].to_dict() == expected
    assert whole["note"].str.fullmatch(r"Synthetic images\. chest5: (\w+); skin8: \1\.").all()


def test_rows_hold_what_was_compared_and_how_it_came_out() -> None:
    table = verdicts_of({"chest5": SUPPORTED, "skin8": UNDECIDED}, noise=0.01)
    row = table.set_index(["claim", "task", "contrast"]).loc[("S7", "chest5", "interaction")]
    assert row["effect"] == pytest.approx((0.80 - 0.71) - (0.72 - 0.70))
    assert row["ci_low"] < row["effect"] < row["ci_high"]
    assert (row["expected"], row["threshold"], row["n_seeds"]) == ("greater", 0, 3)
    assert (row["metric"], row["cohort"], row["shift"], row["study"]) == ("auc", "chexpert", "id", "scale")
    assert "[seen: abstract]" in row["source"]
    assert (table["note"].str.startswith("Synthetic images.")).all()
    rows = {claim.id: 2 * len(claim.contrasts) + 1 for claim in read_claims(CLAIMS)}
    assert table.groupby("claim").size().to_dict() == rows


def test_a_missing_cell_is_named_and_never_guessed_at() -> None:
    table = verdicts_of({"chest5": {"small": SUPPORTED["small"]}, "skin8": SUPPORTED}, noise=0.005)
    rows = table.set_index(["claim", "task", "contrast"])
    row = rows.loc[("S2", "chest5", "scaled_gain")]
    assert row["verdict"] == "not run" and np.isnan(row["effect"])
    assert row["note"] == "Synthetic images. Missing: chest5/r26w32/scenes-large/pretrained/pct100."
    assert verdict(table, "S1", "chest5", "usual_transfer") == "supported"
    assert verdict(table, "S2", "all", "all") == "inconclusive"
    assert rows.loc[("S2", "all", "all"), "note"].endswith("chest5: not run; skin8: supported.")


@pytest.mark.parametrize("gone", ["metrics", "replicates"])
def test_a_cell_without_one_of_its_seeds_is_not_run(gone: str) -> None:
    runs, metrics, replicates = tables({"chest5": SUPPORTED})
    lost = "backbone == 'r14w16' and upstream == 'none' and seed == 2"
    metrics = metrics.query(f"not ({lost})") if gone == "metrics" else metrics
    replicates = replicates.query(f"not ({lost})") if gone == "replicates" else replicates
    table = judge(read_claims(CLAIMS), runs, metrics, replicates, study=STUDY, seed=0)
    row = table.set_index(["claim", "task"]).loc[("S1", "chest5")]
    assert row["verdict"] == "not run" and "chest5/r14w16/none/random/pct100/seed2" in row["note"]


def test_a_role_that_the_tier_does_not_fill_is_named() -> None:
    study: Any = {**STUDY, "roles": {role: name for role, name in STUDY["roles"].items() if role != "broad"}}
    table = judge(read_claims(CLAIMS), *tables({"chest5": SUPPORTED}), study=study, seed=0)
    row = table.set_index(["claim", "task"]).loc[("S2", "chest5")]
    assert row["verdict"] == "not run" and "no 'broad' in the roles" in row["note"]


def test_one_seed_is_said_to_leave_the_chance_of_training_out() -> None:
    table = verdicts_of({"chest5": SUPPORTED}, seeds=1)
    row = table.set_index(["claim", "task"]).loc[("S1", "chest5")]
    assert row["n_seeds"] == 1 and "One training seed" in row["note"]
    assert not verdicts_of({"chest5": SUPPORTED}, seeds=2)["note"].str.contains("One training seed").any()


def test_verdicts_are_the_same_twice_and_do_not_depend_on_other_claims() -> None:
    given = tables({"chest5": SUPPORTED, "skin8": UNDECIDED})
    claims = read_claims(CLAIMS)
    first = judge(claims, *given, study=STUDY, seed=0)
    pd.testing.assert_frame_equal(first, judge(claims, *given, study=STUDY, seed=0))
    alone = judge(claims[2:], *given, study=STUDY, seed=0)
    pd.testing.assert_frame_equal(first[first["claim"] == "S7"].reset_index(drop=True), alone)


def test_a_contrast_that_two_claims_share_comes_out_the_same() -> None:
    judged = verdicts_of({"chest5": SUPPORTED, "skin8": UNDECIDED})
    shared = judged[(judged["contrast"] == "scaled_gain") & (judged["task"] == "skin8")].set_index("claim")
    assert list(shared.index) == ["S2", "S7"]
    assert shared[["effect", "ci_low", "ci_high", "verdict"]].nunique().eq(1).all()


def test_claims_of_other_studies_are_passed_over() -> None:
    study: Any = {**STUDY, "name": "domain"}
    assert judge(read_claims(CLAIMS), *tables({"chest5": SUPPORTED}), study=study, seed=0).empty


@pytest.mark.parametrize("difference", ["images", "replicates"])
def test_runs_that_are_not_paired_are_refused(difference: str) -> None:
    runs, metrics, replicates = tables({"chest5": SUPPORTED})
    odd = "backbone == 'r14w16' and upstream == 'none' and seed == 1"
    if difference == "images":
        metrics.loc[metrics.query(odd).index, "n"] = 299
    else:
        replicates = replicates.query(f"not ({odd} and replicate == 7)")
    with pytest.raises(UserError, match=r"not paired: .*chest5/r14w16/none/random/pct100/seed1"):
        judge(read_claims(CLAIMS), runs, metrics, replicates, study=STUDY, seed=0)


# --- the file ------------------------------------------------------------------------------------------------------


def changed(folder: Path, change: Any) -> Path:
    content = yaml.safe_load(CLAIMS.read_text())
    change(content["claims"][0])
    (folder / "claims.yaml").write_text(yaml.safe_dump(content))
    return folder / "claims.yaml"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda claim: claim.update(colour="red"), "claims.0.colour: Extra inputs"),
        (lambda claim: claim.pop("source"), "claims.0.source: Field required"),
        (lambda claim: claim.update(id="S2"), "named twice: S2"),
        (lambda claim: claim.update(contrasts=[]), "claims.0.contrasts: "),
        (lambda claim: claim["contrasts"][0].update(expect={"less": 0, "greater": 1}), "either greater: .* or less"),
        (lambda claim: claim["contrasts"][0].update(expect={}), "either greater: .* or less"),
        (lambda claim: claim["contrasts"][0].update(expect={"less": "1e-2"}), "expect.less: .*number"),
        (lambda claim: claim["contrasts"][0]["terms"][0].update(weight=2), "must sum to zero"),
        (lambda claim: claim["contrasts"][0]["terms"][0].update(upstream="none"), "occurs twice in the terms"),
        (lambda claim: claim["contrasts"][0]["terms"][0].update(backbone="r50x1"), "backbone: .*'small' or 'large'"),
    ],
)
def test_a_claims_file_that_cannot_be_used_says_where_and_why(tmp_path: Path, change: Any, message: str) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(UserError, match=message) as raised:
        read_claims(path)
    assert str(path) in str(raised.value)


def test_a_claims_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text("claims: [")
    with pytest.raises(UserError, match="is not YAML"):
        read_claims(path)


def test_every_claim_says_where_it_was_read() -> None:
    assert all("[seen: " in claim.source or "[second-hand" in claim.source for claim in read_claims(CLAIMS))
