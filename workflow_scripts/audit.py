"""Draw runs of a frozen record, train them again, and say whether they are what the record says they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtransfer.errors import UserError
from medtransfer.files import write_csv, write_text
from medtransfer.logs import step_log
from medtransfer.review.audit import carry_out
from medtransfer.review.audit_report import page, table, text

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(content: dict[str, Any], record: str, results: str, cores: int | None, template: str, style: str) -> None:
    """Audit the frozen record of a tier, write audit.csv and audit.html to its results, and print a summary.

    Args:
        content: The configuration.
        record: Folder of the frozen results.
        results: Folder of the tier's results.
        cores: How many training may use on this machine; None submits jobs to SLURM.
        template: The page's template.
        style: CSS for the page.

    Raises:
        UserError: After all is written: something deviates, or not all that was drawn could be trained again here. The
            latter is no proof of anything, and the command is not to look as if it were.
    """
    audit = carry_out(content, record, results, cores)
    write_csv(table(audit), Path(results) / "audit.csv")
    write_text(page(audit, Path(template).read_text(), Path(style).read_text()), Path(results) / "audit.html")
    told = f"{text(audit)}\n\nA row for each check: {results}/audit.csv; the page: {results}/audit.html"
    if not audit.passes:
        raise UserError(told)
    print(told)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params, files = snakemake.params, snakemake.input
        main(params.config, params.record, params.results, params.cores, files.template, files.style)
