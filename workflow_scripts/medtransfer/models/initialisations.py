"""The initialisations by name: what a network takes over from its upstream. Read whenever the workflow is parsed, hence
without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    Body = dict[str, torch.Tensor]
    """The tensors of a network without its classifier, by timm's names."""

# How the tensors of each block begin: the stem, and the four stages with the last norm in the fourth.
BLOCKS = (("stem.",), ("stages.0.",), ("stages.1.",), ("stages.2.",), ("stages.3.", "norm."))


def pretrained(upstream: Body, generator: torch.Generator) -> Body:
    """All of the upstream's weights."""
    return upstream


def first_blocks(upstream: Body, generator: torch.Generator, count: int) -> Body:
    """The upstream's weights in the first `count` blocks: 1 is the stem alone, 5 all; the later ones stay random.

    This is the weight transfusion of Raghu et al. 2019 (arXiv 1902.07208, for other networks); the unit, a block of the
    BiT family, is ours.
    """
    return {name: tensor for name, tensor in upstream.items() if block(name) <= count}


def block(name: str) -> int:
    """The block that a tensor of the body belongs to, by timm's name: 1 is the stem, 2 to 5 are the four stages.

    The last norm belongs to block 5. Raises ValueError for a tensor of no block, such as the classifier's.
    """
    for number, beginnings in enumerate(BLOCKS, start=1):
        if name.startswith(beginnings):
            return number
    raise ValueError(f"{name} belongs to no block")


# Each is given the upstream's body and a generator that the run's seed alone decides, and returns the tensors that the
# network starts from; those that it does not return stay as random as they were.
INITIALISATIONS: dict[str, Callable[[Body, torch.Generator], Body]] = {
    "pretrained": pretrained,
    **{f"prefix{count}": partial(first_blocks, count=count) for count in range(1, len(BLOCKS) + 1)},
}
