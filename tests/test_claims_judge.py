"""Claims judged end to end on invented studies, and what the rows of the table hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from claims import main
from medtransfer.claims.schema import Claim, read_claims
from medtransfer.claims.verdict import COLUMNS, judge
from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_parquet
from medtransfer.metrics.significance import holm
from medtransfer.runs import Run
from tests import invented
from tests.conftest import ROOT
from tests.invented import ARMS, STUDY

CLAIMS = read_claims(ROOT / "config" / "claims.yaml")
BY_ID = {claim.id: claim for claim in CLAIMS}
PLANTED = [BY_ID[name] for name in ("S1", "S2", "S7")]
# What each cell gains: in one task as the three claims say, in the other the contrary.
LAW = {
    "chest5": {"small": (0.05, 0.0, 0.02), "large": (0.0, 0.02, 0.2)},
    "skin8": {"small": (0.0, 0.1, 0.15), "large": (0.0, 0.09, 0.02)},
}


def planted(run: Run) -> float:
    size = "large" if run.backbone == STUDY["roles"]["large"] else "small"
    return LAW[run.task][size][STUDY["upstreams"].index(run.upstream)]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Results in which `LAW` holds, up to the luck of five seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invented, "gain", planted)
        arms = {arm: ARMS[arm] for arm in ("scale", "schedule")}
        return invented.tables(tmp_path_factory.mktemp("known"), invented.runs(arms, seeds=list(range(5))))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return invented.tables(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def verdicts(inputs: dict[str, str]) -> pd.DataFrame:
    return judge(CLAIMS, inputs, STUDY, 0)


def altered(inputs: dict[str, str], folder: Path, name: str, change: Callable[[pd.DataFrame], Any]) -> dict[str, str]:
    """The same results with one table changed."""
    is_csv = inputs[name].endswith("csv")
    table = pd.read_csv(inputs[name], keep_default_na=False) if is_csv else pd.read_parquet(inputs[name])
    path = folder / Path(inputs[name]).name
    (write_csv if is_csv else write_parquet)(change(table), path)
    return {**inputs, name: str(path)}


def row(table: pd.DataFrame, claim: str, task: str, contrast: str = "all") -> Any:
    return table.set_index(["claim", "task", "contrast"]).loc[(claim, task, contrast)]


def test_verdicts_follow_the_law_of_made_up_runs(known: dict[str, str]) -> None:
    table = judge(PLANTED, known, STUDY, 0)
    for claim in ("S1", "S2", "S7"):
        assert row(table, claim, "chest5")["verdict"] == "supported"
        assert row(table, claim, "skin8")["verdict"] == "contradicted"
        assert row(table, claim, "all")["verdict"] == "inconclusive"
        assert row(table, claim, "all")["note"].endswith("chest5: supported; skin8: contradicted.")
    scaled = row(table, "S2", "chest5", "scaled_gain")
    assert scaled["ci_low"] < 0.2 < scaled["ci_high"] and scaled["n_seeds"] == 5


def test_adjusted_p_values_are_holms_over_all_claims_and_tasks(verdicts: pd.DataFrame) -> None:
    together = verdicts[(verdicts["contrast"] == "all") & (verdicts["task"] != "all")]
    np.testing.assert_allclose(together["p_adjusted"], holm(together["p"].to_numpy()))
    decided = together["verdict"].isin(["supported", "contradicted"])
    assert decided.any() and (together["p_adjusted"][decided] <= 0.05).all()
    lost = together[together["note"].str.contains("before Holm's adjustment")]
    assert len(lost) and (lost["verdict"] == "inconclusive").all() and (lost["p_adjusted"] > 0.05).all()


def test_fewer_claims_are_adjusted_for_less_and_measured_the_same(
    inputs: dict[str, str], verdicts: pd.DataFrame
) -> None:
    alone = judge([BY_ID["S7"]], inputs, STUDY, 0)
    together = verdicts[verdicts["claim"] == "S7"].reset_index(drop=True)
    measured = ["effect", "ci_low", "ci_high", "p", "runs"]
    pd.testing.assert_frame_equal(alone[measured], together[measured])
    assert (alone["p_adjusted"].dropna() <= together["p_adjusted"].dropna()).all()
    pd.testing.assert_frame_equal(alone, judge([BY_ID["S7"]], inputs, STUDY, 0))


def test_a_contrast_that_two_claims_share_comes_out_the_same(verdicts: pd.DataFrame) -> None:
    shared = verdicts[(verdicts["contrast"] == "scaled_gain") & (verdicts["task"] == "skin8")]
    assert list(shared["claim"]) == ["S2", "S7"]
    assert shared[["effect", "ci_low", "ci_high", "verdict"]].nunique().eq(1).all()


def test_there_is_a_row_for_each_claim_task_and_contrast_and_for_what_they_say_together(
    verdicts: pd.DataFrame,
) -> None:
    assert list(verdicts.columns) == COLUMNS
    assert set(verdicts["task"]) == {"chest5", "skin8", "all"}  # neither variants nor tasks of the arm adaptation
    for claim in CLAIMS:
        rows = verdicts[verdicts["claim"] == claim.id]
        assert len(rows) == 2 * (len(claim.contrasts) + 1) + 1
        assert (rows["source"] == claim.source).all()
    assert verdicts["note"].str.startswith(STUDY["note"]).all()


def test_a_judged_row_says_what_it_rests_on_and_what_would_have_changed_it(verdicts: pd.DataFrame) -> None:
    judged = verdicts[~verdicts["verdict"].isin(["not asked", "not run"])]
    contrasts = judged[judged["contrast"] != "all"]
    filled = ["effect", "ci_low", "ci_high", "n", "n_seeds", "runs", "cohorts", "p", "expected", "metric"]
    assert contrasts[filled].notna().all(axis=None)
    assert (judged["otherwise"] != "").all()
    share = row(verdicts, "S9", "chest5", "share_needed")
    assert (share["threshold_low"], share["threshold_high"], share["expected"]) == (0.3, 0.6, "within")
    assert "against chest5/r14w16/scenes-small/pretrained/rule/pct100 [seeds 0 1]" in share["runs"]
    gain = row(verdicts, "S2", "skin8", "scaled_gain")
    assert (gain["metric"], gain["cohorts"], gain["n"]) == ("balanced_accuracy", "isic_2019", 820)
    assert gain["runs"].startswith("+1 skin8/r26w64/scenes-large/pretrained/rule/pct100 [seeds 0 1]; -1 skin8/r14w16/")


def test_a_task_without_the_cells_is_not_asked_and_left_out(verdicts: pd.DataFrame) -> None:
    for claim in ("S12", "S13"):
        assert row(verdicts, claim, "skin8")["verdict"] == "not asked"
        assert row(verdicts, claim, "all")["verdict"] == row(verdicts, claim, "chest5")["verdict"]
        assert "skin8: not asked" in row(verdicts, claim, "all")["note"]
    assert "Not in the study: skin8/r26w64" in row(verdicts, "S12", "skin8", "upper_blocks")["note"]


def test_missing_runs_are_named_and_never_guessed_at(inputs: dict[str, str], tmp_path: Path) -> None:
    lost = "task == 'chest5' and backbone == 'r26w64' and upstream == 'scenes-large' and recipe == 'rule' and seed == 1"
    lost += " and budget == 'pct100' and initialisation == 'pretrained'"

    def drop(table: pd.DataFrame) -> pd.DataFrame:
        return table.drop(table.query(lost).index)

    def missing(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(status=table["status"].mask(table.index.isin(table.query(lost).index), "missing"))

    partial = altered(inputs, tmp_path, "completeness", missing)
    for name in ("metrics", "replicates", "curves"):
        partial = altered(partial, tmp_path, name, drop)
    table = judge(CLAIMS, partial, STUDY, 0)
    gain = row(table, "S2", "chest5", "scaled_gain")
    assert gain["verdict"] == "not run" and np.isnan(gain["effect"])
    assert gain["note"].endswith("Missing: chest5/r26w64/scenes-large/pretrained/rule/pct100/seed1.")
    for claim in ("S2", "S3", "S4", "S7", "S9", "S10"):
        assert row(table, claim, "chest5")["verdict"] == "not run"
    assert row(table, "S1", "chest5")["verdict"] == row(judge(CLAIMS, inputs, STUDY, 0), "S1", "chest5")["verdict"]
    assert row(table, "S2", "skin8")["verdict"] != "not run"


def test_a_role_that_the_tier_does_not_fill_is_named(inputs: dict[str, str]) -> None:
    study: Any = {**STUDY, "roles": {role: name for role, name in STUDY["roles"].items() if role != "broad"}}
    table = judge([BY_ID["S2"]], inputs, study, 0)
    assert row(table, "S2", "all")["verdict"] == "not asked"
    assert "no broad among its roles" in row(table, "S2", "chest5", "scaled_gain")["note"]


def test_one_seed_is_said_to_leave_the_chance_of_training_out(inputs: dict[str, str], tmp_path: Path) -> None:
    single = inputs
    for name in ("completeness", "metrics", "replicates", "curves"):
        single = altered(single, tmp_path, name, lambda table: table[table["seed"] == 0])
    table = judge([BY_ID["S2"]], single, STUDY, 0)
    assert "One training seed" in row(table, "S2", "chest5", "scaled_gain")["note"]


@pytest.mark.parametrize(("name", "column"), [("metrics", "n"), ("replicates", "replicates")])
def test_runs_that_are_not_paired_are_refused(inputs: dict[str, str], tmp_path: Path, name: str, column: str) -> None:
    odd = "task == 'chest5' and backbone == 'r14w16' and upstream == 'scenes-small'"

    def change(table: pd.DataFrame) -> pd.DataFrame:
        chosen = table.query(odd).index
        fewer = [each[:-1] if column == "replicates" else each - 1 for each in table.loc[chosen, column]]
        table.loc[chosen, column] = pd.Series(fewer, index=chosen, dtype=table[column].dtype)
        return table

    with pytest.raises(UserError, match=r"not paired: .*chest5/r14w16/scenes-small/pretrained/rule/pct100"):
        judge([BY_ID["S2"]], altered(inputs, tmp_path, name, change), STUDY, 0)


def test_an_undefined_metric_decides_nothing(inputs: dict[str, str], tmp_path: Path) -> None:
    def undefine(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(value=table["value"].mask((table["metric"] == "auc") & (table["backbone"] == "r26w64")))

    table = judge([BY_ID["S2"]], altered(inputs, tmp_path, "metrics", undefine), STUDY, 0)
    gain = row(table, "S2", "chest5", "scaled_gain")
    assert gain["verdict"] == "inconclusive" and "undefined in a run" in gain["note"]


def test_claims_of_other_studies_are_passed_over(inputs: dict[str, str]) -> None:
    other = [Claim.model_validate({**BY_ID["S2"].model_dump(exclude_unset=True), "study": "domain"})]
    assert judge(other, inputs, STUDY, 0).empty


def test_the_script_writes_the_table_of_all_studies(inputs: dict[str, str], tmp_path: Path, capsys: Any) -> None:
    main(str(ROOT / "config" / "claims.yaml"), inputs, [STUDY], 0, str(tmp_path / "claims.csv"))
    written = pd.read_csv(tmp_path / "claims.csv")
    assert set(written["claim"]) == set(BY_ID) and list(written.columns) == COLUMNS
    assert "S2: " in capsys.readouterr().err
