"""`snakemake --profile slurm` on a real SLURM, and what happens to it there: whatever does, results stay the same.

What a cluster does to jobs is done to them while they train. What they predict in the end is compared, byte for byte,
with what an undisturbed call on this machine predicts.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.slurm.cluster import NODES, Cluster, Job, cluster, missing
from tests.test_workflow import clone, environment, run

pytestmark = pytest.mark.slurm

CONFIG = "tests/config/cluster.yaml"
LONG = "long.yaml"
RAW = "results/cluster/raw"
FIGURE = "results/cluster/figures/scale_performance.svg"
STARTS = ("none/random", "natural/pretrained")
SHORT = [f"chest/r14w16/{start}/rule/pct100/seed{seed}" for start in STARTS for seed in (0, 1)]
STEPS = 600
"""Steps of a run that shall be disturbed: some six seconds of a core."""
SLOW = 5
"""Factor for a run that is to outlast a time limit, at which SLURM looks every 30 seconds."""
POLL_SECONDS = 5
"""Until the first look at a job in the queue; the plugin looks ten seconds later each time that none has ended."""
PATIENCE = 400
FORGOTTEN = "Invalid generic resource (gres) specification"
"""SLURM 22.05 forgets the GPU of a job whose node goes down at the moment of its requeueing: that attempt is lost."""


def cell(recipe: str, seed: int) -> str:
    """A run of random weights."""
    return f"chest/r14w16/none/random/{recipe}/pct100/seed{seed}"


PREEMPTED, REQUEUED, CANCELLED, STARVED, CRASHED = (cell("rule", seed) for seed in range(5))
OUT_OF_TIME = cell("slow", 0)
DISTURBED = [PREEMPTED, REQUEUED, CANCELLED, STARVED, CRASHED, OUT_OF_TIME]
ORPHANED = [CANCELLED, OUT_OF_TIME]
"""Those whose Snakemake is killed."""


def configured(folder: Path, name: str, **changes: Any) -> None:
    """Write the cluster's configuration under a name of its own, with sections replaced key by key."""
    content = yaml.safe_load((folder / CONFIG).read_text())
    for section, values in changes.items():
        content[section] = {**content.get(section, {}), **values}
    (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))


def long_runs(folder: Path) -> None:
    """A configuration whose runs take long enough to be disturbed; each has a job of its own."""
    grid = {"tasks": ["chest"], "backbones": ["r14w16"], "upstreams": ["none"]}
    arms = {"scale": [{**grid, "seeds": [0, 1, 2, 3, 4]}], "schedule": [{**grid, "recipes": ["slow"], "seeds": [0]}]}
    study = yaml.safe_load((folder / CONFIG).read_text())["studies"]["scale"]
    configured(
        folder,
        LONG,
        recipe={"overrides": {"steps": STEPS, "batch": 16, "learning_rate": 0.03}},
        recipes={"slow": {"stretch": float(SLOW)}},
        training={"batch_minutes": 0.0},
        studies={"scale": {**study, "arms": arms}},
    )


def predictions(name: str) -> str:
    return f"results/cluster/runs/{name}/predictions.parquet"


def scratch(folder: Path, name: str) -> Path:
    return folder / "results" / "cluster" / "scratch" / name


def log(folder: Path, name: str) -> str:
    return (folder / "logs" / "cluster" / "finetune" / f"{name}.log").read_text()


def slurm_log(folder: Path, job: Job) -> str:
    """What a job that has failed said; that of others is removed."""
    (path,) = (folder / "logs" / "slurm").rglob(f"{job.number}.log")
    return path.read_text()


def went_on(folder: Path, name: str) -> bool:
    """Whether the last attempt at a run did not begin anew: it may have been at its end when its job was disturbed."""
    return any(words in log(folder, name) for words in ("resumed after step", "finished before"))


def locally(folder: Path, config: str, names: Sequence[str]) -> None:
    status, text = run(folder, config=config, targets=[predictions(name) for name in names])
    assert status == 0, text


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What calls on this machine make of the same, undisturbed."""
    folder = clone(tmp_path_factory.mktemp("reference"))
    locally(folder, CONFIG, SHORT)
    return folder


@pytest.fixture(scope="module")
def long_reference(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = with_data(reference, tmp_path_factory.mktemp("long_reference"))
    long_runs(folder)
    locally(folder, LONG, DISTURBED)
    return folder


@contextmanager
def private_slurm(accounting: bool = False) -> Iterator[Cluster]:
    if reason := missing(accounting):
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder, cluster(Path(folder), accounting) as made:
        yield made


@pytest.fixture(scope="module")
def whole_slurm() -> Iterator[Cluster]:
    with private_slurm() as made:
        yield made


@pytest.fixture
def slurm(whole_slurm: Cluster) -> Iterator[Cluster]:
    """The module's SLURM, with all its nodes and without jobs of the last test."""
    yield whole_slurm
    whole_slurm.scancel("--user=root")
    for node in filter(whole_slurm.is_down, NODES):
        whole_slurm.boot(node)


def with_slurm(folder: Path, config: str, **settings: Any) -> Path:
    """A clone with the profile and a site's settings."""
    shutil.copytree(ROOT / "slurm", folder / "slurm", ignore=shutil.ignore_patterns("site.yaml"), dirs_exist_ok=True)
    site = {"partition": "gpu", "poll_seconds": POLL_SECONDS, "tier": config, **settings}
    (folder / "slurm" / "site.yaml").write_text(yaml.safe_dump(site))
    return folder


def with_data(reference: Path, folder: Path) -> Path:
    """A clone in which everything before fine-tuning is done."""
    clone(folder)
    made = shutil.ignore_patterns("runs", "scratch")
    shutil.copytree(reference / "results", folder / "results", ignore=made, copy_function=shutil.copy2)
    return folder


@contextmanager
def session(folder: Path, slurm: Cluster, *options: str, targets: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """`snakemake --profile slurm`, killed with the end of the block unless it has ended before."""
    # Made for the last one: what one says is not to be taken for what another says.
    with (folder / "session.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--profile", "slurm", *options, "--", *targets],
            cwd=folder,
            env={**environment(folder), **slurm.env, "HOME": str(folder)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """While jobs run Snakemake heeds no other signal."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def said(folder: Path) -> str:
    return (folder / "session.log").read_text()


def until(holds: Callable[[], bool], what: str, folder: Path) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}\n{said(folder)}"
        time.sleep(0.3)


def ended(process: subprocess.Popen[bytes], folder: Path) -> int:
    """The exit status of a session."""
    until(lambda: process.poll() is not None, "the end of Snakemake", folder)
    silent = time.time() - (folder / "session.log").stat().st_mtime
    assert silent < 20, f"Snakemake had nothing to do for {silent:.0f} s before it ended"
    status: int = process.returncode
    return status


def trainer(folder: Path, jobs: Sequence[Job], name: str) -> dict[str, Any]:
    """Who is training a run and has saved its state already; empty if nobody is."""
    try:
        owner: dict[str, Any] = json.loads((scratch(folder, name) / "owner.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    there = ("RUNNING", owner["slurm_job"], owner["host"])
    trains = any((job.state, job.number, job.node) == there for job in jobs)
    return owner if trains and (scratch(folder, name) / "checkpoint.pt").exists() else {}


def assert_same(folder: Path, reference: Path, names: Sequence[str]) -> None:
    for name in names:
        made, wanted = ((place / predictions(name)).read_bytes() for place in (folder, reference))
        assert made == wanted, name
        assert not (scratch(folder, name) / "owner.json").exists(), name


def visible(slurm: Cluster, owner: dict[str, Any]) -> str:
    """CUDA_VISIBLE_DEVICES of a process that trains, as SLURM gave it to its job; empty if that has just ended."""
    look = ["srun", f"--jobid={owner['slurm_job']}", "--overlap", "cat", f"/proc/{owner['pid']}/environ"]
    environ = subprocess.run(look, env=slurm.env, capture_output=True, text=True, timeout=60).stdout
    given = dict(each.partition("=")[::2] for each in environ.split("\0"))
    return given.get("CUDA_VISIBLE_DEVICES", "")


def test_the_literal_command_leads_from_raw_files_to_a_figure(reference: Path, slurm: Cluster, tmp_path: Path) -> None:
    # Most of its jobs take about so long.
    folder = with_slurm(clone(tmp_path), CONFIG, poll_seconds=12)
    shutil.copytree(reference / RAW, folder / RAW, copy_function=shutil.copy2)
    with session(folder, slurm, targets=[FIGURE]) as process:
        assert ended(process, folder) == 0, said(folder)
    assert (folder / FIGURE).stat().st_size > 300
    assert_same(folder, reference, SHORT)
    jobs = slurm.jobs()
    assert {job.state for job in jobs} == {"COMPLETED"}
    # Two runs of a network are one job, and what only links files is none.
    assert sum("batch" in job.comment for job in jobs) == 2
    assert not any("finetune" in job.comment or "finished_run" in job.comment for job in jobs)


@dataclass
class Disturbance:
    """Something that befalls the job of a run."""

    inflict: Callable[[Cluster, str, str], None]
    """To a job on a node."""
    shown: Callable[[Job], bool]
    """How it shows in the queue."""
    inflicted: set[str] = field(default_factory=set)
    """Owners of the run that it was inflicted on: another disturbance may have come before this one."""
    jobs: set[str] = field(default_factory=set)

    def came(self, jobs: Sequence[Job]) -> bool:
        return any(job.number in self.jobs and self.shown(job) for job in jobs)

    def befall(self, slurm: Cluster, jobs: Sequence[Job], owner: dict[str, Any]) -> None:
        if owner and owner["token"] not in self.inflicted and not self.came(jobs):
            try:
                self.inflict(slurm, owner["slurm_job"], owner["host"])
            except AssertionError:  # another disturbance has just ended that job: the next one's turn
                return
            self.inflicted.add(owner["token"])
            self.jobs.add(owner["slurm_job"])


def restarted(job: Job) -> bool:
    return job.restarts > 0


def preempt(slurm: Cluster, job: str, node: str) -> None:
    whole = ("--exclusive", "--mem=0", f"--nodelist={node}")
    slurm.call("sbatch", "--partition=urgent", "--output=/dev/null", *whole, "--wrap=sleep 1")


def disturbances() -> dict[str, Disturbance]:
    return {
        PREEMPTED: Disturbance(preempt, restarted),
        REQUEUED: Disturbance(lambda slurm, job, _: slurm.scontrol("requeue", job), restarted),
        CANCELLED: Disturbance(lambda slurm, job, _: slurm.scancel(job), lambda job: job.state == "CANCELLED"),
        CRASHED: Disturbance(lambda slurm, _, node: slurm.crash(node), restarted),
        OUT_OF_TIME: Disturbance(
            lambda slurm, job, _: slurm.scontrol("update", f"JobId={job}", "EndTime=now+1"),
            lambda job: job.state == "TIMEOUT",
        ),
    }


def neighbours(owners: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two who train on the same node."""
    pairs = ([one, other] for one, other in combinations(filter(None, owners), 2) if one["host"] == other["host"])
    return next(pairs, [])


def test_whatever_happens_to_jobs_predictions_stay_the_same(
    long_reference: Path, slurm: Cluster, tmp_path: Path
) -> None:
    folder = with_slurm(with_data(long_reference, tmp_path), LONG)
    long_runs(folder)
    before = {job.number for job in slurm.jobs()}
    disturbed = disturbances()
    devices: list[str] = []
    starve = "250 if attempt == 1 and wildcards.recipe == 'rule' and wildcards.seed == '3' else 2000"
    options = ("--set-resources", "finetune:gpu=1", f"finetune:mem_mb={starve}")
    with session(folder, slurm, *options, targets=[predictions(name) for name in DISTURBED]) as process:

        def all_came() -> bool:
            assert process.poll() is None, said(folder)
            jobs = slurm.jobs()
            owners = {name: trainer(folder, jobs, name) for name in disturbed}
            for name, disturbance in disturbed.items():
                disturbance.befall(slurm, jobs, owners[name])
            return all(disturbance.came(jobs) for disturbance in disturbed.values())

        def looked_at() -> bool:
            """Whether the devices of two who train on one node could be seen: they may be done before that."""
            assert process.poll() is None, said(folder)
            jobs = slurm.jobs()
            pair = neighbours([trainer(folder, jobs, name) for name in disturbed])
            devices[:] = [visible(slurm, owner) for owner in pair]
            return bool(devices) and all(devices)

        until(looked_at, "two jobs on one node", folder)
        until(all_came, "all disturbances", folder)

        def goes_on_elsewhere() -> bool:
            """It may have ended there before the last disturbance came."""
            ended = (scratch(folder, CRASHED) / "outcome.json").exists()
            return ended or bool(trainer(folder, slurm.jobs(), CRASHED))

        for node in filter(slurm.is_down, NODES):
            until(goes_on_elsewhere, "training on another node", folder)
            slurm.boot(node)
        assert ended(process, folder) == 0, said(folder)
    assert_same(folder, long_reference, DISTURBED)
    for name in DISTURBED:
        assert name == STARVED or went_on(folder, name), name
    assert sorted(devices) == ["0", "1"]
    jobs = [job for job in slurm.jobs() if job.number not in before]
    # What SLURM starts again is the same job; what has failed is tried in another. One is the urgent job.
    failed = [slurm_log(folder, job) for job in jobs if job.state == "FAILED"]
    starved = [text for text in failed if FORGOTTEN not in text]
    wanted = {"COMPLETED": len(DISTURBED) + 1, "CANCELLED": 1, "TIMEOUT": 1, "FAILED": len(failed)}
    assert Counter(job.state for job in jobs) == wanted, jobs
    assert len(starved) == 1, "\n".join(failed)
    assert "exceeded memory limit" in starved[0]
    # Trying again is for the Snakemake that can ask for more memory, not for those within the job.
    assert not re.search(r"StepId=\d+\.1\b", starved[0])


def test_after_a_killed_snakemake_the_same_command_goes_on(
    long_reference: Path, slurm: Cluster, tmp_path: Path
) -> None:
    folder = with_slurm(with_data(long_reference, tmp_path), LONG)
    long_runs(folder)
    targets = [predictions(name) for name in ORPHANED]
    before = {job.number for job in slurm.jobs()}

    def running() -> Counter[str]:
        """For each piece of work how many jobs are at it."""
        return Counter(job.comment for job in slurm.jobs() if job.number not in before and job.state == "RUNNING")

    with session(folder, slurm, targets=targets):
        until(lambda: all(trainer(folder, slurm.jobs(), name) for name in ORPHANED), "training", folder)
    assert len(running()) == 2, "jobs have to outlive their Snakemake"
    most: Counter[str] = Counter()
    with session(folder, slurm, targets=targets) as process:
        while process.poll() is None:
            most |= running()
            time.sleep(0.3)
        assert ended(process, folder) == 0, said(folder)
    assert set(most.values()) == {1}
    assert_same(folder, long_reference, ORPHANED)
    assert went_on(folder, OUT_OF_TIME)
    assert not running()


def test_while_the_controller_is_down_no_job_is_forgotten(long_reference: Path, slurm: Cluster, tmp_path: Path) -> None:
    folder = with_slurm(with_data(long_reference, tmp_path), LONG)
    long_runs(folder)
    before = {job.number for job in slurm.jobs()}
    with session(folder, slurm, targets=[predictions(name) for name in ORPHANED]) as process:
        until(lambda: all(trainer(folder, slurm.jobs(), name) for name in ORPHANED), "training", folder)
        with slurm.without_controller():
            until(lambda: "SLURM does not say what has become of jobs" in said(folder), "a look at jobs", folder)
        assert ended(process, folder) == 0, said(folder)
    assert_same(folder, long_reference, ORPHANED)
    jobs = [job for job in slurm.jobs() if job.number not in before]
    assert [(job.state, job.restarts) for job in jobs] == [("COMPLETED", 0)] * len(ORPHANED)


def test_one_run_of_a_batch_that_diverges_leaves_the_others_alone(
    reference: Path, slurm: Cluster, tmp_path: Path
) -> None:
    folder = with_slurm(with_data(reference, tmp_path), "hot.yaml")
    study = yaml.safe_load((folder / CONFIG).read_text())["studies"]["scale"]
    hot = {"tasks": ["chest"], "backbones": ["r14w16"], "upstreams": ["none"], "recipes": ["hot"], "seeds": [0]}
    arms = {**study["arms"], "schedule": [hot]}
    configured(folder, "hot.yaml", recipes={"hot": {"learning_rate": 1e9}}, studies={"scale": {**study, "arms": arms}})
    good, bad = [cell("rule", 0), cell("rule", 1)], cell("hot", 0)
    targets = [predictions(name) for name in (*good, bad)]
    before = {job.number for job in slurm.jobs()}
    with session(folder, slurm, targets=targets) as process:
        assert ended(process, folder) != 0, said(folder)
    assert_same(folder, reference, good)
    assert "The loss of step" in said(folder) and "Lower the learning rate" in said(folder)
    assert json.loads((scratch(folder, bad) / "outcome.json").read_text())["status"] == "failed"
    jobs = [job for job in slurm.jobs() if job.number not in before]
    assert [job.state for job in jobs] == ["COMPLETED"]
    with session(folder, slurm, targets=targets) as process:
        assert ended(process, folder) != 0, said(folder)
    assert "The loss of step" in said(folder)
    assert [job for job in slurm.jobs() if job.number not in before] == jobs


def test_an_audit_trains_its_sample_in_jobs_of_the_cluster(reference: Path, slurm: Cluster, tmp_path: Path) -> None:
    folder = with_slurm(clone(tmp_path), CONFIG)
    shutil.copytree(reference / "results", folder / "results", copy_function=shutil.copy2)
    status, text = run(folder, config=CONFIG, targets=["freeze"])
    assert status == 0, text
    before = {job.number for job in slurm.jobs()}
    drawn = "audit={runs: 2, seed: 7, start: images}"
    with session(folder, slurm, "--config", drawn, targets=["audit"]) as process:
        assert ended(process, folder) == 0, said(folder)
    assert "2 of 2 drawn runs were trained again, all of them bit-identical to the record" in said(folder)
    jobs = [job for job in slurm.jobs() if job.number not in before]
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert sum("finetune" in job.comment for job in jobs) == 2


def test_with_accounting_a_job_that_failed_is_told_and_tried_with_more_memory(reference: Path, tmp_path: Path) -> None:
    folder = with_slurm(with_data(reference, tmp_path), CONFIG, account="lab")
    starve = "batch.chest.r14w16.none.0:mem_mb=250 if attempt == 1 else 2000"
    with private_slurm(accounting=True) as slurm:
        targets = [predictions(name) for name in SHORT[:2]]
        with session(folder, slurm, "--set-resources", starve, targets=targets) as process:
            assert ended(process, folder) == 0, said(folder)
        form = ("--allocations", "--noheader", "--parsable2", "--format=Account,State")
        assert slurm.call("sacct", *form).split() == ["lab|FAILED", "lab|COMPLETED"]
    assert "SLURM status is: 'FAILED'. Reason" in said(folder), "that is what the plugin says when it has asked sacct"
    assert_same(folder, reference, SHORT[:2])
