"""Measure the primary metrics of frozen predictions."""

from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.logs import step_log
from medtransfer.review.thaw import thaw_primary

if TYPE_CHECKING:
    from snakemake.script import snakemake


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params = snakemake.params
        thaw_primary(
            str(Path(snakemake.input[0]).parent),
            params.cells,
            params.primary,
            params.tasks,
            params.metrics,
            dict(snakemake.output.items()),
        )
