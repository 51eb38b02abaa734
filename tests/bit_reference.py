"""BiT a second time, in numpy and plain torch operations, over weights in the layout that Google published."""

import numpy as np
import torch
import torch.nn.functional as F

from medtransfer.models.catalogue import find

Arrays = dict[str, np.ndarray]


def google_arrays(backbone: str, classes: int, seed: int = 0) -> Arrays:
    """Random weights in the layout of the published .npz files, shapes written out from the paper's figure 5."""
    random = np.random.default_rng(seed)
    net = find(backbone)
    arrays: Arrays = {}

    def kernel(name: str, size: int, incoming: int, outgoing: int) -> None:
        shape = (size, size, incoming, outgoing)
        arrays[f"resnet/{name}/standardized_conv2d/kernel"] = random.normal(0.1, 0.5, shape).astype(np.float32)

    def norm(name: str, channels: int) -> None:
        arrays[f"resnet/{name}gamma"] = random.uniform(0.5, 1.5, channels).astype(np.float32)
        arrays[f"resnet/{name}beta"] = random.normal(0, 0.3, channels).astype(np.float32)

    incoming = max(8, net.width // 4)
    kernel("root_block", 7, 3, incoming)
    for block, units in enumerate(net.units, start=1):
        channels = net.width * 2 ** (block - 1)
        inner = max(8, channels // 4)
        for unit in range(1, units + 1):
            name = f"block{block}/unit{unit:02d}"
            for letter, size, before, after in (("a", 1, incoming, inner), ("b", 3, inner, inner)):
                norm(f"{name}/{letter}/group_norm/", before)
                kernel(f"{name}/{letter}", size, before, after)
            norm(f"{name}/c/group_norm/", inner)
            kernel(f"{name}/c", 1, inner, channels)
            if unit == 1:
                kernel(f"{name}/a/proj", 1, incoming, channels)
            incoming = channels
    norm("group_norm/", incoming)
    arrays["resnet/head/conv2d/kernel"] = random.normal(0, 1, (1, 1, incoming, classes)).astype(np.float32)
    arrays["resnet/head/conv2d/bias"] = random.normal(0, 1, classes).astype(np.float32)
    return arrays


def reference_forward(arrays: Arrays, backbone: str, images: np.ndarray) -> np.ndarray:
    """BiT's forward pass in float64, from the paper and Google's code: numpy but for convolution and pooling."""
    net = find(backbone)

    def convolve(x: np.ndarray, name: str, stride: int = 1) -> np.ndarray:
        kernel = arrays[f"resnet/{name}/standardized_conv2d/kernel"].astype(np.float64)
        mean = kernel.mean(axis=(0, 1, 2))
        variance = ((kernel - mean) ** 2).mean(axis=(0, 1, 2))  # biased
        weight = np.ascontiguousarray(np.moveaxis((kernel - mean) / np.sqrt(variance + 1e-8), (3, 2), (0, 1)))
        padding = kernel.shape[0] // 2
        return F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), stride=stride, padding=padding).numpy()

    def norm_relu(x: np.ndarray, name: str) -> np.ndarray:
        grouped = x.reshape(len(x), net.groups, -1)
        centred = grouped - grouped.mean(axis=2, keepdims=True)
        normal = (centred / np.sqrt((centred**2).mean(axis=2, keepdims=True) + 1e-5)).reshape(x.shape)
        gamma, beta = (arrays[f"resnet/{name}group_norm/{kind}"][:, None, None] for kind in ("gamma", "beta"))
        return np.maximum(normal * gamma + beta, 0)

    x = convolve(images.astype(np.float64), "root_block", stride=2)
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    x = F.max_pool2d(torch.from_numpy(x), kernel_size=3, stride=2).numpy()
    for block, units in enumerate(net.units, start=1):
        for unit in range(1, units + 1):
            name = f"block{block}/unit{unit:02d}"
            stride = 2 if unit == 1 and block > 1 else 1
            activated = norm_relu(x, f"{name}/a/")
            shortcut = convolve(activated, f"{name}/a/proj", stride) if unit == 1 else x
            inner = convolve(activated, f"{name}/a")
            inner = convolve(norm_relu(inner, f"{name}/b/"), f"{name}/b", stride)
            x = convolve(norm_relu(inner, f"{name}/c/"), f"{name}/c") + shortcut
    features = norm_relu(x, "").mean(axis=(2, 3))
    return features @ arrays["resnet/head/conv2d/kernel"][0, 0] + arrays["resnet/head/conv2d/bias"]
