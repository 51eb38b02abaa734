"""Freeze the results of a tier: what its figures, tables and claims can be made from anywhere."""

from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.logs import step_log
from medtransfer.review.freeze import freeze

if TYPE_CHECKING:
    from snakemake.script import snakemake


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params, folder = snakemake.params, Path(snakemake.params.folder)
        freeze(Path(params.results), folder, params.tier, params.config, params.cohorts, params.groups, params.derived)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"Frozen: {folder}, {size / 1e6:.1f} MB. To use it: snakemake report --config results=frozen")
        if params.restricted:
            print(
                f"It holds ids, labels and predictions of patients of {', '.join(params.restricted)}: pass it on only "
                "as their agreements allow; config/datasets/ names them."
            )
