"""Where the numbers of a tier come from: the record of every run and network, and digests of what they predicted."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from medtransfer.files import file_digest
from medtransfer.review.digest import digest
from medtransfer.runs import KEYS, Run

COLUMNS = ["what", *KEYS, "record", "predictions", "validation", "weights"]
"""A `run`, or an `upstream`, a network that was pre-trained here."""


def records(runs: Iterable[Run], results: Path, networks: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """A row for each run and each network pre-trained here.

    Args:
        runs: The runs.
        results: Folder of the tier's results.
        networks: Upstream and backbone of the networks.

    Returns:
        what, the keys ("" and -1 where a network has none), `record` (JSON), the digests of predictions and of
        validation logits of a run, SHA-256 of the weights of a network.
    """
    rows = [_of_run(run, results / "runs" / run.path) for run in runs]
    rows += [_of_network(*network, results / "upstream") for network in networks]
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_run(run: Run, folder: Path) -> dict[str, Any]:
    return {
        "what": "run",
        **run.keys,
        "record": (folder / "run.json").read_text(),
        "predictions": digest(pd.read_parquet(folder / "predictions.parquet")),
        "validation": digest(pd.read_parquet(folder / "validation.parquet")),
        "weights": "",
    }


def _of_network(upstream: str, backbone: str, folder: Path) -> dict[str, Any]:
    return {
        "what": "upstream",
        **dict.fromkeys(KEYS, ""),
        "seed": -1,
        "upstream": upstream,
        "backbone": backbone,
        "record": (folder / upstream / f"{backbone}.json").read_text(),
        "predictions": "",
        "validation": "",
        "weights": file_digest(folder / upstream / f"{backbone}.safetensors"),
    }
