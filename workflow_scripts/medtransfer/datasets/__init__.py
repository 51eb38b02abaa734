"""Readers of public datasets: one module per dataset, each turning raw files into a cohort table.

A module is found by its name; those that begin with an underscore, and `base`, are what readers share. This file is
read whenever the Snakefile is parsed and imports no reader by itself.
"""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from medtransfer.errors import UserError


def known_datasets() -> list[str]:
    """Names of the datasets that have a reader, without importing any."""
    modules = iter_modules(__path__)
    return sorted(module.name for module in modules if not module.name.startswith("_") and module.name != "base")


def reader(dataset: str) -> ModuleType:
    """The module that reads a dataset: constants `LABELS`, `CHANNELS` and `read(raw) -> Reading`.

    Raises UserError for an unknown dataset.
    """
    if dataset not in known_datasets():
        raise UserError(f"There is no reader for the dataset '{dataset}'. Known: {', '.join(known_datasets())}.")
    return import_module(f"medtransfer.datasets.{dataset}")


def missing_raw_message(card: dict[str, Any], raw: Path) -> str:
    """What to tell someone whose raw folder is not there, from the dataset's card."""
    files = "\n".join(f"  {file}" for file in card["layout"])
    return (
        f"{card['title']} was looked for in {raw}, which is not there.\n"
        f"Get it from {card['home']} ({card['access']}) and unpack it there as:\n{files}"
    )
