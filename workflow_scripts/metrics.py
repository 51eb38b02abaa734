"""Metrics with patient-level intervals of one cell: the runs that differ by their seed alone."""

from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer import warm
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params, files = snakemake.params, snakemake.input
        warm.call(
            "medtransfer.metrics.cell:measure_cell",
            {
                "cell": dict(snakemake.wildcards.items()),
                "folders": dict(zip(params.seeds, [str(Path(file).parent) for file in files.predictions], strict=True)),
                "cohorts": dict(zip(params.cohort_names, files.cohorts, strict=True)),
                "task": params.task,
                "settings": params.metrics,
                "outputs": dict(snakemake.output.items()),
            },
            preload=["medtransfer.metrics.cell"],
        )
