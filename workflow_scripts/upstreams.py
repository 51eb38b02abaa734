"""Write what each network of each upstream was trained on: images, how many it saw, and the computation that took."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtransfer.config import NO_UPSTREAM
from medtransfer.files import write_csv
from medtransfer.logs import step_log
from medtransfer.models.catalogue import multiply_adds, parameter_count

if TYPE_CHECKING:
    from snakemake.script import snakemake

PASSES = 3
"""A training step costs about three forward passes: one forward, two backward (Kaplan et al. 2020, section 2.1)."""


def main(released: dict[str, dict[str, Any]], records: list[str], backbones: list[str], path: str) -> None:
    """Write the table upstream backbone parameters images images_seen multiply_adds; upstream `none` has zeros.

    Args:
        released: For each upstream published by others `images`, `seen` and `crop`.
        records: Of each network pre-trained here, what `pretrain` recorded.
        backbones: The backbones of the tier.
        path: Table to write.
    """
    known = [(name, backbone, facts) for name, facts in released.items() for backbone in backbones]
    for record in (json.loads(Path(name).read_text()) for name in records):
        crop = record["settings"]["resolution"]["crop"]
        facts = {"images": record["images"], "seen": record["images_seen"], "crop": crop}
        known.append((record["upstream"], record["backbone"], facts))
    nothing = {"images": 0, "seen": 0, "crop": 0}
    rows = []
    for upstream, backbone, facts in [*((NO_UPSTREAM, backbone, nothing) for backbone in backbones), *known]:
        work = PASSES * facts["seen"] * multiply_adds(backbone, facts["crop"])
        rows.append((upstream, backbone, parameter_count(backbone), facts["images"], facts["seen"], work))
    columns = ["upstream", "backbone", "parameters", "images", "images_seen", "multiply_adds"]
    write_csv(pd.DataFrame(rows, columns=columns), path)


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            snakemake.params.released,
            list(snakemake.input),
            list(snakemake.params.backbones),
            snakemake.output[0],
        )
