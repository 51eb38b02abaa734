"""Frozen results: what went in comes out, to the bit; they are written once, and whatever was changed is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import frozen_tables
import primary
from medtransfer.errors import UserError
from medtransfer.review.digest import digest
from medtransfer.review.freeze import freeze
from medtransfer.review.frozen import Frozen
from medtransfer.review.thaw import thaw_primary
from medtransfer.runs import Run
from tests import repeated

DERIVED = ("metrics", "replicates", "diagrams", "curves")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repeated.run_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def whole(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repeated.freeze_results(results, tmp_path_factory.mktemp("whole") / "tiny")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """Frozen results that may be changed."""
    return Path(shutil.copytree(whole, tmp_path / "tiny"))


def test_predictions_and_records_come_back_as_they_were(results: Path, whole: Path) -> None:
    frozen = Frozen.open(whole)
    assert frozen.tier == "tiny" and frozen.runs() == repeated.RUNS
    for run in frozen.runs():
        place = results / "runs" / run.path
        for kind, held in (("predictions", frozen.predictions(run)), ("validation", frozen.validation(run))):
            made = pd.read_parquet(place / f"{kind}.parquet")
            pd.testing.assert_frame_equal(held[list(made)], made, check_exact=True)
            assert digest(held) == digest(made)
        assert frozen.record(run) == json.loads((place / "run.json").read_text())


def test_tables_measured_of_them_are_those_of_fresh_runs_to_the_bit(results: Path, whole: Path, tmp_path: Path) -> None:
    thawed = repeated.thaw_results(whole, tmp_path / "thawed")
    for kind in DERIVED:
        fresh, again = (pd.read_parquet(place / f"{kind}.parquet") for place in (results, thawed))
        pd.testing.assert_frame_equal(again, fresh, check_exact=True)


def test_the_primary_metrics_alone_are_those_of_the_whole_tables_to_the_bit(
    results: Path, whole: Path, tmp_path: Path
) -> None:
    cells = {run.cell: [each.seed for each in repeated.RUNS if each.cell == run.cell] for run in repeated.RUNS}
    taken, thawed = ({kind: str(tmp_path / made / f"{kind}.parquet") for kind in DERIVED[:2]} for made in "ab")
    primary.main({"chest": "auc"}, {kind: str(results / f"{kind}.parquet") for kind in DERIVED[:2]}, taken)
    (tmp_path / "b").mkdir()
    thaw_primary(str(whole), cells, {"chest": "auc"}, {"chest": repeated.MEASURED}, repeated.SETTINGS, thawed)
    for kind, rows in (("metrics", len(repeated.RUNS) * 4), ("replicates", len(repeated.RUNS) * 2)):
        one, other = (pd.read_parquet(tables[kind]) for tables in (taken, thawed))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert len(one) == rows
        everything = pd.read_parquet(results / f"{kind}.parquet")
        chosen = everything[(everything["metric"] == "auc") & (everything["subgroup"] == "all")]
        chosen = chosen[(chosen["split"] == "test") & (chosen.get("label", "mean") == "mean")]
        kept = one[one["split"] == "test"].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, chosen.reset_index(drop=True), check_exact=True)


def test_frozen_metrics_are_those_of_the_runs_to_single_precision(results: Path, whole: Path) -> None:
    fresh, held = (pd.read_parquet(place / "metrics.parquet") for place in (results, whole))
    assert held["value"].dtype == np.float32
    np.testing.assert_array_equal(held["value"], fresh["value"].astype("float32"))


def test_with_all_tables_metrics_keep_their_precision(results: Path, tmp_path: Path) -> None:
    groups = {"chexpert": ["sex"], "nih_cxr14": ["sex"]}
    freeze(results, tmp_path / "tiny", "tiny", repeated.CONTENT, list(groups), groups, derived=True)
    for kind in DERIVED:
        fresh, held = (pd.read_parquet(place / f"{kind}.parquet") for place in (results, tmp_path / "tiny"))
        pd.testing.assert_frame_equal(held, fresh, check_exact=True)


def test_they_are_written_once(results: Path, folder: Path) -> None:
    before = (folder / "frozen.json").read_bytes()
    with pytest.raises(UserError, match="written once"):
        repeated.freeze_results(results, folder)
    assert (folder / "frozen.json").read_bytes() == before


def test_the_same_results_are_frozen_to_the_same_bytes(results: Path, whole: Path, tmp_path: Path) -> None:
    again = repeated.freeze_results(results, tmp_path / "again")
    files = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [name for name in files if (whole / name).read_bytes() != (again / name).read_bytes()] == []


def test_what_is_incomplete_is_not_frozen_and_nothing_is_left(results: Path, tmp_path: Path) -> None:
    part = Path(shutil.copytree(results, tmp_path / "results"))
    table = pd.read_csv(part / "completeness.csv", keep_default_na=False)
    table.loc[3, "status"] = "missing"
    table.to_csv(part / "completeness.csv", index=False)
    with pytest.raises(UserError, match=r"1 of 9 runs are missing"):
        repeated.freeze_results(part, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_runs_of_a_task_on_different_images_are_not_frozen(results: Path, tmp_path: Path) -> None:
    part = Path(shutil.copytree(results, tmp_path / "results"))
    run = repeated.RUNS[4]
    path = part / "runs" / run.path / "predictions.parquet"
    table = pd.read_parquet(path)
    table.loc[7, "target_effusion"] = 1 - table.loc[7, "target_effusion"]
    table.to_parquet(path, index=False)
    with pytest.raises(UserError, match=f"{run.path} was not predicted on the images"):
        repeated.freeze_results(part, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_every_file_that_is_not_as_it_was_is_named(folder: Path) -> None:
    (folder / "claims.csv").write_text("claim\n")
    (folder / "upstreams.csv").unlink()
    (folder / "predictions" / "more.parquet").write_bytes(b"")
    frozen = Frozen.open(folder)
    wanted = {"claims.csv": "was changed", "predictions/more.parquet": "was added", "upstreams.csv": "is missing"}
    assert frozen.problems() == wanted
    with pytest.raises(UserError) as error:
        frozen.check()
    assert all(f"{name} {what}" in str(error.value) for name, what in wanted.items())
    with pytest.raises(UserError, match=r"upstreams\.csv is missing"):
        frozen_tables.main(folder, folder.parent, [])


def test_a_table_that_was_not_frozen_is_asked_for_in_vain(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"other.csv is not there.*config.yaml"):
        frozen_tables.main(folder, tmp_path / "results", [tmp_path / "results" / "quality" / "other.csv"])


def test_a_folder_without_a_record_or_of_another_schema_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="snakemake freeze"):
        Frozen.open(tmp_path / "nothing")
    (folder / "frozen.json").write_text('{"schema": 99, "code": "x"}')
    with pytest.raises(UserError, match="schema 99"):
        Frozen.open(folder)


def test_a_run_that_is_not_held_is_told(whole: Path) -> None:
    frozen = Frozen.open(whole)
    with pytest.raises(UserError, match=r"holds 0 rows of chest/r14w16/none/random/rule/pct100/seed9"):
        frozen.predictions(Run("chest", "r14w16", "none", "random", "rule", "pct100", 9))
    with pytest.raises(UserError, match="holds no rows of skin"):
        frozen.predictions(Run("skin", "r14w16", "none", "random", "rule", "pct100", 0))


def table_of(logits: list[float]) -> pd.DataFrame:
    names = [f"i{number}" for number in range(len(logits))]
    values = np.array(logits, dtype=np.float32)
    return pd.DataFrame({"cohort": "c", "split": "test", "image_id": names, "logit_x": values, "target_x": np.nan})


@settings(deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_a_digest_heeds_values_and_not_the_order_of_rows_or_columns(logits: list[float]) -> None:
    table = table_of(logits)
    shuffled = table.sample(frac=1, random_state=len(logits))[table.columns[::-1]]
    assert digest(shuffled.astype({"target_x": "float64"})) == digest(table)
    other = table.copy()
    other.loc[0, "logit_x"] = np.nextafter(other.loc[0, "logit_x"], np.float32(np.inf), dtype=np.float32)
    assert np.isinf(logits[0]) or digest(other) != digest(table)


def test_a_digest_tells_which_image_a_logit_belongs_to() -> None:
    table = table_of([1.0, 2.0])
    swapped = table.assign(logit_x=table["logit_x"].to_numpy()[::-1])
    renamed = table.rename(columns={"logit_x": "logit_y"})
    assert len({digest(table), digest(swapped), digest(renamed)}) == 3
