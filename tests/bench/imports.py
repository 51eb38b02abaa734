"""Jobs that share the process which made the imports, against jobs that import for themselves: seconds of each."""

import os
import subprocess
import sys
import time

import numpy as np

from tests.conftest import ROOT

ROUNDS = 7
JOB = (
    "from medtransfer import warm; "
    "warm.call('tests.bench.imports:work', {}, preload=['medtransfer.training.finetuning'])"
)


def work() -> None:
    """What a job does beside its imports: here, build a network."""
    from medtransfer.models.bit import build

    build("r14w16", 5, seed=0)


def main() -> None:
    """Print medians over rounds that alternate between the two; the shared process is started before the first."""
    _seconds("1")
    rounds = [(_seconds("1"), _seconds("0")) for _ in range(ROUNDS)]
    shared, alone = np.median(rounds, axis=0)
    print(f"a job of no training steps: {shared:.2f} s with shared imports, {alone:.2f} s with its own")


def _seconds(warm: str) -> float:
    paths = f"{ROOT / 'workflow_scripts'}:{ROOT}"
    environment = {**os.environ, "PYTHONPATH": paths, "MEDTRANSFER_WARM": warm, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", JOB], env=environment, cwd=ROOT, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
