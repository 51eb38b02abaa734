"""Draw a dataset: synthetic images in the raw files' layout of a real one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtransfer.logs import step_log
from medtransfer.synthetic.write import write

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(dataset: str, settings: dict[str, Any], raw: str) -> None:
    """Write the raw folder of a synthetic dataset.

    Args:
        dataset: Its id.
        settings: `patients`, `size` and `seed`, as `synthetic.<dataset>` of the configuration has them.
        raw: The folder to write.
    """
    write(dataset, Path(raw), **settings)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(snakemake.wildcards.dataset, snakemake.params.settings, snakemake.output.raw)
