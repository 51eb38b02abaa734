"""What sbatch is told for the runs of the paper tier: the golden table, and jobs that are really handed to an `sbatch`.

When requests change on purpose (cost table, configuration, rules), write the table anew and look at what changed:
python -m tests.test_submission
"""

import argparse
import csv
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from tests.conftest import ROOT
from tests.test_workflow import clone, environment

GOLDEN = ROOT / "tests" / "golden" / "sbatch.csv"
SITE = {"account": "lab", "partition": "cpu", "gpu_partition": "gpu", "gpu_model": "a100", "poll_seconds": 1}
ATTEMPTS = (1, 2, 3)
TOLD = ("-A", "-p", "-C", "-t", "--qos", "--mem", "--nodes", "--ntasks", "--cpus-per-task", "--gpus", "--gres")
"""Options of sbatch that say what is asked for."""
SECONDS = 120

# Asks the real rules, under the real profile, and lets the plugin make the command.
ASK = """
include: "Snakefile"

import csv
from functools import cache
from types import SimpleNamespace

from medtransfer.files import atomic
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string


def command(rule, keys, attempt):
    asked = asks(rule, keys, attempt)
    job = SimpleNamespace(resources=asked, threads=asked["_cores"])
    of_executor = dict(
        run_uuid="", slurm_logfile="", comment_str="", workdir="",
        account=f"-A {asked.slurm_account}", partition=f"-p {asked.slurm_partition}",
    )
    return get_submit_command(job, of_executor) + set_gres_string(job)


@cache
def write():
    with atomic("commands.csv") as path, path.open("w", newline="") as file:
        rows = csv.writer(file)
        for run, work in WORKS.items():
            keys = {key: str(getattr(run, key)) for key in KEYS}
            asked = [command("finetune", keys, attempt) for attempt in (1, 2, 3)]
            rows.writerow([run.backbone, work.crop, run.path, *asked])


def commands(wildcards):
    write()
    return []


rule ask:
    localrule: True
    params: commands
    shell: "true"
"""
# Stands for every command of SLURM that Snakemake calls. It notes what is submitted and refuses it, so that Snakemake
# tries again at once.
SLURM = """#!{python}
import json, sys
from pathlib import Path

name = Path(sys.argv[0]).name
if name == "sbatch":
    with open("{folder}/submitted.jsonl", "a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\\n")
    sys.exit("sbatch: error: Batch job submission failed")
elif name == "scontrol":
    print("AccountingStorageType = accounting_storage/none\\nMinJobAge = 300 sec")
elif name == "sacctmgr":
    print("lab")
"""


def told(command: list[str]) -> str:
    """What an sbatch command asks for: its options as text, in a fixed order, without names and paths."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for option in TOLD:
        parser.add_argument(option)
    found, _ = parser.parse_known_args(command)
    return " ".join(f"{option} {value}" for option, value in zip(TOLD, vars(found).values(), strict=True) if value)


def cluster(folder: Path) -> dict[str, str]:
    """A clone of the workflow with a site of its own, and the environment that has the commands of SLURM."""
    clone(folder)
    shutil.copytree(ROOT / "slurm", folder / "slurm", ignore=shutil.ignore_patterns("site.yaml"), dirs_exist_ok=True)
    (folder / "slurm" / "site.yaml").write_text(yaml.safe_dump(SITE))
    (folder / "bin").mkdir()
    for name in ("sbatch", "squeue", "scontrol", "sacctmgr", "sinfo", "scancel"):
        (folder / "bin" / name).write_text(SLURM.format(python=sys.executable, folder=folder))
        (folder / "bin" / name).chmod(0o755)
    variables = environment(folder)
    return {**variables, "PATH": f"{folder / 'bin'}:{variables['PATH']}"}


@contextmanager
def snakemake(folder: Path, *arguments: str) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Run Snakemake with the profile; what is yielded waits until something is so. It is killed in the end: it would
    stay for a while, since it looks at its jobs no sooner than after 40 seconds."""
    command, environment = [sys.executable, "-m", "snakemake", "--profile", "slurm", *arguments], cluster(folder)
    with (folder / "snakemake.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)

    def until(happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not happened():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "snakemake.log").read_text()
            time.sleep(0.1)

    try:
        yield until
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def rows(folder: Path) -> Iterator[dict[str, str]]:
    """The golden table: a row for each distinct request and attempt, with an example and the number of its runs."""
    (folder / "ask.smk").write_text(ASK)
    with snakemake(folder, "--snakefile", "ask.smk", "--", "ask") as until:
        until((folder / "commands.csv").exists)
    kinds: dict[tuple[str, ...], list[str]] = {}
    with (folder / "commands.csv").open(newline="") as file:
        for backbone, pixels, name, *commands in csv.reader(file):
            kind = (backbone, pixels, *(told(shlex.split(command)) for command in commands))
            kinds.setdefault(kind, []).append(name)
    for (backbone, pixels, *requests), names in kinds.items():
        for attempt, request in zip(ATTEMPTS, requests, strict=True):
            yield {
                "backbone": backbone,
                "pixels": pixels,
                "jobs": str(len(names)),
                "such_as": names[0],
                "attempt": str(attempt),
                "sbatch": request,
            }


def golden() -> list[dict[str, str]]:
    with GOLDEN.open(newline="") as file:
        return list(csv.DictReader(file))


def write(table: list[dict[str, str]]) -> None:
    with GOLDEN.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def test_sbatch_is_told_what_the_golden_table_has(tmp_path: Path) -> None:
    assert list(rows(tmp_path)) == golden(), (
        "What is asked of a cluster for the paper tier has changed. If that is meant, write the table anew, and look "
        "at what changed: python -m tests.test_submission"
    )


def asked(row: dict[str, str]) -> dict[str, str]:
    """Options and their values."""
    words = row["sbatch"].split()
    return dict(zip(words[::2], words[1::2], strict=True))


def test_the_golden_table_has_all_networks_and_sizes_and_asks_for_what_can_be_meant() -> None:
    gpus = {"r50x1": 1, "r101x1": 1, "r50x3": 1, "r101x3": 4, "r152x2": 4, "r152x4": 4}
    sizes = {(backbone, "480") for backbone in gpus} | {("r50x1", "224"), ("r152x4", "224")}
    assert {(row["backbone"], row["pixels"]) for row in golden()} == sizes
    for row in golden():
        found = asked(row)
        assert (found["-A"], found["-p"], found["--gpus"]) == ("lab", "gpu", f"a100:{gpus[row['backbone']]}"), row
        assert 0 < int(found["-t"]) <= 1440 and int(found["--mem"]) >= 4000 and int(found["--cpus-per-task"]) >= 4, row


def test_retries_ask_for_more() -> None:
    table = golden()
    for attempts in zip(table[::3], table[1::3], table[2::3], strict=True):
        minutes, memory = ([int(asked(row)[option]) for row in attempts] for option in ("-t", "--mem"))
        assert minutes == sorted(minutes) and memory == sorted(set(memory)), attempts[0]


def made_before(folder: Path, run: str) -> None:
    """What the workflow makes before a run of random weights is trained, as empty files."""
    task, *_, budget, seed = run.split("/")
    cohorts = ("chexpert", "mimic_cxr", "nih_cxr14", "padchest", "vindr_cxr")
    assert task == "chest5"
    for name in [
        *(f"cohorts/{cohort}.parquet" for cohort in cohorts),
        *(f"images/{cohort}-512.npy" for cohort in cohorts),
        f"subsets/{task}/{budget}/{seed}.parquet",
    ]:
        path = folder / "results" / "paper" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_jobs_are_submitted_as_the_golden_table_has_it_and_again_with_more(tmp_path: Path) -> None:
    runs = [f"chest5/{backbone}/none/random/rule/pct100/seed0" for backbone in ("r50x1", "r152x4")]
    expected = {run: [row["sbatch"] for row in golden() if row["such_as"] == run] for run in runs}
    assert all(len(each) == len(ATTEMPTS) for each in expected.values())
    for run in runs:
        made_before(tmp_path, run)
    noted = tmp_path / "submitted.jsonl"

    def submitted(run: str) -> list[list[str]]:
        commands = [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []
        comment = f"rule_finetune_wildcards_{run.replace('/seed', '/').replace('/', '_')}"
        return [command for command in commands if comment in command]

    with snakemake(tmp_path, "--", *(f"results/paper/scratch/{run}/outcome.json" for run in runs)) as until:
        until(lambda: all(len(submitted(run)) >= len(ATTEMPTS) for run in runs))
    for run in runs:
        assert [told(command) for command in submitted(run)[: len(ATTEMPTS)]] == expected[run]
        for command in submitted(run):
            assert "--requeue" in command and command[command.index("--job-name") + 1].startswith("medtransfer_")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        write(list(rows(Path(place))))
