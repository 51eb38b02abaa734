"""Weights come back as they were written, Google's and timm's files are read, and nothing else passes for weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from medtransfer.errors import UserError
from medtransfer.models.bit import build
from medtransfer.models.weights import load_body, load_network, save_body, save_network
from tests.bit_reference import Arrays, google_arrays


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return google_arrays("r26w32", classes=3)


@pytest.fixture
def npz(tmp_path: Path, arrays: Arrays) -> Path:
    path = tmp_path / "BiT-tiny.npz"
    np.savez(path, allow_pickle=False, **arrays)
    return path


def test_npz_is_read_as_timm_reads_it(npz):
    ours, timms = build("r26w32", classes=5, seed=0), build("r26w32", classes=5, seed=1)
    load_body(ours, npz)
    timms.load_pretrained(str(npz))
    for name, tensor in timms.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=0, atol=0, msg=name)


def test_npz_with_numbered_layers_is_read(tmp_path, npz, arrays):
    numbered = tmp_path / "numbered.npz"
    renamed = {
        key.replace("standardized_conv2d", f"standardized_conv2d_{number}"): array
        for number, (key, array) in enumerate(arrays.items())
    }
    np.savez(numbered, allow_pickle=False, **renamed)
    plain, other = build("r26w32", classes=5, seed=0), build("r26w32", classes=5, seed=1)
    load_body(plain, npz)
    load_body(other, numbered)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in plain.state_dict().items())


def test_body_comes_back_and_the_head_stays(tmp_path):
    upstream = build("r14w16", classes=10, seed=0)
    torch.nn.init.ones_(upstream.get_parameter("head.fc.weight"))
    save_body(upstream, tmp_path / "body.safetensors", {"upstream": "scenes", "epochs": 3})
    model = build("r14w16", classes=10, seed=1)
    load_body(model, tmp_path / "body.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(
            tensor, torch.zeros_like(tensor) if name.startswith("head.") else upstream.state_dict()[name]
        )
    with safe_open(tmp_path / "body.safetensors", "pt") as file:
        assert json.loads(file.metadata()["medtransfer"]) == {"upstream": "scenes", "epochs": 3}
        assert not any(name.startswith("head.") for name in file.keys())  # noqa: SIM118


def test_equal_weights_give_equal_files(tmp_path):
    contents = set()
    for number in range(3):
        path = tmp_path / f"{number}.safetensors"
        save_body(build("r14w16", classes=number + 1, seed=0), path, dict.fromkeys("abcdefgh", 1))
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_state_dicts_of_timm_are_read(tmp_path):
    from timm.models.resnetv2 import resnetv2_50x1_bit  # not before medtransfer has seen to torchvision

    released = resnetv2_50x1_bit(num_classes=3)
    save_file(released.state_dict(), tmp_path / "timm.safetensors")
    model = build("r50x1", classes=3, seed=0)
    load_body(model, tmp_path / "timm.safetensors")
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for network in (model, released):
            torch.nn.init.ones_(network.get_parameter("head.fc.weight"))
        torch.testing.assert_close(model(images), released(images), rtol=0, atol=0)


def spoil(arrays: Arrays, what: str) -> Arrays:
    key = "resnet/block2/unit01/b/standardized_conv2d/kernel"
    norm = "resnet/block1/unit02/a/group_norm/gamma"
    spoiled = dict(arrays)
    if what == "missing":
        del spoiled[key]
    elif what == "unexpected":
        spoiled["resnet/block2/unit03/a/group_norm/gamma"] = np.ones(64, np.float32)
    elif what == "shape":
        spoiled[norm] = np.ones(1, np.float32)  # would broadcast
    elif what == "not finite":
        spoiled[norm] = np.full(32, np.nan, np.float32)
    return spoiled


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", r"stages\.1\.blocks\.0\.conv2\.weight is missing, expected \(16, 16, 3, 3\)"),
        ("unexpected", r"stages\.1\.blocks\.2\.norm1\.weight \(64,\) is unexpected"),
        ("shape", r"stages\.0\.blocks\.1\.norm1\.weight is \(1,\), expected \(32,\)"),
        ("not finite", r"stages\.0\.blocks\.1\.norm1\.weight holds values that are not finite"),
    ],
)
def test_a_tensor_out_of_place_is_named_and_nothing_is_loaded(tmp_path, arrays, what, message):
    path = tmp_path / "spoiled.npz"
    np.savez(path, allow_pickle=False, **spoil(arrays, what))
    model = build("r26w32", classes=3, seed=0)
    with pytest.raises(UserError, match=f"(?s)spoiled.npz.*{message}"):
        load_body(model, path)
    untouched = build("r26w32", classes=3, seed=0).state_dict()
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in model.state_dict().items())


def test_weights_of_another_backbone_are_refused_in_few_lines(tmp_path):
    save_body(build("r26w32", classes=3, seed=0), tmp_path / "r26w32.safetensors", {})
    with pytest.raises(UserError, match=r"(?s)not the weights.*\.\.\. and \d+ more") as caught:
        load_body(build("r14w16", classes=3, seed=0), tmp_path / "r26w32.safetensors")
    assert len(str(caught.value).splitlines()) == 7


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.npz", None, "no such file"),
        ("weights.pth", b"", r"\.safetensors or \.npz"),
        ("page.npz", b"<html>404</html>", "cannot be read"),
        ("empty.npz", b"", "cannot be read"),
        ("page.safetensors", b"<html>404 Not Found</html>", "cannot be read"),
        ("empty.safetensors", b"", "cannot be read"),
    ],
)
def test_files_that_are_no_weights_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: .*{message}"):
        load_body(build("r14w16", classes=2, seed=0), tmp_path / name)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_download_broken_off_is_refused(tmp_path, npz, suffix):
    whole = npz
    if suffix == "safetensors":
        whole = tmp_path / "whole.safetensors"
        save_body(build("r26w32", classes=2, seed=0), whole, {})
    broken = tmp_path / f"broken.{suffix}"
    broken.write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(UserError, match="cannot be read"):
        load_body(build("r26w32", classes=2, seed=0), broken)


def test_a_spoilt_byte_in_an_npz_is_noticed(tmp_path, npz):
    content = bytearray(npz.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "spoilt.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"spoilt\.npz: cannot be read"):
        load_body(build("r26w32", classes=2, seed=0), tmp_path / "spoilt.npz")


def test_a_network_comes_back_with_its_classifier(tmp_path):
    trained, other = build("r14w16", classes=3, seed=0), build("r14w16", classes=3, seed=1)
    torch.nn.init.ones_(trained.head.fc.weight)
    save_network(trained, tmp_path / "weights.safetensors", {"seed": 0})
    load_network(other, tmp_path / "weights.safetensors")
    assert all(torch.equal(other.state_dict()[name], tensor) for name, tensor in trained.state_dict().items())


def test_a_network_for_other_labels_or_without_a_classifier_is_refused(tmp_path):
    save_network(build("r14w16", classes=3, seed=0), tmp_path / "three.safetensors", {})
    save_body(build("r14w16", classes=5, seed=0), tmp_path / "body.safetensors", {})
    with pytest.raises(UserError, match=r"head.fc.weight .* expected \(5"):
        load_network(build("r14w16", classes=5, seed=0), tmp_path / "three.safetensors")
    with pytest.raises(UserError, match=r"head\.fc\.weight is missing"):
        load_network(build("r14w16", classes=5, seed=0), tmp_path / "body.safetensors")
