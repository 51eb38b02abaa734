"""Fine-tune a run, or a batch of short ones, into their scratch folders, and say what became of each."""

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
                "medtransfer.training.finetuning:finetune_batch",
                {
                    "runs": [
                        {**run, "outcome": outcome} for run, outcome in zip(params.runs, snakemake.output, strict=True)
                    ],
                    "version": params.recipe_version,
                    "device": {**params.training, "threads": threads, "visible": devices},
                    "memory_mb": resources.micro_batch_mb,
                    "checkpoint_seconds": resources.checkpoint_seconds,
                    "local_disk": resources.local_disk or None,
                },
                preload=["medtransfer.training.finetuning", "medtransfer.training.pretraining"],
                fork=params.training["devices"] == 1,
            )
