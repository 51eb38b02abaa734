"""Planning: `snakemake --dry-run` of a configuration with 5,000 runs."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from tests.conftest import ROOT

RUNS, ROUNDS = 5_000, 3


def main() -> None:
    """Print the median seconds of planning everything that the figures need, from nothing."""
    content = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    grid = content["studies"]["scale"]["grids"][0]
    content["tier"] = "bench"
    content["tasks"] = {f"{name}-{number}": task for number in range(5) for name, task in content["tasks"].items()}
    cells = len(content["tasks"]) * len(grid["backbones"]) * len(grid["upstreams"])
    fractions = [round(0.1 * (1 + number), 1) for number in range(10)]
    seeds = list(range(-(-RUNS // (cells * len(fractions)))))
    content["studies"]["scale"]["grids"] = [
        {**grid, "tasks": list(content["tasks"]), "fractions": fractions, "seeds": seeds}
    ]
    n_runs = cells * len(fractions) * len(seeds)
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "bench.yaml"
        config.write_text(yaml.safe_dump(content))
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--configfile", str(config)]
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            subprocess.run([*command, "--", "figures", "tables", "claims"], cwd=ROOT, check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
    print(f"dry run of {n_runs:,} runs: {np.median(seconds):.1f} s")


if __name__ == "__main__":
    main()
