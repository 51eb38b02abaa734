"""Of an upstream's weights the first blocks alone can be taken over."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medtransfer.errors import UserError
from medtransfer.models.bit import build, skeleton
from medtransfer.models.catalogue import find
from medtransfer.models.initialisations import block
from medtransfer.models.weights import load_body, save_body
from tests.bit_reference import google_arrays

# What each prefix adds to the one before it.
ADDED = (("stem.",), ("stages.0.",), ("stages.1.",), ("stages.2.",), ("stages.3.", "norm."))


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights of which no tensor is that of a new network."""
    upstream = build("r26w32", classes=3, seed=1)
    with torch.no_grad():
        for parameter in upstream.parameters():
            parameter.add_(1)
    save_body(upstream, tmp_path / "upstream.safetensors", {})
    return tmp_path / "upstream.safetensors"


@pytest.mark.parametrize("prefix", [1, 2, 3, 4, 5])
def test_the_first_blocks_are_the_upstreams_and_the_others_stay(file, prefix):
    model, upstream = (build("r26w32", classes=2, seed=0) for _ in range(2))
    before = weights(model)
    load_body(upstream, file)
    load_body(model, file, f"prefix{prefix}")
    beginnings = tuple(beginning for added in ADDED[:prefix] for beginning in added)
    taken = {name for name in before if name.startswith(beginnings)}
    assert changed(model, before) == taken
    assert all(torch.equal(model.state_dict()[name], upstream.state_dict()[name]) for name in taken)


def test_five_blocks_are_all(file):
    whole, five, again = (build("r26w32", classes=2, seed=0) for _ in range(3))
    load_body(whole, file)
    load_body(five, file, "prefix5")
    load_body(again, file, "pretrained")
    assert not changed(five, weights(whole))
    assert not changed(again, weights(whole))


def test_googles_stages_begin_with_the_second_block(tmp_path):
    arrays = google_arrays("r26w32", classes=3)
    np.savez(tmp_path / "google.npz", allow_pickle=False, **arrays)
    model = build("r26w32", classes=2, seed=0)
    before = weights(model)
    load_body(model, tmp_path / "google.npz", "prefix2")
    of_google = {key for key in arrays if key.startswith(("resnet/root_block", "resnet/block1/"))}
    assert len(changed(model, before)) == len(of_google) == 20


@pytest.mark.parametrize("initialisation", ["prefix0", "prefix6", "random"])
def test_what_is_no_initialisation_is_refused(file, initialisation):
    model = build("r26w32", classes=2, seed=0)
    before = weights(model)
    with pytest.raises(UserError, match=f"unknown initialisation '{initialisation}'; there are: pretrained"):
        load_body(model, file, initialisation)
    assert not changed(model, before)


def test_the_file_is_checked_beyond_the_prefix(file):
    upstream, model = build("r26w32", classes=2, seed=0), build("r26w32", classes=2, seed=0)
    torch.nn.init.constant_(upstream.get_parameter("norm.bias"), torch.nan)
    save_body(upstream, file, {})
    before = weights(model)
    with pytest.raises(UserError, match=r"norm\.bias holds values that are not finite"):
        load_body(model, file, "prefix1")
    assert not changed(model, before)


@pytest.mark.parametrize("backbone", ["r14w16", "r50x1", "r152x4"])
def test_every_tensor_of_the_body_belongs_to_a_block(backbone):
    blocks = [block(name) for name in skeleton(backbone, 2).state_dict() if not name.startswith("head.")]
    # A unit has three convolutions and three norms of two tensors, the first of a stage a projection too.
    stages = [9 * units + 1 for units in find(backbone).units]
    assert [blocks.count(number) for number in range(1, 6)] == [1, *stages[:3], stages[3] + 2]
    assert blocks == sorted(blocks)


@pytest.mark.parametrize("name", ["head.fc.weight", "stages.4.blocks.0.conv1.weight", "norm", ""])
def test_other_tensors_belong_to_none(name):
    with pytest.raises(ValueError, match="no block"):
        block(name)
