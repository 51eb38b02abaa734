"""Fetch a dataset, or write down what a person has to do to get it."""

from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.acquire.acquire import acquire
from medtransfer.datasets.card import load_card
from medtransfer.errors import UserError
from medtransfer.files import write_json
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(dataset: str, card: str, raw: str, acquired: str) -> None:
    """Fetch what a dataset's folder lacks.

    Args:
        dataset: Its id.
        card: The file that says what is known of it.
        raw: Its folder.
        acquired: JSON to write: `status` (there, fetched, by hand or failed), `message`, `files`. A failure is a status
            too, so that one summary tells of all datasets.
    """
    try:
        result = vars(acquire(dataset, load_card(Path(card)), Path(raw)))
    except UserError as error:
        result = {"status": "failed", "message": str(error), "files": 0}
    write_json({"dataset": dataset, **result}, acquired)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.wildcards.dataset,
            snakemake.params.card,
            snakemake.params.raw,
            snakemake.output[0],
        )
