"""Readers of public datasets: one module per dataset, each turning raw files into a cohort table.

A module is found by its name; those that begin with an underscore, `base` and `card` are what readers share. This file
is read whenever the Snakefile is parsed and imports no reader by itself.
"""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING

from medtransfer.errors import UserError

if TYPE_CHECKING:
    from medtransfer.datasets.base import Reading


SHARED = ("base", "card")  # modules here that are no readers


def known_datasets() -> list[str]:
    """Names of the datasets that have a reader, without importing any."""
    modules = iter_modules(__path__)
    return sorted(module.name for module in modules if not module.name.startswith("_") and module.name not in SHARED)


def reader(dataset: str) -> ModuleType:
    """The module that reads a dataset: `LABELS`, `CHANNELS` and `read(raw) -> Reading`.

    A module may also have `PREPARATION` (see `imaging.prepare`; none by default) and `POLICIES`: for each keyword that
    its `read` takes the choices, the default first.

    Raises UserError for an unknown dataset.
    """
    if dataset not in known_datasets():
        raise UserError(f"There is no reader for the dataset '{dataset}'. Known: {', '.join(known_datasets())}.")
    return import_module(f"medtransfer.datasets.{dataset}")


def read(name: str, raw: Path, policies: dict[str, str]) -> "Reading":
    """Read a raw folder with the reader `name`, which takes the decisions that `policies` names.

    Raises UserError for a policy or choice that the reader does not have, and what the reader raises.
    """
    module = reader(name)
    choices: dict[str, tuple[str, ...]] = getattr(module, "POLICIES", {})
    for policy, choice in policies.items():
        if choice not in choices.get(policy, ()):
            known = "; ".join(f"{key}: {' or '.join(values)}" for key, values in choices.items()) or "none"
            raise UserError(f"The reader {name} has no policy {policy}: {choice}. It has: {known}.")
    reading: Reading = module.read(raw, **policies)
    return reading
