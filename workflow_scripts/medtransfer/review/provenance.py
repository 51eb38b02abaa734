"""Where the runs of a tier come from: their records, and those of the networks that they start from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from medtransfer import plan
from medtransfer.config import NO_UPSTREAM, Finetuned
from medtransfer.runs import Run


class Record(NamedTuple):
    """What was recorded of a run, or of a network that was pre-trained here."""

    content: dict[str, Any]
    outputs: dict[str, str]
    """SHA-256 of what it made: predictions and validation of a run, weights of a network."""


class Network(NamedTuple):
    """A backbone with the weights of an upstream."""

    upstream: str
    backbone: str

    @property
    def path(self) -> str:
        """What it is called, as a folder and a file."""
        return f"{self.upstream}/{self.backbone}"

    def __str__(self) -> str:
        return f"{self.backbone}, pre-trained on {self.upstream}"


Origin = Run | Network
"""What the weights that a run starts from are those of."""


@dataclass(frozen=True)
class Provenance:
    """The records of a tier.

    Attributes:
        runs: Those of runs.
        networks: Those of networks pre-trained here.
        upstreams: The configuration's upstreams by name, as plain values.
    """

    runs: Mapping[Run, Record]
    networks: Mapping[Network, Record]
    upstreams: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path, upstreams: Mapping[str, Mapping[str, Any]]) -> "Provenance":
        """Read the table of records (provenance.parquet)."""
        runs, networks = {}, {}
        for row in pd.read_parquet(path).to_dict("records"):
            made = {name: row[name] for name in ("predictions", "validation", "weights") if row[name]}
            record = Record(json.loads(row["record"]), made)
            if row["what"] == "run":
                runs[Run.of(row)] = record
            else:
                networks[Network(row["upstream"], row["backbone"])] = record
        return cls(runs, networks, upstreams)

    def origin(self, run: Run) -> Origin | None:
        """What a run starts from; None is random weights."""
        if run.upstream == NO_UPSTREAM:
            return None
        upstream = self.upstreams.get(run.upstream, {})
        if upstream.get("source") == "finetuned":
            return plan.origin(Finetuned.model_validate(upstream), run.backbone, run.seed)
        return Network(run.upstream, run.backbone)

    def origins(self, runs: Iterable[Run]) -> list[Origin]:
        """What some runs start from, and what that started from in its turn: each once, those nearest to them first."""
        found = list(dict.fromkeys(origin for run in runs if (origin := self.origin(run)) is not None))
        further = self.origins(each for each in found if isinstance(each, Run)) if found else []
        return list(dict.fromkeys([*found, *further]))

    def record(self, of: Origin) -> Record | None:
        """The record of a run or network; None if there is none."""
        return self.runs.get(of) if isinstance(of, Run) else self.networks.get(of)
