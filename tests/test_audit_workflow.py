"""`snakemake audit` for real: a small tier is made, frozen, trained again from raw data, and falsified."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from medtransfer.files import write_parquet
from tests.conftest import ROOT
from tests.repeated import sign
from tests.test_workflow import TINY, clone, run, snakemake

pytestmark = pytest.mark.slow
ASKED = "audit={runs: 2, seed: 7, rows: 5}"
CONFIG = "audited.yaml"
GRID = {"tasks": ["chest5"], "backbones": ["r14w16"], "upstreams": ["none", "scenes-small"], "seeds": [0, 1]}


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the frozen record of four runs."""
    folder = clone(tmp_path_factory.mktemp("audited"))
    content = yaml.safe_load((ROOT / TINY).read_text())
    content["studies"]["scale"]["arms"] = {"scale": [GRID]}
    (folder / CONFIG).write_text(yaml.safe_dump(content))
    snakemake(folder, config=CONFIG, targets=["freeze"])
    return folder


@pytest.fixture(scope="module")
def audited(frozen: Path) -> str:
    return snakemake(frozen, "--config", ASKED, config=CONFIG, targets=["audit"])


def checks(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "results/tiny/audit.csv", keep_default_na=False)


def test_a_sample_trained_again_from_raw_data_is_bit_identical(frozen: Path, audited: str) -> None:
    assert "Confirmed: 2 of 2 drawn runs were trained again, all of them bit-identical to the record" in audited
    assert "At 95% confidence at most 77.6% of all records are" in audited
    table = checks(frozen)
    assert set(table["result"]) == {"confirmed"} and set(table["part"]) == {"record", "runs", "data", "leaks"}
    assert (frozen / "results/tiny/audit.html").stat().st_size > 5000
    again = frozen / "results/tiny-audit-7"
    assert len(list(again.rglob("predictions.parquet"))) == 4  # two runs, each also among its scratch files
    assert not (again / "raw/chexpert").samefile(frozen / "results/tiny/raw/chexpert")


def test_a_falsified_record_is_found_by_checksums_or_if_they_fit_by_training(
    frozen: Path, audited: str, tmp_path: Path
) -> None:
    record = frozen / "figures/frozen/tiny"
    shutil.copytree(record, tmp_path / "record")
    trained = {path: path.stat().st_mtime_ns for path in (frozen / "results/tiny-audit-7").rglob("*.parquet")}
    path = record / "predictions/chest5.parquet"
    table = pd.read_parquet(path)
    table["logits"] = [logits + np.float32(1e-3) for logits in table["logits"]]
    write_parquet(table, path)
    status, told = run(frozen, "--config", ASKED, config=CONFIG, targets=["audit"])
    assert status != 0 and "predictions/chest5.parquet was changed" in told
    sign(record)
    status, told = run(frozen, "--config", ASKED, config=CONFIG, targets=["audit"])
    assert status != 0 and "Something is wrong. Checks that deviate: 2 (runs trained again: 2)" in told
    assert "by 0.001 at most" in told
    assert "results/tiny/audit.html" in told and (checks(frozen)["result"] == "deviating").sum() == 2
    # What was trained again for the first audit is not trained a third time, and the page says so.
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert "which was there before" in (frozen / "results/tiny/audit.html").read_text()
    shutil.rmtree(record)
    shutil.copytree(tmp_path / "record", record)


def test_from_image_stores_nothing_is_decoded_again(frozen: Path) -> None:
    asked = "audit={runs: 1, seed: 3, rows: 5, start: images}"
    told = snakemake(frozen, "--config", asked, config=CONFIG, targets=["audit"])
    assert "Confirmed: 1 of 1 drawn runs" in told
    again = frozen / "results/tiny-audit-3-images"
    for name in ("images/chexpert-32.npy", "cohorts/chexpert.parquet"):
        assert (again / name).samefile(frozen / "results/tiny" / name)


def test_without_a_record_it_says_how_to_make_one(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    shutil.rmtree(folder / "figures" / "frozen", ignore_errors=True)
    status, told = run(folder, config=TINY, targets=["audit"])
    assert status != 0 and "figures/frozen/tiny holds no frozen results" in told and "snakemake freeze" in told
