"""Fine-tune one run, then predict its validation, test and out-of-distribution images."""

from typing import TYPE_CHECKING

from medtransfer import warm
from medtransfer.logs import step_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        wildcards, params = snakemake.wildcards, snakemake.params
        warm.call(
            "medtransfer.training.finetuning:finetune",
            {
                "run": {**dict(wildcards.items()), "seed": int(wildcards.seed)},
                "settings": params.settings,
                "version": params.recipe_version,
                "inputs": {
                    "subset": [snakemake.input.subset],
                    "weights": [str(path) for path in snakemake.input.weights],
                    **{name: list(snakemake.input[name]) for name in ("cohorts", "images")},
                },
                "sources": list(params.sources),
                "goes_on": params.goes_on,
                "device": {**params.training, "threads": snakemake.threads},
                "memory_mb": snakemake.resources.mem_mb,
                "scratch": snakemake.output.record.replace("/runs/", "/scratch/").removesuffix("/run.json"),
                "checkpoint_seconds": snakemake.resources.checkpoint_seconds,
                "outputs": dict(snakemake.output.items()),
            },
            preload=["medtransfer.training.finetuning", "medtransfer.training.pretraining"],
            fork=params.training["devices"] == 1,
        )
