"""BiT networks (Kolesnikov et al. 2020, arXiv 1912.11370) as timm builds them."""

from functools import partial

import torch

import medtransfer.models.torchvision_shim  # noqa: F401

# isort: split
from timm.layers import GroupNormAct, StdConv2d
from timm.models.resnetv2 import ResNetV2

from medtransfer.models.catalogue import find

# timm's value for the released weights; Google's code has 1e-10.
STANDARDISATION_EPSILON = 1e-8


def build(backbone: str, classes: int, seed: int) -> ResNetV2:
    """A randomly initialised network from images [batch, 3, height, width] in [-1, 1] to logits [batch, classes].

    Convolutions are drawn from N(0, 2 / fan_out) (He et al. 2015), GroupNorms start as the identity, and the classifier
    starts at zero, as in BiT's fine-tuning: every logit is 0 until the first update.

    Args:
        backbone: A name of `catalogue.BACKBONES`.
        classes: Number of logits, at least 1.
        seed: Alone decides the weights of the body; torch's global generator is left as it was.

    Raises:
        UserError: There is no such backbone.
    """
    model = skeleton(backbone, classes).to_empty(device="cpu")
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed the generators of every GPU too.
        torch.default_generator.manual_seed(seed)
        model.init_weights(zero_init_last=False)
    torch.nn.init.zeros_(model.head.fc.weight)  # timm draws it; the bias is zero already
    return model


def skeleton(backbone: str, classes: int) -> ResNetV2:
    """The network on torch's meta device: modules and shapes without memory or values.

    The stem is timm's `fixed`: it pads with zeros and then max-pools. Padding inside the pool would be with -inf, which
    is not the same, since no ReLU comes before the pool.
    """
    net = find(backbone)
    return ResNetV2(
        layers=list(net.units),
        channels=net.channels,
        num_classes=classes,
        stem_chs=net.stem,
        stem_type="fixed",
        norm_layer=partial(GroupNormAct, num_groups=net.groups),
        conv_layer=partial(StdConv2d, eps=STANDARDISATION_EPSILON),
        device="meta",
    )
