"""Pack a tier into an RO-Crate: results, workflow, configuration and what they rest on; and validate it."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from medtransfer.logs import step_log
from medtransfer.review.code import describe_code, read_citation
from medtransfer.review.crate import write_crate
from medtransfer.review.crate_check import check_crate
from medtransfer.review.tier import Tier

if TYPE_CHECKING:
    from snakemake.script import snakemake

LARGEST = 20_000_000
"""Bytes: frozen results that are larger stay out of the crate."""


def main(
    results: Sequence[str],
    sources: Sequence[str],
    config: Mapping[str, Any],
    tier: Tier,
    frozen: str | None,
    citation: str,
    crate: str,
) -> None:
    """Write and validate the crate.

    Args:
        results: Files of the tier's results.
        sources: Files of the workflow, `Snakefile` among them, relative to its folder.
        config: The configuration in force.
        tier: The results that these files are of.
        frozen: Folder of the frozen results that they were taken up from; None if they are fresh.
        citation: CITATION.cff.
        crate: The crate's folder.

    Raises:
        UserError: The crate is not valid.
    """
    files = contents(results, sources, tier.results, frozen)
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "config.yaml"
        settings.write_text(yaml.safe_dump(dict(config), sort_keys=False))
        write_crate(Path(crate), {**files, settings.name: settings}, tier, read_citation(citation))
    check_crate(Path(crate))


def contents(results: Sequence[str], sources: Sequence[str], folder: Path, frozen: str | None) -> dict[str, Path]:
    """Where the files of a crate come from, by their paths in it."""
    files = {str(Path(path).relative_to(folder)): Path(path) for path in results} | {
        path: Path(path) for path in sources
    }
    held = [path for path in Path(frozen).rglob("*") if path.is_file()] if frozen else []
    if sum(path.stat().st_size for path in held) <= LARGEST:
        files |= {f"frozen/{path.relative_to(str(frozen))}": path for path in held}
    return files


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params = snakemake.params
        of_tier = Tier(
            params.tier,
            Path(params.results),
            params.frozen is not None,
            params.configfile,
            params.studies,
            params.upstreams,
            describe_code(params.frozen),
        )
        main(
            [*snakemake.input.results, *snakemake.input.figures, *snakemake.input.tables],
            list(snakemake.input.sources),
            params.config,
            of_tier,
            params.frozen,
            "CITATION.cff",
            snakemake.output[0],
        )
