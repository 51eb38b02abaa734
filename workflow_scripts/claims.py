"""Judge the claims of all studies: a tested contrast, its interval and a verdict for each."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.claims.schema import read_claims
from medtransfer.claims.verdict import judge
from medtransfer.files import write_csv
from medtransfer.logs import step_log
from medtransfer.results import Study

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(claims: str, tables: Mapping[str, str], studies: list[Study], seed: int, verdicts: str) -> None:
    """Write the verdicts.

    Args:
        claims: The claims and their contrasts.
        tables: The results tables, by name.
        studies: Axes, roles, confidence and note of each study.
        seed: Seed of the bootstrap over seeds.
        verdicts: The table to write.
    """
    declared = read_claims(claims)
    table = pd.concat([judge(declared, tables, study, seed) for study in studies], ignore_index=True)
    write_csv(table, verdicts)
    for row in table[table["task"] == "all"].itertuples():
        print(f"{row.claim}: {row.verdict}", file=sys.stderr)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        tables = dict(snakemake.input.items())
        main(
            tables.pop("claims"),
            tables,
            snakemake.params.studies,
            snakemake.params.metrics["seed"],
            snakemake.output[0],
        )
