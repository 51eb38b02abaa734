"""Whether a frozen record is whole, agrees with the configuration in force, and does not contradict itself."""

from collections.abc import Iterable, Mapping

from medtransfer.config import Config
from medtransfer.errors import UserError
from medtransfer.review.checks import RECORD, Check, found
from medtransfer.review.frozen import Frozen
from medtransfer.review.provenance import Record
from medtransfer.review.verify_settings import config_rows
from medtransfer.runs import Run


def require(frozen: Frozen, records: Mapping[Run, Record], runs: Iterable[Run]) -> None:
    """Make sure, before anything is trained, that there is something to compare with.

    Raises:
        UserError: A file is not as it was frozen, or the record lacks something of these runs.
    """
    frozen.check()
    for run in runs:
        if run not in records:
            raise UserError(f"{frozen.path('provenance.parquet')} holds no record of {run.path}.")
        frozen.predictions(run)
        frozen.validation(run)


def audit_record(frozen: Frozen, records: Mapping[Run, Record], config: Config) -> list[Check]:
    """Check the configuration, and what runs say that were made from the same."""
    other = [
        f"{row.quantity} was {row.expected or 'absent'}, is {row.observed or 'absent'}"
        for row in config_rows(frozen.path("config.yaml"), config)
        if not row.passes
    ]
    return [found(RECORD, "config.yaml", "is the configuration in force", 1, other), shared_check(records)]


def shared_check(records: Mapping[Run, Record]) -> Check:
    """Runs of one task, budget and seed were trained on the same patients; runs of one task saw the same cohorts."""
    first: dict[tuple, tuple[str, str]] = {}
    problems = []
    for run, record in records.items():
        inputs = record.content["inputs"]
        told: dict[tuple, str] = {("subset", run.task, run.budget, run.seed): inputs["subset"]}
        told |= {("cohort", name): digest for name, digest in inputs["cohorts"].items()}
        size = record.content["resolution"]["resize"]
        told |= {("images", name, size): digest for name, digest in inputs["images"].items()}
        for what, digest in told.items():
            known, whose = first.setdefault(what, (digest, run.path))
            if digest != known:
                problems.append(f"{run.path} was made from another {' '.join(map(str, what))} than {whose}")
    return found(RECORD, "all runs", "made from the same data", len(records), problems)
