"""Compare what finished training jobs took with the cost table, and write that table with what was measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from medtransfer.compute.costs import CPU, load_costs
from medtransfer.compute.forecast import Job
from medtransfer.compute.measured import comparison, device_name, measurements, recalibrated, text
from medtransfer.files import write_text
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake

TRAINING = {"pretrain", "finetune"}


def main(records: list[dict[str, Any]], costs_path: str, path: str) -> None:
    """Print measured against expected rates and memory, and write the cost table with the measured rates in it.

    Args:
        records: The jobs of the tier, each a `Job`; the training jobs among them are looked at.
        costs_path: The cost table that the tier has used.
        path: The cost table to write.
    """
    costs = load_costs(Path(costs_path))
    measured = measurements(job for job in (Job(**record) for record in records) if job.rule in TRAINING)
    print(text(comparison(measured, costs)))
    table = recalibrated(costs, measured)
    heading = (
        f"# {costs_path} with what finished training jobs of this tier took; what its numbers mean stands there.\n"
    )
    write_text(heading + yaml.safe_dump(table.model_dump(), sort_keys=False, allow_unicode=True), path)
    print(f"\nWritten to {path}. The key `costs: {path}` of a tier makes its requests rest on it.")
    for title in measured["device"].unique():
        name = device_name(title, costs)
        if name not in {CPU, costs.device}:
            print(f"It makes requests for {costs.device}; for {title}, set `device: {name}` and that GPU's memory_gb.")


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params = snakemake.params
        main(params.jobs, params.costs, params.table)
