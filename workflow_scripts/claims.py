"""Judge the claims of all studies: a tested contrast, its interval and a verdict for each."""

import sys
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.claims.cells import Study
from medtransfer.claims.verdict import judge, read_claims
from medtransfer.files import write_csv
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(claims: str, runs: str, metrics: str, replicates: str, studies: list[Study], seed: int, verdicts: str) -> None:
    """Write the verdicts.

    Args:
        claims: The claims and their contrasts.
        runs: The run table.
        metrics: The results table.
        replicates: The bootstrap replicates.
        studies: For each study its `name`, `tasks`, `roles`, `confidence` and `note`.
        seed: Seed of the bootstrap over seeds.
        verdicts: The table to write.
    """
    declared = read_claims(claims)
    tables = pd.read_csv(runs, keep_default_na=False), pd.read_parquet(metrics), pd.read_parquet(replicates)
    table = pd.concat([judge(declared, *tables, study=study, seed=seed) for study in studies], ignore_index=True)
    write_csv(table, verdicts)
    for row in table[table["task"] == "all"].itertuples():
        print(f"{row.claim}: {row.verdict}", file=sys.stderr)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.input.claims,
            snakemake.input.runs,
            snakemake.input.metrics,
            snakemake.input.replicates,
            snakemake.params.studies,
            snakemake.params.metrics["seed"],
            snakemake.output[0],
        )
