"""Pre-train a backbone on an upstream of named classes."""

from typing import TYPE_CHECKING

from medtransfer import warm
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params = snakemake.params
        warm.call(
            "medtransfer.training.pretraining:pretrain",
            {
                "upstream": snakemake.wildcards.upstream,
                "backbone": snakemake.wildcards.backbone,
                "settings": params.settings,
                "version": params.recipe_version,
                "inputs": dict(snakemake.input.items()),
                "device": {**params.training, "threads": snakemake.threads},
                "memory_mb": snakemake.resources.mem_mb,
                "scratch": snakemake.output.record.replace("/upstream/", "/scratch/upstream/").removesuffix(".json"),
                "checkpoint_seconds": snakemake.resources.checkpoint_seconds,
                "outputs": dict(snakemake.output.items()),
            },
            preload=["medtransfer.training.finetuning", "medtransfer.training.pretraining"],
            fork=params.training["devices"] == 1,
        )
