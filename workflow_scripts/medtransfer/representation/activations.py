"""Gram matrices of a network's activations at every depth: all that linear CKA needs, and small enough to keep."""

from collections.abc import Iterator

import numpy as np
import torch
from lightning_fabric import Fabric

from medtransfer.training.augment import for_evaluation
from medtransfer.training.examples import Examples

CHUNK = 2**16
"""Activations of each image that are multiplied at a time: 64 MiB for 128 images."""


def units(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """The stem and every residual unit, `stage1.unit1` the first, of a BiT network, in the order of depth."""
    yield "stem", model.get_submodule("stem")
    for stage_number, stage in enumerate(model.get_submodule("stages").children(), start=1):
        for unit_number, unit in enumerate(stage.get_submodule("blocks").children(), start=1):
            yield f"stage{stage_number}.unit{unit_number}", unit


@torch.inference_mode()
def gram_matrices(
    model: torch.nn.Module, examples: Examples, crop: int, batch: int, fabric: Fabric
) -> dict[str, np.ndarray]:
    """X X^T [examples, examples] float32 for the stem and every residual unit, by the names of `units`, in their order.

    X [examples, positions x channels] holds the activations after a unit, flattened (Kornblith et al. 2019, arXiv
    1905.00414, linear CKA), for images prepared as `training.loop.predict` prepares them. Products are summed in
    float64. A network is a chain of units without batch statistics, so all images pass one unit before any passes
    the next. That bounds the memory by the largest activation, with nothing pooled or left out: 128 images take 0.4 GB
    in r50x1 at 224 px and 7.5 GB in r152x4 at 480 px, which is what its gradients and momentum take in training.

    Args:
        model: A network on the fabric's device; it stays in the mode, training or evaluation, that it is in.
        examples: Some hundred examples at most; their targets are not looked at.
        crop: Side that images are resized to, in pixels.
        batch: Images per forward pass.
        fabric: Device and precision. Every process computes everything, so one (rank 0) should be asked.
    """
    training = model.training
    model.eval()
    try:
        parts = [
            for_evaluation(examples.pixels(part).to(fabric.device), crop)
            for part in np.split(np.arange(len(examples)), range(batch, len(examples), batch))
        ]
        grams = {}
        for name, unit in units(model):
            for number in range(len(parts)):
                with fabric.autocast():
                    parts[number] = unit(parts[number])
            grams[name] = _gram([part.flatten(1) for part in parts])
        return grams
    finally:
        model.train(training)


def _gram(parts: list[torch.Tensor]) -> np.ndarray:
    """X X^T of the rows of all parts [., features]."""
    gram = torch.zeros((), dtype=torch.float64, device=parts[0].device)
    for start in range(0, parts[0].shape[1], CHUNK):
        columns = torch.cat([part[:, start : start + CHUNK] for part in parts]).double()
        gram = gram + columns @ columns.T
    return gram.float().cpu().numpy()
