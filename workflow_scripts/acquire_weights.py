"""Fetch a file of published weights, or write down what a person has to do to get it."""

from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.acquire.weights import acquire_weights
from medtransfer.errors import UserError
from medtransfer.files import write_json
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(name: str, path: str, url: str | None, home: str, acquired: str) -> None:
    """Fetch a file of weights if it is not there.

    Args:
        name: Upstream and backbone.
        path: Where the file should lie.
        url: Its address, if it can be fetched.
        home: The page that publishes it.
        acquired: JSON to write, as `acquire_dataset` does.
    """
    try:
        result = vars(acquire_weights(Path(path), url, home))
    except UserError as error:
        result = {"status": "failed", "message": str(error), "files": 0}
    write_json({"dataset": name, **result}, acquired)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            f"{snakemake.wildcards.upstream}/{snakemake.wildcards.backbone}",
            snakemake.params.path,
            snakemake.params.url,
            snakemake.params.home,
            snakemake.output[0],
        )
