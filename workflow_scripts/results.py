"""Collect what was measured of all cells into one table of each kind."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from medtransfer.files import atomic
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def collect(parts: Sequence[str], path: str) -> None:
    """Put tables of one schema one below the other, a row group each, holding one at a time."""
    schema = pq.read_schema(parts[0])
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).cast(schema))


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        for kind, path in snakemake.output.items():
            collect(list(snakemake.input[kind]), path)
