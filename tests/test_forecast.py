"""What is still to be computed is summed up before it is started: nothing twice, nothing that is done."""

import csv
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plan as script
from medtransfer.compute.forecast import TABLES, Job, aligned, missing, submissions, text, total, totals_by, verdict
from medtransfer.compute.partitions import Node, Partition
from medtransfer.errors import UserError

HOUR = 3600.0
RUN = Job(
    rule="finetune",
    record="results/t/runs/chest/r50x1/in1k/seed0/run.json",
    done=False,
    threads=4,
    mem_mb=8000,
    minutes=180,
    seconds=2 * HOUR,
    gpus=1,
    disk=2_000_000_000,
    studies=("scale",),
    task="chest",
    backbone="r50x1",
    upstream="in1k",
    pixels=448,
)
LARGE = replace(RUN, record="large", backbone="r152x4", seconds=50 * HOUR, minutes=4500, studies=("scale", "domain"))
STORE = Job("image_store", "images.npy", False, threads=8, mem_mb=8000, minutes=720, seconds=HOUR, disk=10**12)
DONE = replace(RUN, record="done", done=True)
JOBS = [RUN, LARGE, STORE, DONE]
CLUSTER = {
    "gpu": Partition("gpu", True, 1440, 64, 64_000, "UP", (Node("n1", 16, 64_000, {"a100": 4}, "IDLE"),)),
}

jobs = st.builds(
    Job,
    rule=st.sampled_from(["finetune", "metrics"]),
    record=st.uuids().map(str),
    done=st.booleans(),
    threads=st.integers(1, 8),
    mem_mb=st.integers(1, 10**5),
    minutes=st.integers(1, 10**4),
    seconds=st.floats(0, 1e6),
    gpus=st.integers(0, 4),
    disk=st.integers(0, 10**12),
    studies=st.sampled_from([(), ("scale",), ("scale", "domain"), ("domain",)]),
    task=st.sampled_from(["", "chest", "skin"]),
    backbone=st.sampled_from(["", "r50x1", "r152x4"]),
    upstream=st.sampled_from(["", "none", "in1k"]),
    batch=st.sampled_from(["", "batch.1", "batch.2"]),
)


def test_hours_and_bytes_are_those_of_missing_jobs() -> None:
    found = total(missing(JOBS))
    assert (found.jobs, found.gpu_hours, found.cpu_hours) == (3, 52, 4 * 52 + 8)
    assert (found.disk, found.longest) == (10**12 + 4 * 10**9, 50 * HOUR)


@given(st.lists(jobs, max_size=20))
def test_every_table_adds_up_to_the_total(many: list[Job]) -> None:
    for key in TABLES:
        rows = totals_by(key, many).values()
        assert sum(row.jobs for row in rows) == len(many)
        assert sum(row.disk for row in rows) == total(many).disk
        assert sum(row.gpu_hours for row in rows) == pytest.approx(total(many).gpu_hours)
        assert max((row.longest for row in rows), default=0) == total(many).longest


def test_a_run_of_several_studies_is_counted_under_the_first_with_a_note() -> None:
    assert {study: found.jobs for study, found in totals_by("study", missing(JOBS)).items()} == {
        "scale": 2,
        "(shared)": 1,
    }
    assert "counted once: 1 under scale (also domain)." in text(JOBS, "paper", "costs.yaml")
    assert "counted once" not in text([RUN, STORE], "paper", "costs.yaml")


def test_the_text_has_a_table_for_each_key_and_the_total() -> None:
    lines = text(JOBS, "paper", "costs.yaml (rtx_3090)").splitlines()
    assert lines[0] == "Tier paper: 3 of 4 jobs are still to be done."
    assert [line.split()[0] for line in lines if "GPU-hours  " in line][:5] == list(TABLES)
    (row,) = [line for line in lines if line.startswith("r152x4")]
    assert row.split() == ["r152x4", "1", "50.0", "200.0", "2.0", "GB", "50:00", "h"]
    (row,) = [line for line in lines if line.startswith("total")]
    assert row.split() == ["total", "3", "52.0", "216.0", "1,004.0", "GB", "50:00", "h"]
    assert (
        "Expected, from costs.yaml (rtx_3090). A cluster is asked for 78.0 GPU-hours in 3 jobs.\nThe longest is large."
    ) in "\n".join(lines)


def test_jobs_of_several_attempts_are_counted() -> None:
    assert "in the next attempt: 1 jobs." in text([RUN, replace(RUN, minutes=119)], "t", "costs.yaml")
    assert "in the next attempt" not in text([replace(RUN, minutes=120)], "t", "costs.yaml")


def test_nothing_left_is_said_in_a_line() -> None:
    assert text([DONE], "demo", "costs.yaml") == "Tier demo: all 1 jobs are done.\n"
    assert verdict([DONE], CLUSTER) == "All that is still to be done can start.\n"


def test_a_batch_is_one_job_of_the_cluster_that_takes_the_time_of_all() -> None:
    short = [replace(RUN, record=f"run{k}", batch="batch.1", minutes=10 + k, mem_mb=1000 * k) for k in (1, 2, 3)]
    batch, alone = submissions([*short, RUN])
    assert (batch.minutes, batch.mem_mb, batch.gpus, batch.threads) == (36, 3000, 1, 4)
    assert alone == RUN.asked()
    assert "in 2 jobs." in text([*short, RUN], "t", "costs.yaml")


@given(st.lists(jobs, max_size=20))
def test_batches_lose_no_time(many: list[Job]) -> None:
    assert sum(each.minutes for each in submissions(many)) == sum(job.minutes for job in many)


def test_what_the_cluster_could_never_start_is_named() -> None:
    said = verdict(JOBS, CLUSTER)
    assert "partition gpu is UP: at most 1-00:00:00; 1 nodes of up to 16 CPUs, 64,000 MB, 4 GPUs a100" in said
    assert "  finetune r152x4 at 448 px (1 job) asks for 3-03:00:00, partition gpu allows 1-00:00:00\n" in said
    assert "r50x1" not in said and "last attempt" not in said
    assert verdict([RUN, STORE, replace(LARGE, done=True)], CLUSTER).endswith(
        "All that is still to be done can start.\n"
    )


def test_a_batch_that_is_too_long_is_named_although_its_runs_are_not() -> None:
    runs = [replace(RUN, record=f"{k}", batch="batch.1", minutes=1000) for k in range(2)]
    assert "(1 job) asks for 1-09:20:00" in verdict(runs, CLUSTER)


def test_a_last_attempt_that_asks_for_too_much_is_told_apart() -> None:
    growing = replace(RUN, last_mem_mb=100_000, last_minutes=600)
    said = verdict([growing], CLUSTER)
    assert "last attempt, which asks for more:\n  finetune r50x1 at 448 px (1 job) asks for 100,000 MB" in said
    assert "never" not in said
    assert "last attempt" not in verdict([replace(growing, minutes=5000)], CLUSTER)


def test_nodes_out_of_service_are_told() -> None:
    away = {"gpu": replace(CLUSTER["gpu"], nodes=(replace(CLUSTER["gpu"].nodes[0], state="DOWN*"),))}
    said = verdict([RUN], away)
    assert "once more is in service again:\n  finetune r50x1 at 448 px (1 job) waits for partition gpu" in said


def test_columns_stand_below_one_another() -> None:
    assert aligned([("a", "jobs"), ("longer", "12")]) == "a       jobs\nlonger    12"


def test_the_rule_prints_and_writes_a_row_for_each_job(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(script, "cluster", lambda: CLUSTER)
    records = [vars(job) for job in JOBS]
    script.main(records, "paper", "costs.yaml", [], str(tmp_path / "plan.csv"))
    printed = capsys.readouterr().out
    assert "3 of 4 jobs" in printed and "partition gpu allows" in printed
    with (tmp_path / "plan.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["record"], row["done"]) for row in rows] == [(job.record, str(job.done)) for job in JOBS]
    assert rows[1]["studies"] == "scale domain" and rows[1]["minutes"] == "4500"


def test_without_a_cluster_it_plans_and_says_what_it_left_out(tmp_path, capsys, monkeypatch) -> None:
    def none() -> None:
        raise UserError("there is no scontrol on this machine")

    monkeypatch.setattr(script, "cluster", none)
    script.main([vars(RUN)], "paper", "costs.yaml", ["r152x4 at 480 px"], str(tmp_path / "plan.csv"))
    printed = capsys.readouterr().out
    assert "1 of 1 jobs" in printed and "limits of a cluster: there is no scontrol" in printed
    assert "cannot hold r152x4 at 480 px" in printed
