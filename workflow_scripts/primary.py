"""Take out of the results what most figures show: the primary metric of all test images."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq

from medtransfer.files import atomic
from medtransfer.logs import step_log
from medtransfer.metrics.cell import is_primary

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(metrics: dict[str, str], sources: Mapping[str, str], tables: Mapping[str, str]) -> None:
    """Write the primary part of tables, holding one row group at a time.

    Args:
        metrics: The primary metric of each task.
        sources: The whole tables `metrics` and `replicates`.
        tables: The tables to write.
    """
    for kind, source in sources.items():
        whole = pq.ParquetFile(source)
        with atomic(tables[kind]) as temporary, pq.ParquetWriter(temporary, whole.schema_arrow) as writer:
            for number in range(whole.num_row_groups):
                group = whole.read_row_group(number)
                keys: pd.DataFrame = group.drop_columns(["replicates"] if kind == "replicates" else []).to_pandas()
                writer.write_table(group.filter(is_primary(keys, metrics).to_numpy()))


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(snakemake.params.metrics, dict(snakemake.input.items()), dict(snakemake.output.items()))
