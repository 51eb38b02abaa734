"""Write the run table: every run that the configuration asks for, once, with the arms of studies that use it."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from medtransfer.config import Study
from medtransfer.files import write_csv
from medtransfer.logs import step_log
from medtransfer.runs import KEYS, run_table

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(studies: dict[str, Any], trials: int, path: str) -> None:
    """Write the run table: the keys of each run, and the arms that use it, as <study>/<arm>, separated by spaces."""
    runs = run_table({name: Study.model_validate(settings) for name, settings in studies.items()}, trials)
    rows = [(*(getattr(run, key) for key in KEYS), " ".join(run.arms)) for run in runs]
    write_csv(pd.DataFrame(rows, columns=[*KEYS, "arms"]), path)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(snakemake.params.studies, snakemake.params.trials, snakemake.output[0])
