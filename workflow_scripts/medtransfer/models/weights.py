"""Weights to and from files: of an upstream without the classifier, which belongs to its labels, or of a network."""

import json
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from medtransfer.errors import UserError
from medtransfer.files import atomic
from medtransfer.models.initialisations import INITIALISATIONS

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""How tensors of a network go to files and come back: whole and on the CPU, also where processes have parts of them.

All processes ask for them together then, and the first alone gets them."""
HEAD = "head."

# Google's names in the published .npz files, outside and inside the residual units, and timm's for the same tensors.
OUTER = {
    "root_block/standardized_conv2d/kernel": "stem.conv.weight",
    "group_norm/gamma": "norm.weight",
    "group_norm/beta": "norm.bias",
    "head/conv2d/kernel": "head.fc.weight",
    "head/conv2d/bias": "head.fc.bias",
}
INNER = {
    google: timm
    for number, unit in enumerate("abc", start=1)
    for google, timm in (
        (f"{unit}/standardized_conv2d/kernel", f"conv{number}.weight"),
        (f"{unit}/group_norm/gamma", f"norm{number}.weight"),
        (f"{unit}/group_norm/beta", f"norm{number}.bias"),
    )
} | {"a/proj/standardized_conv2d/kernel": "downsample.conv.weight"}


def save_body(model: torch.nn.Module, path: Path | str, metadata: dict[str, Any]) -> None:
    """Write everything but the classifier to a .safetensors file, atomically; equal weights give equal bytes.

    Of several processes that train one network all call this, and the first writes.

    Args:
        model: The trained network.
        path: File to write.
        metadata: Where the weights come from, as plain JSON content; it stands in the file's header.
    """
    _save(_body(get_model_state_dict(model, options=WHOLE)), path, metadata)


def save_network(model: torch.nn.Module, path: Path | str, metadata: dict[str, Any]) -> None:
    """Write all weights, the classifier's too, as `save_body` writes the others."""
    _save(get_model_state_dict(model, options=WHOLE), path, metadata)


def _save(tensors: dict[str, Any], path: Path | str, metadata: dict[str, Any]) -> None:
    if not tensors:
        return  # not the first process
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # One entry, since safetensors writes several in an order that changes from call to call.
    header = {"medtransfer": json.dumps(metadata, sort_keys=True)}
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata=header)


def load_body(model: torch.nn.Module, path: Path | str, initialisation: str = "pretrained", seed: int = 0) -> None:
    """Fill everything but the classifier from an upstream's file, in place; the classifier stays as it is.

    Read are .safetensors files with timm's names, whether `save_body` or timm wrote them, and the .npz files that
    Google published (Kolesnikov et al. 2020). A classifier in the file is left out; every other tensor must be in its
    place.

    Args:
        model: Network of the backbone that the file is for, with any number of classes.
        path: File to read; it is checked whole, also where only a part is taken.
        initialisation: What is taken of it, by a name of `initialisations.INITIALISATIONS`; the rest stays as it is.
        seed: Decides what an initialisation draws.

    Raises:
        UserError: There is no such initialisation, the file is absent, unreadable or of another kind, a tensor is
            missing, unexpected, of another shape or not finite. The model is then unchanged.
    """
    if initialisation not in INITIALISATIONS:
        raise UserError(f"unknown initialisation {initialisation!r}; there are: {', '.join(INITIALISATIONS)}")
    found = _body(_read(Path(path)))
    _check(found, _body(model.state_dict()), path)
    generator = torch.Generator().manual_seed(seed)
    model.load_state_dict(INITIALISATIONS[initialisation](found, generator), strict=False)


def load_network(model: torch.nn.Module, path: Path | str) -> None:
    """Fill a network from a file of `save_network`, in place, the classifier too: it must be for the same labels.

    Raises:
        UserError: As `load_body` does. The model is then unchanged.
    """
    found = _read(Path(path))
    _check(found, model.state_dict(), path)
    model.load_state_dict(found)


def _check(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: Path | str) -> None:
    problems = [f"{name} is missing, expected {_shape(expected[name])}" for name in expected if name not in found]
    for name, tensor in found.items():
        if name not in expected:
            problems.append(f"{name} {_shape(tensor)} is unexpected")
        elif tensor.shape != expected[name].shape:
            problems.append(f"{name} is {_shape(tensor)}, expected {_shape(expected[name])}")
        elif not torch.isfinite(tensor).all():
            problems.append(f"{name} holds values that are not finite")
    if problems:
        listed = problems[:5] + [f"... and {len(problems) - 5} more"] * (len(problems) > 5)
        raise UserError(
            f"{path}: not the weights of this backbone. Name a file made for it, or fetch the file again.\n  "
            + "\n  ".join(listed)
        )


def _body(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(HEAD)}


def _shape(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape))


def _read(path: Path) -> dict[str, torch.Tensor]:
    readers: dict[str, Callable[[Path], dict[str, torch.Tensor]]] = {".safetensors": load_file, ".npz": _read_google}
    if path.suffix not in readers:
        raise UserError(f"{path}: weights are read from files ending in {' or '.join(readers)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights")
    try:
        return readers[path.suffix](path)
    except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read as {path.suffix}, fetch or make it again ({error})") from error


def _read_google(path: Path) -> dict[str, torch.Tensor]:
    """Google's arrays by timm's names; convolution kernels turned from [height, width, in, out] to [out, in, ...].

    timm's own `ResNetV2.load_pretrained` is not used: it broadcasts where shapes differ, passes over tensors it does
    not know, and takes the classifier over where the number of classes happens to agree.
    """
    with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
        return {
            _timm_name(key): torch.from_numpy(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)
            for key, array in arrays.items()
        }


def _timm_name(key: str) -> str:
    """timm's name for a key of Google's; the key itself if it is none of the known."""
    # Some published files number the layers of a kind: standardized_conv2d_12.
    known = re.sub(r"/standardized_conv2d_\d+/", "/standardized_conv2d/", key).removeprefix("resnet/")
    if unit := re.fullmatch(r"block(\d)/unit(\d\d)/(.+)", known):
        stage, number, tensor = int(unit[1]) - 1, int(unit[2]) - 1, INNER.get(unit[3])
        return f"stages.{stage}.blocks.{number}.{tensor}" if tensor else key
    return OUTER.get(known, key)
