"""Tell which datasets and weights are there, which were fetched, and which need a person."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.errors import UserError
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(acquired: Sequence[str]) -> str:
    """Summarise what became of each of them, as text: what went well first.

    Args:
        acquired: JSON files that `acquire_dataset` and `acquire_weights` wrote.

    Raises:
        UserError: Something failed; its message is the summary.
    """
    results = [json.loads(Path(path).read_text()) for path in acquired]
    parts = []
    for status in ("there", "fetched", "by hand", "failed"):
        messages = [f"{result['dataset']}: {result['message']}" for result in results if result["status"] == status]
        if messages:
            parts += [f"== {status}: {len(messages)} of {len(results)}", *messages]
    summary = "\n".join(parts) or "No dataset of this configuration has to be fetched."
    if any(result["status"] == "failed" for result in results):
        # What failed must be tried again by the next call, and these files would say that it is done.
        for path in acquired:
            Path(path).unlink()
        raise UserError(f"not everything could be fetched.\n{summary}")
    return summary


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        summary = main(snakemake.input)
        # Snakemake keeps temporary inputs of a target without output; yet the next call shall look again.
        for path in snakemake.input:
            Path(path).unlink()
        print(summary, file=sys.stderr)
        print(summary)
