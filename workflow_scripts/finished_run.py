"""Give the files of a finished run their place among the results, or say why it failed."""

from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.logs import step_log
from medtransfer.training.attempt import publish

if TYPE_CHECKING:
    from snakemake.script import snakemake


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        publish(Path(snakemake.input.outcome), [Path(file) for file in snakemake.output])
