"""The audits of data and leaks, on drawn films: nothing is found as they are, and every change by name."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from PIL import Image

import cohort as cohort_script
import derived_cohort
import subset as subset_script
import synthesise
from medtransfer.cohorts import select, targets
from medtransfer.config import Config, load
from medtransfer.config.data import Task
from medtransfer.datasets import read
from medtransfer.files import file_digest, write_csv, write_parquet
from medtransfer.imaging.chunk import Form
from medtransfer.imaging.store import build_store, store_facts
from medtransfer.review import data_audit
from medtransfer.review.checks import AS_EXPECTED, CONFIRMED, DEVIATING, NOT_HERE, Check
from medtransfer.runs import Run
from tests.conftest import ROOT

RUN = Run("chest5", "r14w16", "none", "random", "rule", "pct100", 0)
COHORTS = ("chexpert", "nih_pa")
Change = Callable[[pd.DataFrame], pd.DataFrame]


def configuration() -> Config:
    return load(yaml.safe_load((ROOT / "tests" / "config" / "tiny.yaml").read_text()), "tiny")


CONFIG = configuration()
TASK: Task = CONFIG.tasks["chest5"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the workflow makes of two drawn datasets before it trains."""
    folder = tmp_path_factory.mktemp("whole")
    for dataset in ("chexpert", "nih_cxr14"):
        raw, listed = folder / "raw" / dataset, folder / "readings" / f"{dataset}.parquet"
        synthesise.main(dataset, CONFIG.synthetic[dataset].model_dump(), str(raw))
        reading = read(dataset, raw, {})
        write_parquet(reading.table, listed)
        failures, _ = build_store(
            raw, reading.table["path"].tolist(), Form(1, 32), folder / f"images/{dataset}-32.npy", folder / "scratch", 1
        )
        unreadable = [(row, reading.table["path"].iloc[row], why) for row, why in failures]
        write_csv(pd.DataFrame(unreadable, columns=["row", "file", "reason"]), folder / f"{dataset}.unreadable.csv")
        write_csv(reading.rejected, folder / f"{dataset}.rejected.csv")
        cohort_script.main(
            dataset,
            str(listed),
            str(folder / f"{dataset}.unreadable.csv"),
            str(folder / f"{dataset}.rejected.csv"),
            [],
            str(folder / f"cohorts/{dataset}.parquet"),
            str(folder / f"cohorts/{dataset}.rejected.csv"),
        )
    derived_cohort.main(
        "nih_pa",
        CONFIG.cohorts["nih_pa"].model_dump(exclude={"title"}),
        [str(folder / "cohorts/nih_cxr14.parquet")],
        str(folder / "cohorts/nih_pa.parquet"),
        str(folder / "cohorts/nih_pa.rejected.csv"),
    )
    write_csv(pd.DataFrame(columns=["dataset", "image_id", "reason"]), folder / "quality/chest5.leaks.csv")
    for budget in ("pct50", "pct100"):
        subset_script.main(
            str(folder / "cohorts/chexpert.parquet"),
            str(folder / "quality/chest5.leaks.csv"),
            "chest5",
            TASK.model_dump(exclude={"title"}),
            budget,
            0,
            str(folder / f"subsets/chest5/{budget}/seed0.parquet"),
        )
    return folder


@pytest.fixture
def results(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "results")


def predictions(folder: Path) -> pd.DataFrame:
    """Images, patients and targets as a run's predictions have them."""
    parts = []
    for name, splits in (("chexpert", ("val", "test")), ("nih_pa", ("test",))):
        table = pd.read_parquet(folder / "cohorts" / f"{name}.parquet")
        for split in splits:
            rows = select(table, TASK, split)
            known = pd.DataFrame(targets(rows, TASK, training=False), columns=[f"target_{x}" for x in TASK.labels])
            parts.append(rows[["image_id", "patient_id"]].join(known).assign(cohort=name, split=split))
    return pd.concat(parts, ignore_index=True)


def edit(path: Path, change: Change) -> None:
    write_parquet(change(pd.read_parquet(path)), path)


def sole(checks: list[Check]) -> Check:
    """The one check that deviates."""
    (found,) = (check for check in checks if check.result != CONFIRMED)
    return found


def data_checks(folder: Path, rows: int = 1000) -> list[Check]:
    return data_audit.dataset_checks(CONFIG, folder, "chexpert", rows, 7)


def test_untouched_data_are_confirmed_back_to_their_raw_files(whole: Path) -> None:
    images = len(pd.read_parquet(whole / "cohorts/chexpert.parquet"))
    assert [(check.result, check.n) for check in data_checks(whole)] == 2 * [(CONFIRMED, images)]
    assert [check.n for check in data_checks(whole, rows=5)] == [5, 5]
    assert data_audit.derived_check(CONFIG, whole, "nih_pa").result == CONFIRMED
    assert data_audit.record_check(CONFIG, whole, predictions(whole), "chest5").result == CONFIRMED


def test_a_changed_raw_file_is_named(results: Path) -> None:
    row = pd.read_parquet(results / "cohorts/chexpert.parquet").iloc[3]
    path = results / "raw/chexpert" / row["path"]
    Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    found = sole(data_checks(results))
    assert found.result == DEVIATING
    assert found.detail == (
        f"chexpert {row['image_id']}: {row['path']} decodes to other pixels than row {row['row']} of chexpert-32.npy"
    )
    path.write_bytes(b"")
    assert f"chexpert {row['image_id']}: empty file" in sole(data_checks(results)).detail


def test_a_removed_raw_file_is_named(results: Path) -> None:
    row = pd.read_parquet(results / "cohorts/chexpert.parquet").iloc[3]
    (results / "raw/chexpert" / row["path"]).unlink()
    details = [check.detail for check in data_checks(results) if check.result == DEVIATING]
    assert any(f"chexpert {row['image_id']}: its file {row['path']} is not listed" in detail for detail in details)
    shutil.rmtree(results / "raw/chexpert")
    assert sole(data_checks(results)).result == NOT_HERE


@pytest.mark.parametrize(("column", "value"), [("effusion", 1), ("split", "test"), ("patient_id", "patient99999")])
def test_a_cohort_row_that_the_reader_does_not_give_is_named(results: Path, column: str, value: object) -> None:
    table = pd.read_parquet(results / "cohorts/chexpert.parquet")
    at = table.index[(table[column] != value).fillna(True) & (table["split"] == "train")][0]
    edit(results / "cohorts/chexpert.parquet", lambda rows: _set(rows, at, column, value))
    found = sole(data_checks(results))
    assert f"chexpert {table.loc[at, 'image_id']}: {column} is {value}, as read anew" in found.detail


def test_rows_in_another_order_than_the_store_are_named(results: Path) -> None:
    edit(results / "cohorts/chexpert.parquet", lambda rows: rows.assign(row=rows["row"].to_numpy()[::-1]))
    assert all(check.result == DEVIATING and "and" in check.detail for check in data_checks(results))


def test_a_changed_row_of_a_derived_cohort_is_named(results: Path) -> None:
    image = pd.read_parquet(results / "cohorts/nih_pa.parquet")["image_id"].iloc[2]
    edit(results / "cohorts/nih_pa.parquet", lambda rows: _set(rows, 2, "sex", "unknown"))
    found = data_audit.derived_check(CONFIG, results, "nih_pa")
    assert found.result == DEVIATING and f"nih_pa {image}: sex is unknown, derived anew" in found.detail
    edit(results / "cohorts/nih_pa.parquet", lambda rows: rows.iloc[1:])
    assert "other images" in data_audit.derived_check(CONFIG, results, "nih_pa").detail


def test_a_changed_label_or_image_of_the_record_is_named(whole: Path) -> None:
    recorded = predictions(whole)
    known = recorded["target_effusion"].notna()
    at = recorded.index[known & (recorded["cohort"] == "nih_pa")][0]
    flipped = _set(recorded.copy(), at, "target_effusion", 1 - recorded.loc[at, "target_effusion"])
    found = data_audit.record_check(CONFIG, whole, flipped, "chest5")
    assert f"nih_pa {recorded.loc[at, 'image_id']}: target_effusion is" in found.detail
    found = data_audit.record_check(CONFIG, whole, recorded.drop(index=at), "chest5")
    assert found.detail == f"nih_pa {recorded.loc[at, 'image_id']}: predicted or in the test split, not both"


def test_files_are_hashed_as_training_recorded_them(results: Path) -> None:
    store = results / "images/chexpert-32.npy"
    inputs: dict[str, Any] = {
        "subset": file_digest(results / "subsets/chest5/pct100/seed0.parquet"),
        "cohorts": {name: file_digest(results / f"cohorts/{name}.parquet") for name in COHORTS},
        "images": {"chexpert": store_facts(store)["sha256"]},
    }
    record = {"inputs": inputs, "resolution": {"resize": 32}}
    assert data_audit.hash_check(results, record, RUN, True).result == CONFIRMED
    inputs["cohorts"]["nih_pa"] = "0" * 64
    found = data_audit.hash_check(results, record, RUN, True)
    assert (found.result, found.detail) == (DEVIATING, "cohorts/nih_pa.parquet is not what was recorded")
    assert data_audit.hash_check(results, record, RUN, False).result == AS_EXPECTED


def _set(rows: pd.DataFrame, at: int, column: str, value: Any) -> pd.DataFrame:
    rows.loc[at, column] = value
    return rows
