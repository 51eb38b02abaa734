"""Decode damaged files for a while, and count what happens.

    PYTHONPATH=workflow_scripts python -m tests.fuzz --minutes 60 --seed 0 [--corpus FOLDER] [--out FOLDER]

A damaged file is decoded or refused with a reason; it must not raise anything else, kill the process or keep it busy.
Files are decoded by another process, of limited memory, which is started anew when it dies or hangs; the files that did
this are kept. Exits with 1 where there were any.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from tests.fuzz.decoder import HARM, Decoder
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import seeds

LARGEST_SEED = 2**20  # bytes; larger files of a corpus would only make fewer mutations


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=str(__doc__).splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="folder of further files to start from")
    parser.add_argument("--out", type=Path, default=Path("fuzz"), help="where files that did harm are kept")
    options = parser.parse_args()

    started = time.monotonic()
    files = list({**seeds(), **_corpus(options.corpus)}.values())
    generator, outcomes, number, decoder = np.random.default_rng(options.seed), Counter[str](), 0, Decoder()
    while time.monotonic() - started < 60 * options.minutes:
        seed, other = generator.integers(len(files), size=2)
        content = mutate(files[seed], files[other], generator)
        outcome = decoder.outcome(content)
        outcomes[outcome] += 1
        if outcome in HARM:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{options.seed}-{number}-{outcome.split()[0]}").write_bytes(content)
        number += 1
    decoder.stop()
    rate = number / (time.monotonic() - started)
    print(f"{number:,} damaged files of {len(files)} seeds, {rate:.0f}/s: {dict(outcomes.most_common())}")
    return int(any(outcomes[outcome] for outcome in HARM))


def _corpus(folder: Path | None) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    return {str(path): path.read_bytes() for path in paths if path.stat().st_size <= LARGEST_SEED}


if __name__ == "__main__":
    sys.exit(main())
