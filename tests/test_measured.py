"""What finished runs took is held against the cost table, and takes the place of what that had only guessed."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import recalibrate_costs as script
from medtransfer.compute.costs import Costs, load_costs
from medtransfer.compute.estimate import rate
from medtransfer.compute.forecast import Job
from medtransfer.compute.measured import comparison, measurements, recalibrated, text
from medtransfer.errors import UserError
from tests.conftest import ROOT

TABLE = ROOT / "config" / "costs.yaml"
NOON = 1_793_793_600  # 2026-11-04
RTX = "NVIDIA GeForce RTX 3090"
H200 = "NVIDIA H200"


@pytest.fixture(scope="module")
def costs() -> Costs:
    return load_costs(TABLE)


def finished(folder: Path, name: str, predicted: int = 0, **facts: Any) -> Job:
    """A job of R50x1 at 448 px that saw 60,000 images in 100 s, 10 s of them waiting, with its record."""
    record = {
        "images_seen": 60_000,
        "seconds": {"preparation": 5.0, "data": 10.0, "step": 90.0, "looks": 3.0, "evaluation": 20.0},
        "device": RTX,
        "devices": 1,
        "threads": 4,
        "peak_memory_mb": 3000,
        "peak_gpu_memory_mb": 15_000,
        **facts,
    }
    path = folder / name / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    os.utime(path, (NOON, NOON))
    if predicted:
        pd.DataFrame({"row": range(predicted)}).to_parquet(path.with_name("predictions.parquet"))
    return Job("finetune", str(path), True, 4, 8000, 60, 300.0, gpus=1, backbone="r50x1", pixels=448)


def test_a_rate_is_that_of_training_with_its_waiting_for_data(tmp_path, costs) -> None:
    (row,) = comparison(measurements([finished(tmp_path, "a")]), costs).itertuples()
    assert (row.measured, row.waiting, row.jobs) == (600, 0.1, 1)
    assert row.expected == rate("r50x1", 448, costs, "rtx_3090") == 149
    assert row.ratio == pytest.approx(600 / 149)
    assert (row.mem_asked, row.mem_used, row.gpu_mem_used) == (8000, 3000, 15_000)


def test_medians_of_those_alike_and_the_most_memory(tmp_path, costs) -> None:
    jobs = [finished(tmp_path, f"{n}", images_seen=n, peak_memory_mb=n) for n in (10_000, 20_000, 90_000)]
    jobs.append(replace(finished(tmp_path, "small"), pixels=224))
    rows = comparison(measurements(jobs), costs)
    assert rows[["pixels", "jobs", "measured", "mem_used"]].values.tolist() == [
        [448, 3, 200, 90_000],
        [224, 1, 600, 3000],
    ]


def test_what_is_not_done_is_not_looked_at(tmp_path, costs) -> None:
    job = finished(tmp_path, "a")
    assert len(measurements([job, replace(job, record="nowhere", done=False)])) == 1
    with pytest.raises(UserError, match="nothing was measured"):
        measurements([replace(job, done=False)])


def test_measured_rates_replace_and_join_those_of_the_table(tmp_path, costs) -> None:
    jobs = [finished(tmp_path, "a"), finished(tmp_path, "b"), replace(finished(tmp_path, "c"), pixels=320)]
    table = recalibrated(costs, measurements(jobs))
    assert len(table.rates) == len(costs.rates) + 1
    assert rate("r50x1", 448, table, "rtx_3090") == rate("r50x1", 320, table, "rtx_3090") == 600
    (entry,) = [each for each in table.rates if (each.device, each.backbone, each.pixels) == ("rtx_3090", "r50x1", 448)]
    assert entry.source == "measured here, 2 jobs, until 2026-11-04"
    kept = [each for each in costs.rates if (each.backbone, each.pixels) != ("r50x1", 448)]
    assert all(each in table.rates for each in kept)
    assert table.devices == costs.devices and table.memory == costs.memory


def test_measuring_again_changes_nothing(tmp_path, costs) -> None:
    measured = measurements([finished(tmp_path, "a", predicted=30_000), replace(finished(tmp_path, "b"), pixels=320)])
    once = recalibrated(costs, measured)
    assert recalibrated(once, measured) == once


def test_another_gpu_is_added_without_its_memory(tmp_path, costs) -> None:
    table = recalibrated(costs, measurements([finished(tmp_path, "a", device=H200)]))
    assert table.device == costs.device
    assert (table.devices["nvidia_h200"].title, table.devices["nvidia_h200"].memory_gb) == (H200, None)
    assert rate("r50x1", 448, table, "nvidia_h200") == 600 and rate("r50x1", 448, table, "rtx_3090") == 149


def test_a_cpu_counts_with_one_thread_alone(tmp_path, costs) -> None:
    cpu: dict[str, Any] = {"device": "cpu", "peak_gpu_memory_mb": None}
    one, four = finished(tmp_path, "one", threads=1, **cpu), finished(tmp_path, "four", threads=4, **cpu)
    assert rate("r50x1", 448, recalibrated(costs, measurements([one, four])), "cpu") == 600
    assert "cpu, 4 threads" in text(comparison(measurements([four]), costs))
    with pytest.raises(UserError, match="several devices or threads"):
        recalibrated(costs, measurements([four]))


def test_several_devices_are_compared_with_their_scaling_and_not_put_in_the_table(tmp_path, costs) -> None:
    jobs = [finished(tmp_path, "one"), finished(tmp_path, "two", devices=2)]
    one, two = comparison(measurements(jobs), costs).itertuples()
    assert (two.measured, two.expected) == (300, 149 * costs.scaling)
    assert rate("r50x1", 448, recalibrated(costs, measurements(jobs)), "rtx_3090") == one.measured


def test_prediction_is_calibrated_where_predictions_were_kept(tmp_path, costs) -> None:
    # 30,000 images in 20 s against 600 a second in training; half as many in the other.
    jobs = [finished(tmp_path, "a", predicted=30_000)]
    assert recalibrated(costs, measurements(jobs)).prediction_speed == 2.5
    slow = [finished(tmp_path, "b", predicted=3)]
    assert recalibrated(costs, measurements(slow)).prediction_speed == 1
    none = [finished(tmp_path, "c", seconds={"data": 1.0, "step": 9.0})]
    assert recalibrated(costs, measurements(none)).prediction_speed == costs.prediction_speed


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"seconds": {}}', '{"seconds": {"data": 0, "step": 0}, "images_seen": 1, "devices": 1}'],
)
def test_what_is_no_record_is_named(tmp_path, content: str) -> None:
    job = finished(tmp_path, "a")
    Path(job.record).write_text(content)
    with pytest.raises(UserError, match=r"run\.json is not the record of a finished training job"):
        measurements([job])


def test_the_rule_prints_a_comparison_and_writes_a_table_that_can_be_used(tmp_path, capsys) -> None:
    jobs = [finished(tmp_path, "a"), finished(tmp_path, "b", device=H200)]
    other = Job("metrics", "metrics.parquet", True, 1, 4000, 30, 5.4)
    path = tmp_path / "costs.yaml"
    script.main([vars(job) for job in [*jobs, other]], str(TABLE), str(path))
    heading, first, second, *_ = lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["device", "backbone", "px"]
    assert first.split()[:4] == ["NVIDIA", "GeForce", "RTX", "3090"] and "4.03" in first and "15,000" in first
    assert second.startswith(H200)
    assert lines[-2] == f"Written to {path}. The key `costs: {path}` of a tier makes its requests rest on it."
    assert lines[-1].endswith(f"for {H200}, set `device: nvidia_h200` and that GPU's memory_gb.")
    table = load_costs(path)
    assert rate("r50x1", 448, table, "rtx_3090") == rate("r50x1", 448, table, "nvidia_h200") == 600
    assert table.safety == load_costs(TABLE).safety
