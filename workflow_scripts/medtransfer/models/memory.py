"""How many images fit a device at once: counted on torch's meta device, where tensors have shapes and no memory."""

import torch

from medtransfer.models.bit import skeleton


def activation_bytes_per_image(backbone: str, classes: int, size: int, recompute: bool = False) -> int:
    """Bytes that one more float32 training image of size x size pixels keeps in memory for the backward pass.

    These are the activations that autograd saves, without what does not grow with the batch: weights, their
    standardised copies, gradients and momentum. Nor does it count what single operations need while they run: on a CPU,
    a training step of r14w32, r26w64 or r50x1 at 224 pixels took 1.4 to 1.5 times as much at its peak. In bfloat16 an
    image takes half as much; autocast keeps some tensors in float32 and lies between.

    With `recompute` residual units keep what goes into them alone, and the backward pass computes them again, one at a
    time. Counted is what is kept, all of it, and besides what the unit saves that takes most.

    Raises:
        UserError: There is no such backbone.
    """
    one, two = (_saved_bytes(backbone, classes, size, images, recompute) for images in (1, 2))
    return max(more - less for less, more in zip(one, two, strict=True))


def _saved_bytes(backbone: str, classes: int, size: int, images: int, recompute: bool) -> list[int]:
    """Bytes that the forward pass saves; with `recompute` also those of a residual unit, for each unit."""
    model = skeleton(backbone, classes)
    model.set_grad_checkpointing(recompute)
    inputs: dict[torch.nn.Module, torch.Tensor] = {}
    for stage in model.stages:
        for unit in stage.get_submodule("blocks").children():
            unit.register_forward_hook(lambda unit, arguments, _: inputs.update({unit: arguments[0]}))
    kept = _saved(model, torch.empty(images, 3, size, size, device="meta"))
    if not recompute:
        return [_bytes(kept)]
    return [_bytes(kept | _saved(unit, entering)) for unit, entering in list(inputs.items())]


def _saved(module: torch.nn.Module, entering: torch.Tensor) -> set[torch.UntypedStorage]:
    """What autograd saves in a call; several operations save the same tensor."""
    storages: set[torch.UntypedStorage] = set()

    def record(tensor: torch.Tensor) -> torch.Tensor:
        storages.add(tensor.untyped_storage())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        module(entering)
    return storages


def _bytes(storages: set[torch.UntypedStorage]) -> int:
    return sum(storage.nbytes() for storage in storages)


def micro_batch(batch: int, bytes_per_image: int, budget_bytes: int) -> int:
    """The largest even split of a batch that fits the budget: a divisor of `batch`, and 1 where even that is too large.

    GroupNorm sees each image alone, so gradients added up over micro-batches are those of the batch, up to float order.
    """
    fitting = (part for part in range(1, batch + 1) if batch % part == 0 and part * bytes_per_image <= budget_bytes)
    return max(fitting, default=1)
