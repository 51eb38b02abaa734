"""Regenerated results against frozen ones, run by run and claim by claim."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from yaml import YAMLError

from medtransfer.config import Config
from medtransfer.errors import UserError
from medtransfer.review import verify_claims, verify_metrics
from medtransfer.review.frozen import PREDICTIONS, VALIDATION, Frozen
from medtransfer.review.provenance import Provenance
from medtransfer.review.tolerance import FAMILY_ERROR, between_seeds, level_of_each, share_within
from medtransfer.review.verify_metrics import POOL, QUANTITY, Context
from medtransfer.review.verify_predictions import (
    Standard,
    frozen_rows,
    network_rows,
    regenerated_rows,
    same_images,
    standard,
)
from medtransfer.review.verify_rows import Level, Row, Verdict, same
from medtransfer.review.verify_settings import config_rows, record_rows, weight_rows
from medtransfer.runs import KEYS, Run, run_table

FACTORS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Side:
    """The tables of frozen or of regenerated results."""

    metrics: pd.DataFrame
    claims: pd.DataFrame
    completeness: pd.DataFrame
    provenance: Provenance

    @classmethod
    def read(cls, folder: Path, config: Config) -> "Side":
        upstreams = {name: upstream.model_dump() for name, upstream in config.upstreams.items()}
        return cls(
            pd.read_parquet(folder / "metrics.parquet"),
            pd.read_csv(folder / "claims.csv"),
            pd.read_csv(folder / "completeness.csv", keep_default_na=False),
            Provenance.read(folder / "provenance.parquet", upstreams),
        )


class Moved(NamedTuple):
    """What becomes of the verdict as every tolerance is multiplied by a factor."""

    factor: float
    within: float
    """Share of the numbers compared."""
    expected: float
    """The share that chance alone leaves."""
    passes: bool


@dataclass(frozen=True)
class Verification:
    """What was compared, by which standard, and what came out.

    Attributes:
        rows: All comparisons.
        standards: Of each run whether its bits are promised; None where frozen predictions were measured again.
        level: Error of one comparison by chance, were all numbers that are told judged by chance.
        seeds: How many pairs of frozen seeds differ by more than chance does with FAMILY_ERROR, how many by more than
            with `level`, and how many pairs there are.
    """

    rows: list[Row]
    standards: dict[Run, Standard] | None
    level: float
    seeds: tuple[int, int, int]

    @property
    def failing(self) -> list[Row]:
        """What deviates, is missing or is too much."""
        return [row for row in self.rows if not row.passes]

    @property
    def moved(self) -> list[Moved]:
        """The verdict at half, once and twice the tolerances."""
        return [_moved(self.rows, self.level, factor) for factor in FACTORS]


def verify(frozen: Frozen, results: Path, config: Config, remeasured: bool) -> Verification:
    """Compare regenerated results with frozen ones.

    Args:
        frozen: What they are compared with.
        results: Folder of the regenerated results.
        config: The configuration in force.
        remeasured: Whether they were measured from the frozen predictions, and no run was repeated.
    """
    rows = file_rows(frozen)
    rows += _guarded("config", lambda: config_rows(frozen.path("config.yaml"), config))
    try:
        old, new = Side.read(frozen.folder, config), Side.read(results, config)
    except (OSError, ValueError, KeyError) as error:
        return Verification([*rows, _unreadable("completeness", error)], None, FAMILY_ERROR, (0, 0, 0))
    rows += _guarded("record", lambda: record_rows(old.provenance, config))
    rows += _guarded("record", lambda: weight_rows(old.provenance, "frozen"))
    if not remeasured:
        rows += _guarded("record", lambda: weight_rows(new.provenance, "regenerated", results))
    rows += _guarded("completeness", lambda: presence_rows(frozen, old, new, config))
    rows += _guarded("predictions", lambda: frozen_rows(frozen, old.provenance))
    held = None
    if not remeasured:
        rows += _guarded("predictions", lambda: network_rows(old.provenance, new.provenance))
        both = [run for run in old.provenance.runs if run in new.provenance.runs]
        held = {run: standard(old.provenance.runs[run], new.provenance.runs[run]) for run in both}
    try:
        return _measured(frozen, results, config, old, new, rows, held)
    except (UserError, OSError, ValueError, KeyError) as error:
        return Verification([*rows, _unreadable("metrics", error)], held, FAMILY_ERROR, (0, 0, 0))


def file_rows(frozen: Frozen) -> list[Row]:
    """A row for each frozen file that is not as it was frozen; one row if there is none."""
    verdicts: dict[str, Verdict] = {"is missing": "missing", "was added": "extra", "was changed": "deviates"}
    rows = [Row("file", path, "SHA-256", "as frozen", what, verdicts[what]) for path, what in frozen.problems().items()]
    return rows or [same("file", str(frozen.folder), "SHA-256 of all files", len(frozen.files), len(frozen.files))]


def _measured(
    frozen: Frozen,
    results: Path,
    config: Config,
    old: Side,
    new: Side,
    rows: list[Row],
    held: dict[Run, Standard] | None,
) -> Verification:
    """All that is measured, after what it was measured on."""
    runs = list(old.provenance.runs if held is None else held)
    one, other = ({run: record.outputs for run, record in side.provenance.runs.items()} for side in (old, new))
    differ = [run for run in held or () if one[run]["predictions"] != other[run]["predictions"]]
    images = same_images(frozen, results, differ)
    context = Context.of(config, {run.path for run in runs} - {run.path for run in differ}, images)
    pairs = verify_metrics.paired(old.metrics, new.metrics)
    pairs = pairs[pairs["run"].isin({run.path for run in runs})]
    chance = verify_metrics.chance_pairs(pairs, context)
    claims = verify_claims.paired(old.claims, new.claims)
    level = level_of_each(int(pairs["told"].sum()) + verify_claims.comparisons(claims) + 1)
    by_chance = verify_metrics.chance_rows(chance, old.metrics, context, level)
    if held is not None:
        far = {row.subject for row in by_chance if not row.passes}
        rows += regenerated_rows(old.provenance, new.provenance, held, far)
    rows += verify_metrics.bit_rows(pairs, context) + by_chance
    rows += verify_claims.claim_rows(claims, held is None or one == other, context.confidence, level)
    values = verify_metrics.told_values(old.metrics, context)
    usual, narrow = (between_seeds(values, QUANTITY, POOL, share) for share in (FAMILY_ERROR, level))
    return Verification(rows, held, level, (usual[0], narrow[0], usual[1]))


def presence_rows(frozen: Frozen, old: Side, new: Side, config: Config) -> list[Row]:
    """Every run that some table has, or that the configuration asks for, and the tables that lack it."""
    asked = run_table(config.studies, config.trials)
    places: dict[str, set[Run]] = {"frozen completeness.csv": set(frozen.runs()), "the configuration": set(asked)}
    for kind in (PREDICTIONS, VALIDATION):
        tables = [path for path in frozen.path(kind).glob("*.parquet") if not path.name.endswith(".images.parquet")]
        places[f"frozen {kind}/"] = {run for path in tables for run in _runs(pd.read_parquet(path, columns=list(KEYS)))}
    for name_of, side in (("frozen", old), ("regenerated", new)):
        places[f"{name_of} metrics.parquet"] = _runs(side.metrics)
        places[f"{name_of} provenance.parquet"] = set(side.provenance.runs)
    places["regenerated completeness.csv"] = _runs(new.completeness[new.completeness["status"] == "present"])
    known = set.union(*places.values())
    rows = []
    for run in sorted(known, key=lambda run: run.path):
        if lacking := [place for place, runs in places.items() if run not in runs]:
            missing = run in places["frozen completeness.csv"]
            verdict: Verdict = "missing" if missing else "extra"
            have = [place for place in places if place not in lacking]
            rows.append(
                Row(
                    "completeness",
                    run.path,
                    "run",
                    "everywhere" if missing else "nowhere",
                    f"in {', '.join(have)}",
                    verdict,
                    reason=f"not in {', '.join(lacking)}",
                )
            )
    return rows or [same("completeness", "all runs", "runs", len(known), len(known))]


def _runs(table: pd.DataFrame) -> set[Run]:
    return {Run.of(row) for row in table[list(KEYS)].drop_duplicates().to_dict("records")}


def _guarded(level: Level, compare: Callable[[], Iterable[Row]]) -> list[Row]:
    """What cannot be compared, since a file or a record is broken, is a row of its own."""
    try:
        return list(compare())
    except (UserError, OSError, ValueError, KeyError, YAMLError) as error:
        return [_unreadable(level, error)]


def _unreadable(level: Level, error: Exception) -> Row:
    return Row(level, "all", "can be compared", "yes", "no", "deviates", reason=f"{type(error).__name__}: {error}")


def _moved(rows: list[Row], level: float, factor: float) -> Moved:
    numbers = [row for row in rows if not math.isnan(row.difference + row.tolerance)]
    within = [row.difference <= factor * row.tolerance for row in numbers]
    chance = [1.0 if math.isnan(row.freedom) else share_within(factor, level, row.freedom) for row in numbers]
    passes = all(within) and all(row.passes for row in rows if math.isnan(row.difference + row.tolerance))
    return Moved(factor, _mean(within), _mean(chance), passes)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0
