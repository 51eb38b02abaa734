"""Hold frozen results against their checksums, and give those tables that need no computing their places."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.errors import UserError
from medtransfer.files import atomic
from medtransfer.logs import step_log
from medtransfer.review.frozen import Frozen

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(folder: Path, results: Path, tables: Sequence[Path]) -> None:
    """Copy tables of frozen results.

    Args:
        folder: The frozen results.
        results: Folder to copy to.
        tables: The tables to write; each lies in `folder` as it shall lie in `results`.

    Raises:
        UserError: Files are not as they were frozen, or a table was not frozen.
    """
    frozen = Frozen.open(folder)
    frozen.check()
    for table in tables:
        source = frozen.path(str(table.relative_to(results)))
        if not source.is_file():
            raise UserError(
                f"{source} is not there: the configuration asks for what was not frozen. Use that which made the "
                f"frozen results: --configfile {folder}/config.yaml --config results=frozen"
            )
        with atomic(table) as temporary:
            shutil.copyfile(source, temporary)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        upstreams = Path(snakemake.output.upstreams)
        main(Path(snakemake.input[0]).parent, upstreams.parent, [Path(path) for path in snakemake.output])
