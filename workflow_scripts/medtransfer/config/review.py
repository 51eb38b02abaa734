"""The sections on what reviewers do with results."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from medtransfer.config.base import Count, Section


class Audit(Section):
    """What `snakemake audit` checks. The command line may say it: --config 'audit={runs: 5, seed: 7}'."""

    # The command line hands numbers on as text.
    model_config = ConfigDict(strict=False)

    runs: Count = 5
    """How many runs are drawn and trained again."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of all draws. The reviewer chooses it."""
    start: Literal["raw", "images"] = "raw"
    """What training starts from: raw files, or the image stores of the tier's results."""
    rows: Count = 20
    """How many rows of each dataset are taken back to their raw files."""
