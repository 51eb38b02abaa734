"""What a run costs beyond its training: the same 60 short runs here and on a SLURM, with a job for each and in batches.

Needs the packages slurm-wlm and munge, and root; takes a quarter of an hour. Not part of `make bench`, hence:

    PYTHONPATH=workflow_scripts python -m tests.bench.overhead
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from tests.conftest import ROOT
from tests.slurm.cluster import cluster
from tests.test_workflow import clone, environment

RUNS, CORES = 60, 2


def main() -> None:
    """Print for each of four ways the wall time, and seconds per run beyond training."""
    # The cluster's folder must be open to all, as the parents of its sockets.
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as place:
        folder = clone(Path(name))
        shutil.copytree(ROOT / "slurm", folder / "slurm")
        prepared = _configuration(folder, batch_minutes=0.0)
        subsets = [f"results/cluster/subsets/chest/pct100/seed{seed}.parquet" for seed in range(RUNS)]
        here = ["--cores", str(CORES), "--configfile", prepared]
        _snakemake(folder, environment(folder), *here, "--", *subsets, "results/cluster/images/chexpert-32.npy")
        with cluster(Path(place)) as slurm:
            for where in ("here", "SLURM"):
                for batch_minutes in (0.0, 2.0):
                    configuration = _configuration(folder, batch_minutes)
                    local = ["--cores", str(CORES), "--configfile", configuration]
                    options = local if where == "here" else ["--profile", "slurm", "--configfile", configuration]
                    environ = environment(folder) if where == "here" else {**slurm.env, "HOME": str(folder)}
                    _report(folder, f"{where}, batches of {batch_minutes:g} minutes", environ, options)


def _configuration(folder: Path, batch_minutes: float) -> str:
    content = yaml.safe_load((ROOT / "tests/config/cluster.yaml").read_text())
    grid = {"tasks": ["chest"], "backbones": ["r14w16"], "upstreams": ["none"], "seeds": list(range(RUNS))}
    study = next(iter(content["studies"].values()))
    study["arms"] = {"scale": [grid]}
    content["training"] = {"batch_minutes": batch_minutes}
    (folder / "overhead.yaml").write_text(yaml.safe_dump(content))
    (folder / "slurm" / "site.yaml").write_text("{partition: gpu, poll_seconds: 2}\n")
    return "overhead.yaml"


def _report(folder: Path, title: str, environ: dict[str, str], options: list[str]) -> None:
    results = folder / "results" / "cluster"
    for made in ("runs", "scratch"):
        shutil.rmtree(results / made, ignore_errors=True)
    runs = f"{results.relative_to(folder)}/runs/chest/r14w16/none/random/rule/pct100"
    targets = [f"{runs}/seed{seed}/predictions.parquet" for seed in range(RUNS)]
    started = time.perf_counter()
    _snakemake(folder, environ, *options, "--", *targets)
    wall = time.perf_counter() - started
    records = [json.loads((folder / runs / f"seed{seed}" / "run.json").read_text()) for seed in range(RUNS)]
    training = np.mean([sum(record["seconds"].values()) for record in records])
    print(
        f"{title}: {wall:.0f} s; {training:.2f} s of work a run, {CORES * wall / RUNS - training:.2f} s beyond that",
        flush=True,
    )


def _snakemake(folder: Path, environ: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "snakemake", "--quiet", "all", *arguments]
    subprocess.run(command, cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
