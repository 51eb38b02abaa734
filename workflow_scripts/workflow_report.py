"""Let Snakemake report on the workflow: how every file came about, in one HTML file."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from medtransfer.errors import UserError
from medtransfer.files import atomic, write_json
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(config: dict[str, Any], targets: list[str], page: str) -> None:
    """Let Snakemake report on finished targets.

    Snakemake runs within Snakemake here, which is why it must not lock the folder; it only reads.

    Args:
        config: The configuration in force.
        targets: Files to report on.
        page: The HTML file to write.

    Raises:
        UserError: Snakemake could not make the report; the log holds its words.
    """
    with TemporaryDirectory() as folder, atomic(page) as unfinished:
        settings = Path(folder) / "config.json"
        write_json(config, settings)
        command = [sys.executable, "-m", "snakemake", "--configfile", str(settings), "--nolock"]
        command += ["--report", str(unfinished), "--", *targets]
        # stdout goes where stderr goes: into the log.
        done = subprocess.run(command, stdout=sys.stderr.fileno(), stderr=sys.stderr.fileno())
        if done.returncode:
            raise UserError("snakemake --report failed; its words are in the log of this step.")


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(snakemake.params.config, list(snakemake.input), snakemake.output[0])
