"""Planning: `snakemake --dry-run` of a configuration with 5,000 runs."""

import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from tests.conftest import ROOT

ROUNDS = 3


def main() -> None:
    """Print the median seconds of planning everything that the figures need, from nothing."""
    content = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    task, upstream = content["tasks"]["chest5"], content["upstreams"]["scenes-large"]
    content["tier"] = "bench"
    content["tasks"] = {f"task{number}": task for number in range(5)}
    content["upstreams"] = {f"upstream{number}": upstream for number in range(3)}
    grid = {
        "tasks": list(content["tasks"]),
        "backbones": ["r14w16", "r14w32", "r14w64", "r26w32", "r26w64"],
        "upstreams": ["none", *content["upstreams"]],
        "fractions": [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0],
        "seeds": [0, 1, 2, 3, 4],
    }
    roles = {"small": "r14w16", "large": "r26w64", "none": "none", "narrow": "upstream0", "broad": "upstream1"}
    content["studies"] = {"scale": {"roles": roles, "arms": {"scale": [grid]}}}
    n_runs = math.prod(len(values) for values in grid.values())
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
