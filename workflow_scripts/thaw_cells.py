"""Measure the frozen predictions of some cells."""

from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer import warm
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params = snakemake.params
        warm.call(
            "medtransfer.review.thaw:thaw_cells",
            {
                "folder": str(Path(snakemake.input.record).parent),
                "cells": params.cells,
                "tasks": params.tasks,
                "settings": params.metrics,
                "outputs": dict(snakemake.output.items()),
            },
            preload=["medtransfer.review.thaw"],
        )
