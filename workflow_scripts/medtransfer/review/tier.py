"""A tier's results as questions about them need them: its tables, its records, its names."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from medtransfer.errors import UserError
from medtransfer.results import Study
from medtransfer.review.provenance import Provenance
from medtransfer.runs import Run


@dataclass(frozen=True)
class Tier:
    """A tier's results.

    Attributes:
        name: Of the tier.
        results: Their folder.
        frozen: Whether they were taken up from frozen results.
        configfile: The configuration that they are made with.
        studies: Axes and names of the tier's studies.
        upstreams: The configuration's upstreams by name, as plain values.
        code: Version of the code, in words.
    """

    name: str
    results: Path
    frozen: bool
    configfile: str
    studies: Sequence[Study]
    upstreams: Mapping[str, Mapping[str, Any]]
    code: str

    def file(self, name: str) -> Path:
        """A file of the results.

        Raises:
            UserError: It is not there.
        """
        if not (path := self.results / name).is_file():
            raise UserError(f"{path} is not there. This makes it:\n{self.command([str(path)])}")
        return path

    @property
    def trained(self) -> Path:
        """The folder of results that are trained, where these may be frozen ones."""
        return Path(f"results/{self.name}") if self.frozen else self.results

    def call(self, target: str) -> str:
        """How Snakemake is called for these results, up to where further `--config` values may follow."""
        return f"snakemake {target} --configfile {self.configfile} --config{' results=frozen' if self.frozen else ''}"

    def command(self, files: Iterable[str], anew: bool = False) -> str:
        """How some files are made, to be pasted into a terminal; `anew`: by training, even if these are frozen."""
        switch = " --config results=frozen" if self.frozen and not anew else ""
        start = f"    snakemake --configfile {self.configfile}{switch} --"
        return " \\\n".join([start, *(f"      {file}" for file in files)])

    @cached_property
    def provenance(self) -> Provenance:
        """The records."""
        return Provenance.read(self.file("provenance.parquet"), self.upstreams)

    @cached_property
    def runs(self) -> dict[Run, str]:
        """All runs that the configuration asks for, each with its status."""
        table = self.completeness
        runs = (replace(Run.of(row), arms=tuple(row["arms"].split())) for row in table.to_dict("records"))
        return dict(zip(runs, table["status"], strict=True))

    @cached_property
    def completeness(self) -> pd.DataFrame:
        """The table of all runs."""
        return pd.read_csv(self.file("completeness.csv"), keep_default_na=False)

    @cached_property
    def claims(self) -> pd.DataFrame:
        """The verdicts, all values as they stand in the file."""
        return pd.read_csv(self.file("claims.csv"), keep_default_na=False, dtype=str)

    @cached_property
    def shown(self) -> dict[str, Path]:
        """The CSVs of the figures and tables that were made, by their names."""
        return {
            path.stem: path for kind in ("figures", "tables") for path in sorted((self.results / kind).glob("*.csv"))
        }

    def study(self, name: str) -> Study:
        """The study that a figure or table belongs to, by whose name its own begins.

        Raises:
            UserError: There is none.
        """
        for study in self.studies:
            if name.startswith(f"{study['name']}_"):
                return study
        raise UserError(f"{name} belongs to none of the studies {', '.join(each['name'] for each in self.studies)}.")


def unknown(asked: str, kind: str, known: Iterable[str]) -> UserError:
    """What to raise for a name that nothing has: it says which names are like it."""
    known = list(dict.fromkeys(known))
    similar = difflib.get_close_matches(asked, known, n=5, cutoff=0.5) or known[:5]
    return UserError(
        f"There is no {kind} {asked!r}. "
        + (f"Like it: {', '.join(similar)}. " if similar else "There is none at all. ")
        + "`snakemake explain` without `of` says what can be asked."
    )
