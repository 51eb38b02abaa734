"""Pre-train a backbone on an upstream of named classes."""

from typing import TYPE_CHECKING

from medtransfer import warm
from medtransfer.compute.gpus import lease
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        params, resources = snakemake.params, snakemake.resources
        threads = max(1, snakemake.threads // params.training["devices"])
        with lease(resources.gpu) as devices:
            warm.call(
                "medtransfer.training.pretraining:pretrain",
                {
                    "upstream": snakemake.wildcards.upstream,
                    "backbone": snakemake.wildcards.backbone,
                    "settings": params.settings,
                    "version": params.recipe_version,
                    "inputs": dict(snakemake.input.items()),
                    "device": {**params.training, "threads": threads, "visible": devices},
                    "memory_mb": resources.micro_batch_mb,
                    "scratch": snakemake.output.record.replace("/upstream/", "/scratch/upstream/").removesuffix(
                        ".json"
                    ),
                    "checkpoint_seconds": resources.checkpoint_seconds,
                    "local_disk": resources.local_disk or None,
                    "outputs": dict(snakemake.output.items()),
                },
                preload=["medtransfer.training.finetuning", "medtransfer.training.pretraining"],
                fork=params.training["devices"] == 1,
            )
