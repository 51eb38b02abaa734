"""The networks are BiT's: checked against a second implementation in numpy and plain torch operations."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from medtransfer.errors import UserError
from medtransfer.models import torchvision_shim
from medtransfer.models.bit import build, skeleton
from medtransfer.models.catalogue import BACKBONES, BIT, SMALL, find, multiply_adds, parameter_count
from medtransfer.models.memory import activation_bytes_per_image, micro_batch
from medtransfer.models.weights import load_body
from tests.bit_reference import Arrays, google_arrays, reference_forward

# Parameters of body, and with 5, 14, 1,000 and 21,843 classes, as counted on Google's released model code.
PUBLISHED_SIZES = {
    "r50x1": (23_500_352, 23_510_597, 23_529_038, 25_549_352, 68_256_659),
    "r101x1": (42_492_480, 42_502_725, 42_521_166, 44_541_480, 87_248_787),
    "r50x3": (211_174_080, 211_204_805, 211_260_110, 217_319_080, 345_399_315),
    "r152x2": (232_238_208, 232_258_693, 232_295_566, 236_335_208, 321_728_979),
    "r101x3": (381_789_888, 381_820_613, 381_875_918, 387_934_888, 516_015_123),
    "r152x4": (928_340_224, 928_381_189, 928_454_926, 936_533_224, 1_107_299_923),
}


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return google_arrays("r26w32", classes=3)


@pytest.fixture
def model(arrays: Arrays, tmp_path: Path) -> torch.nn.Module:
    """A network with the weights of `arrays`, its classifier too."""
    np.savez(tmp_path / "google.npz", allow_pickle=False, **arrays)
    model = build("r26w32", classes=3, seed=0)
    load_body(model, tmp_path / "google.npz")
    kernel, bias = (torch.from_numpy(arrays[f"resnet/head/conv2d/{part}"]) for part in ("kernel", "bias"))
    model.load_state_dict({"head.fc.weight": kernel.permute(3, 2, 0, 1), "head.fc.bias": bias}, strict=False)
    return model


@pytest.mark.parametrize("size", [(40, 40), (45, 70)])
def test_forward_is_that_of_the_paper(arrays, model, size):
    images = np.random.default_rng(1).uniform(-1, 1, (2, 3, *size))
    logits = model.double()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(logits, reference_forward(arrays, "r26w32", images), rtol=1e-8)


def test_float32_is_close_to_float64(arrays, model):
    images = np.random.default_rng(1).uniform(-1, 1, (2, 3, 40, 40)).astype(np.float32)
    logits = model(torch.from_numpy(images)).detach().numpy()
    expected = reference_forward(arrays, "r26w32", images)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    parameters = dict(model.named_parameters())
    return dict(zip(parameters, torch.autograd.grad(model(images).sum(), list(parameters.values())), strict=True))


def test_only_the_zero_head_learns_at_first_and_then_everything(arrays, model):
    new = {name for name, gradient in gradients(build("r26w32", classes=3, seed=0)).items() if gradient.abs().sum() > 0}
    assert new == {"head.fc.weight", "head.fc.bias"}
    for name, gradient in gradients(model).items():
        assert gradient.shape == model.get_parameter(name).shape
        assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0, name


def test_recomputed_activations_give_the_very_same_gradients(model):
    kept, calls = gradients(model), []
    model.stages[0].blocks[0].register_forward_pre_hook(lambda *_: calls.append("forward"))
    model.set_grad_checkpointing()
    recomputed = gradients(model)
    assert len(calls) == 2
    assert all(torch.equal(recomputed[name], gradient) for name, gradient in kept.items())


def test_prediction_of_an_image_does_not_depend_on_its_batch():
    model = build("r14w16", classes=2, seed=0)
    torch.nn.init.ones_(model.head.fc.weight)
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(images)[:2], model(images[:2]))


def test_new_networks_predict_zero():
    assert torch.equal(build("r14w32", classes=5, seed=3)(torch.ones(2, 3, 40, 40)), torch.zeros(2, 5))


def test_seed_alone_decides_the_weights():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = build("r14w16", classes=2, seed=0).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    again, other = (build("r14w16", classes=9, seed=seed).state_dict() for seed in (0, 1))
    body = [name for name in first if not name.startswith("head.")]
    assert all(torch.equal(first[name], again[name]) for name in body)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_convolutions_start_with_the_variance_of_he_and_norms_as_the_identity():
    for name, tensor in build("r26w64", classes=2, seed=0).named_parameters():
        if tensor.ndim == 4 and not name.startswith("head."):
            fan_out = tensor.shape[0] * tensor.shape[2] * tensor.shape[3]
            assert tensor.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15), name
        elif "norm" in name:
            assert (tensor == (1 if name.endswith("weight") else 0)).all(), name


@pytest.mark.parametrize("backbone", PUBLISHED_SIZES)
def test_parameter_counts_are_the_published_ones(backbone):
    assert (
        tuple(parameter_count(backbone, classes) for classes in (0, 5, 14, 1_000, 21_843))
        == (PUBLISHED_SIZES[backbone])
    )


@pytest.mark.parametrize("backbone", BACKBONES)
def test_formula_counts_what_is_built(backbone):
    built = sum(parameter.numel() for parameter in skeleton(backbone, 14).parameters())
    assert parameter_count(backbone, 14) == built


@pytest.mark.parametrize(("backbone", "tensors"), [("r50x1", 153), ("r101x1", 306), ("r152x4", 459)])
def test_networks_have_the_released_tensors(backbone, tensors):
    assert len(list(skeleton(backbone, 1000).parameters())) == tensors


@pytest.mark.parametrize("backbone", BACKBONES)
def test_names_say_depth_and_width(backbone):
    net = find(backbone)
    depth = 3 * sum(net.units) + 2
    assert backbone in (f"r{depth}x{net.width / 256:g}", f"r{depth}w{net.width}")


def test_narrowest_norm_has_two_channels_a_group_in_small_nets_as_in_r50x1():
    assert {find(name).stem / find(name).groups for name in (*SMALL, "r50x1")} == {2}
    assert {find(name).groups for name in BIT} == {32}


def test_unknown_backbone_names_the_known():
    with pytest.raises(UserError, match=r"'r18'.*r14w16.*r152x4"):
        build("r18", classes=2, seed=0)


@pytest.mark.parametrize(("backbone", "size"), [("r14w16", 40), ("r26w32", 63), ("r50x1", 224), ("r152x4", 480)])
def test_multiply_adds_are_those_that_torch_counts_in_the_convolutions(backbone, size):
    with FlopCounterMode(display=False) as counter:
        skeleton(backbone, 1)(torch.empty(1, 3, size, size, device="meta"))
    counted = counter.get_total_flops() // 2 - find(backbone).features  # less the classifier
    assert multiply_adds(backbone, size) == counted


def test_catalogue_does_not_import_torch():
    code = "import sys, medtransfer.models.catalogue; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    folder = Path(torchvision_shim.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


# MiB in an all-bfloat16 network at 448 px, from the same count made independently on timm's networks.
BFLOAT16_MIB = {"r50x1": 151, "r101x1": 229, "r50x3": 451, "r152x2": 650, "r101x3": 685, "r152x4": 1299}


@pytest.mark.parametrize(("backbone", "mib"), BFLOAT16_MIB.items())
def test_activation_bytes_are_twice_those_of_bfloat16(backbone, mib):
    # The positions that the stem's pool remembers are int64 in any precision.
    positions = find(backbone).stem * (448 // 4) ** 2 * 8
    floats = activation_bytes_per_image(backbone, 5, 448) - positions
    assert (floats / 2 + positions) / 2**20 == pytest.approx(mib, abs=1)


def test_activation_bytes_of_a_small_net_are_those_that_autograd_saves_on_the_cpu():
    model = build("r14w32", classes=5, seed=0)
    saved: dict[int, int] = {}
    kept = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.zeros(8, 3, 40, 40))
    constant = 4 * parameter_count("r14w32", 5) * 2  # weights and their standardised copies
    assert sum(saved.values()) == pytest.approx(8 * activation_bytes_per_image("r14w32", 5, 40) + constant, rel=0.02)


# As above, where residual units keep their inputs alone.
RECOMPUTED_MIB = {"r50x1": 58, "r101x1": 84, "r50x3": 172, "r152x2": 231, "r101x3": 250, "r152x4": 461}


@pytest.mark.parametrize(("backbone", "mib"), RECOMPUTED_MIB.items())
def test_recomputing_leaves_the_inputs_of_units_and_one_unit(backbone, mib):
    positions = find(backbone).stem * (448 // 4) ** 2 * 8 / 2**20
    inputs = 2 * (mib - positions) + positions
    counted = activation_bytes_per_image(backbone, 5, 448, recompute=True) / 2**20
    assert inputs + 1 < counted < 1.3 * inputs
    assert counted < activation_bytes_per_image(backbone, 5, 448) / 2**20 / 2


@pytest.mark.parametrize(
    ("batch", "bytes_per_image", "budget", "expected"),
    [(512, 10, 5120, 512), (512, 10, 5119, 256), (512, 10, 40, 4), (512, 10, 3, 1), (96, 1, 40, 32), (7, 1, 6, 1)],
)
def test_micro_batch_is_the_largest_even_split_that_fits(batch, bytes_per_image, budget, expected):
    assert micro_batch(batch, bytes_per_image, budget) == expected


@pytest.fixture
def run_shim(tmp_path, monkeypatch):
    """Run the shim afresh beside a torchvision with the source given."""

    def run(torchvision: str) -> dict[str, object]:
        (tmp_path / "torchvision.py").write_text(torchvision)
        monkeypatch.syspath_prepend(tmp_path)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            monkeypatch.delitem(sys.modules, name)
        return runpy.run_path(torchvision_shim.__file__)

    return run


@pytest.mark.parametrize("error", [RuntimeError("CUDA driver too old"), ImportError("torchvision::nms")])
def test_shim_passes_other_errors_on(run_shim, error):
    with pytest.raises(type(error), match=str(error)):
        run_shim(f"raise {error!r}")


def test_shim_does_nothing_where_the_builds_match(run_shim):
    assert "_library" not in run_shim("version = 'matching'")
