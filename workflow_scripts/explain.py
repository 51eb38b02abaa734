"""Explain a run, a claim or a number: print how it came about, from its runs back to data, weights and machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtransfer.logs import step_log
from medtransfer.results import Study
from medtransfer.review.code import describe_code
from medtransfer.review.explain import answer
from medtransfer.review.tier import Tier

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    of: str | None,
    name: str,
    results: str,
    frozen: str | None,
    configfile: str,
    studies: list[Study],
    upstreams: Mapping[str, Mapping[str, Any]],
) -> None:
    """Print the story.

    Args:
        of: What it is asked about; None says what can be asked.
        name: Of the tier.
        results: Folder of the results.
        frozen: Folder of the frozen results that they were taken up from; None if they are fresh.
        configfile: The configuration that they are made with.
        studies: Axes and names of the studies.
        upstreams: The configuration's upstreams by name.
    """
    tier = Tier(name, Path(results), frozen is not None, configfile, studies, upstreams, describe_code(frozen))
    print(answer(of, tier))


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params = snakemake.params
        main(
            params.of,
            params.tier,
            params.results,
            params.frozen,
            params.configfile,
            params.studies,
            params.upstreams,
        )
