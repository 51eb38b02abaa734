"""Compare regenerated with frozen results, run by run and claim by claim, and end with an error where they deviate."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtransfer.config import load
from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_text
from medtransfer.logs import step_log
from medtransfer.review.frozen import Frozen
from medtransfer.review.published import read_published, side_by_side
from medtransfer.review.verify import verify
from medtransfer.review.verify_page import render, summary
from medtransfer.review.verify_rows import COLUMNS

if TYPE_CHECKING:
    from snakemake.script import snakemake

NAMED = 10


def main(
    results: str, frozen: str, config: dict[str, Any], remeasured: bool, published: str, template: str, style: str
) -> None:
    """Write verify.csv, verify.html and published.csv beside the results, and print a summary.

    Args:
        results: Folder of the regenerated results.
        frozen: Folder of the frozen ones.
        config: The configuration in force.
        remeasured: Whether the results were measured from the frozen predictions, and no run was repeated.
        published: Numbers printed in papers.
        template: The page's template.
        style: CSS for the page.

    Raises:
        UserError: There are no frozen results; or something deviates, is missing or is too much, after all is written.
    """
    folder, checked = Path(results), load(config, source="the configuration in force")
    verification = verify(Frozen.open(frozen), folder, checked, remeasured)
    write_csv(pd.DataFrame(map(asdict, verification.rows), columns=COLUMNS), folder / "verify.csv")
    metrics = pd.read_parquet(folder / "metrics.parquet")
    beside = side_by_side(read_published(published), metrics, checked, checked.studies)
    write_csv(beside, folder / "published.csv")
    css, source = Path(style).read_text(), Path(template).read_text()
    write_text(render(source, css, verification, beside, checked, (results, frozen)), folder / "verify.html")
    print(summary(verification))
    print(f"A row for each comparison: {folder}/verify.csv; the page: {folder}/verify.html")
    if failing := verification.failing:
        named = "\n".join(f"  {row.level} {row.subject}, {row.quantity}: {row.verdict}" for row in failing[:NAMED])
        more = f"\n  and {len(failing) - NAMED} more" if len(failing) > NAMED else ""
        raise UserError(f"{results} is not as frozen in {frozen}:\n{named}{more}\n{folder}/verify.html says why.")


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params, files = snakemake.params, snakemake.input
        main(
            params.results,
            params.frozen,
            params.config,
            params.remeasured,
            files.published,
            files.template,
            files.style,
        )
