"""Which version of the code results were made with."""

from pathlib import Path
from typing import Any

import yaml

from medtransfer.review.freeze import code_version
from medtransfer.review.frozen import Frozen

CITATION = Path(__file__).parents[3] / "CITATION.cff"


def read_citation(path: Path | str = CITATION) -> dict[str, Any]:
    """What CITATION.cff says of this artifact."""
    content: dict[str, Any] = yaml.safe_load(Path(path).read_text())
    return content


def describe_code(frozen: str | None) -> str:
    """The code in words: that which froze results, or, of fresh ones (None), that of this folder as it is now."""
    if frozen is None:
        return f"version {read_citation()['version']}, {_commit(code_version())}, as it is in this folder now"
    return f"{_commit(Frozen.open(frozen).code)}, when these results were frozen"


def _commit(code: dict[str, Any]) -> str:
    if not code["commit"]:
        return "commit unknown"
    return f"commit {code['commit']}{' with changes' if code['modified'] else ''}"
