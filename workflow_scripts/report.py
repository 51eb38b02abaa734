"""Make the report: one self-contained HTML file with all figures, tables, verdicts and provenance."""

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from medtransfer.errors import UserError
from medtransfer.files import atomic, write_json
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(config: dict[str, Any], targets: list[str], report: str) -> None:
    """Let Snakemake report on finished targets.

    Snakemake runs within Snakemake here, which is why it must not lock the folder; it only reads.

    Args:
        config: The configuration in force.
        targets: Files to report on.
        report: The HTML file to write.

    Raises:
        UserError: Snakemake could not make the report; the log holds its words.
    """
    with atomic(report) as page, atomic(report.replace("report.html", "config.json")) as settings:
        write_json(config, settings)
        command = [sys.executable, "-m", "snakemake", "--configfile", str(settings), "--nolock", "--report", str(page)]
        # stdout goes where stderr goes: into the log.
        done = subprocess.run([*command, "--", *targets], stdout=sys.stderr.fileno(), stderr=sys.stderr.fileno())
        if done.returncode:
            raise UserError("snakemake --report failed; its words are in the log of this step.")


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(snakemake.params.config, list(snakemake.input), snakemake.output[0])
