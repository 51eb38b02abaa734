"""The loop: exact micro-batches, masked labels, bit-identical resume, and a stop at a loss that is not finite."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric

from medtransfer.config import Overrides
from medtransfer.errors import UserError
from medtransfer.models.bit import build
from medtransfer.training import checkpoint, loop
from medtransfer.training.augment import crop_and_flip, draw, for_evaluation, normalise
from medtransfer.training.examples import Examples, batch_indices
from medtransfer.training.finetuning import one_per_patient
from medtransfer.training.losses import count_terms, multiclass_loss, multilabel_loss
from medtransfer.training.recipe import hyperrule


@pytest.fixture
def fabric() -> Fabric:
    torch.set_num_threads(1)
    return Fabric(accelerator="cpu", devices=1)


def _examples(n: int = 40, labels: int = 3, channels: int = 1) -> Examples:
    generator = np.random.default_rng(0)
    shape = (n + 5, 24, 24) if channels == 1 else (n + 5, 24, 24, channels)
    targets = generator.integers(0, 2, (n, labels)).astype(np.float32)
    targets[generator.random(targets.shape) < 0.2] = np.nan
    store = generator.integers(0, 256, shape, dtype=np.uint8)
    return Examples([store], np.zeros(n, dtype=int), np.arange(n)[::-1] + 2, targets)


def _setting(tmp_path: Path, **changes: Any) -> loop.Setting:
    rule = hyperrule(
        40,
        "code",
        Overrides(steps=changes.pop("steps", 8), batch=16, learning_rate=0.05, mixup=changes.pop("mixup", 0.3)),
    )
    setting = loop.Setting(
        rule, "multilabel", crop=20, flip=True, seed=3, micro_batch=16, scratch=tmp_path,
        checkpoint_seconds=1e9, identity="one",
    )  # fmt: skip
    return replace(setting, **changes)


def _weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("micro_batch", [16, 5, 1])
@pytest.mark.parametrize("mixup", [0.0, 0.3])
def test_micro_batches_compute_the_same(tmp_path: Path, fabric: Fabric, micro_batch: int, mixup: float) -> None:
    results = []
    for size in (16, micro_batch):
        model = build("r14w16", 3, seed=0)
        progress = loop.fit(model, _examples(), _setting(tmp_path, steps=3, micro_batch=size, mixup=mixup), fabric)
        results.append((_weights(model), progress.losses))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-4)


class _Killed(Exception):
    pass


@pytest.mark.parametrize("die_after", [1, 3, 7])
def test_a_run_killed_after_any_step_resumes_bit_identical(
    tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch, die_after: int
) -> None:
    undisturbed = build("r14w16", 3, seed=0)
    whole = loop.fit(undisturbed, _examples(), _setting(tmp_path / "a"), fabric)

    setting = _setting(tmp_path / "b", checkpoint_seconds=0)
    saved, real = 0, checkpoint.Saver.save

    def save_then_die(saver: checkpoint.Saver, state: dict[str, Any], step: int) -> None:
        nonlocal saved
        real(saver, state, step)
        saved += 1
        if saved == die_after:
            raise _Killed

    with monkeypatch.context() as patched, pytest.raises(_Killed):
        patched.setattr(checkpoint.Saver, "save", save_then_die)
        loop.fit(build("r14w16", 3, seed=0), _examples(), setting, fabric)
    resumed = build("r14w16", 3, seed=99)
    again = loop.fit(resumed, _examples(), setting, fabric)
    assert torch.equal(_weights(resumed), _weights(undisturbed))
    assert again.losses == whole.losses


def test_looks_change_nothing_and_outlive_a_kill(
    tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = _examples()
    unseen, seen = build("r14w16", 3, seed=0), build("r14w16", 3, seed=0)
    loop.fit(unseen, examples, _setting(tmp_path / "a"), fabric)

    def look() -> np.ndarray:
        return loop.predict(seen, examples, 20, 16, fabric)

    setting = _setting(tmp_path / "b", checkpoint_seconds=0, looks=loop.look_steps(8, 4))
    real, steps = loop._step, 0

    def step_then_die(*arguments: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 6:
            raise _Killed
        return real(*arguments)

    with monkeypatch.context() as patched, pytest.raises(_Killed):
        patched.setattr(loop, "_step", step_then_die)
        loop.fit(seen, examples, setting, fabric, look)
    progress = loop.fit(seen, examples, setting, fabric, look)
    assert torch.equal(_weights(seen), _weights(unseen))
    assert sorted(progress.looks) == [0, 2, 4, 8]
    assert not progress.looks[0].any()  # the classifier starts at zero
    np.testing.assert_array_equal(progress.looks[8].numpy(), look())


@pytest.mark.parametrize(("steps", "looks"), [(500, 10), (7, 3), (2, 10)])
def test_looks_begin_at_the_start_end_at_the_last_step_and_grow_apart(steps: int, looks: int) -> None:
    at = loop.look_steps(steps, looks)
    assert at[0] == 0 and at[-1] == steps and len(at) <= looks + 1
    assert list(at) == sorted(set(at)) and at[1] - at[0] <= at[-1] - at[-2]


def test_tracked_images_are_of_one_patient_each_and_the_same_for_every_run() -> None:
    rows = pd.DataFrame({"image_id": list("abcdefgh"), "patient_id": list("11223344")})
    chosen = one_per_patient(rows, 3)
    assert len(chosen) == 3 and chosen["patient_id"].is_unique
    pd.testing.assert_frame_equal(one_per_patient(rows[::-1], 3), chosen)
    assert len(one_per_patient(rows, 100)) == 4


def test_a_signal_saves_and_stops(tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = loop._step, 0

    def step_with_signal(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    setting = _setting(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(checkpoint.Interrupted) as stopped:
        patched.setattr(loop, "_step", step_with_signal)
        loop.fit(build("r14w16", 3, seed=0), _examples(), setting, fabric)
    assert stopped.value.code == 143
    state = checkpoint.load(setting.scratch / "checkpoint.pt", "one")
    assert state is not None and state["progress"]["step"] == 3
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    undisturbed, resumed = build("r14w16", 3, seed=0), build("r14w16", 3, seed=0)
    loop.fit(undisturbed, _examples(), _setting(tmp_path / "other"), fabric)
    loop.fit(resumed, _examples(), setting, fabric)
    assert torch.equal(_weights(resumed), _weights(undisturbed))


def test_a_checkpoint_of_another_configuration_is_not_resumed(tmp_path: Path) -> None:
    checkpoint.Saver(tmp_path / "c.pt", 0, 0.02).save({"identity": "one", "x": 1}, 1)
    assert checkpoint.load(tmp_path / "c.pt", "two") is None
    assert checkpoint.load(tmp_path / "absent.pt", "one") is None


def test_a_failed_save_keeps_the_last_checkpoint_and_training_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.pt"
    saver = checkpoint.Saver(path, 0, 0.02)
    saver.save({"identity": "one", "x": 1}, 1)

    def disk_full(*arguments: Any) -> None:
        Path(arguments[1]).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    saver.save({"identity": "one", "x": 2}, 2)
    assert saver.step == 1 and "No space left" in capsys.readouterr().err
    assert checkpoint.load(path, "one") == {"identity": "one", "x": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]


def test_a_loss_that_is_not_finite_stops_with_step_and_batch(tmp_path: Path, fabric: Fabric) -> None:
    setting = _setting(tmp_path, checkpoint_seconds=0)
    rule = replace(setting.hyperparameters, learning_rate=1e30)
    with pytest.raises(UserError, match=r"The loss of step \d+ is (nan|inf) .*the batch began with.*learning rate"):
        loop.fit(build("r14w16", 3, seed=0), _examples(), replace(setting, hyperparameters=rule), fabric)
    state = checkpoint.load(setting.scratch / "checkpoint.pt", "one")
    assert state is not None and np.isfinite(state["progress"]["losses"]).all()


def test_losses_agree_with_torch_and_mask_missing_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(6, 4, generator=generator), torch.rand(6, 4, generator=generator)
    targets[0, 1] = targets[3, 2] = torch.nan
    known = ~targets.isnan()
    expected = torch.nn.BCEWithLogitsLoss()(logits[known], targets[known])
    assert multilabel_loss(logits, targets) / count_terms("multilabel", targets) == pytest.approx(expected.item())

    logits.requires_grad_()
    multilabel_loss(logits, targets).backward()
    assert logits.grad is not None and logits.grad[0, 1] == 0 and logits.grad[1, 1] != 0

    classes = torch.tensor([0, 3, 2, 1, 1, 0])
    one_hot = torch.nn.functional.one_hot(classes, 4).float()
    expected = torch.nn.CrossEntropyLoss()(logits.detach(), classes)
    assert multiclass_loss(logits.detach(), one_hot) / count_terms("multiclass", one_hot) == pytest.approx(
        expected.item()
    )


def test_batches_run_through_every_epoch() -> None:
    seen = np.concatenate([batch_indices(10, 4, step, seed=1) for step in range(15)])
    for epoch in range(6):
        assert sorted(seen[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:20])
    assert len(batch_indices(3, 8, 0, seed=0)) == 8


def test_crops_and_flips_against_slicing() -> None:
    images = torch.arange(5 * 3 * 9 * 9, dtype=torch.float32).reshape(5, 3, 9, 9)
    choices = draw(5, 9, 6, flip=True, mixup=0.0, seed=0, step=4)
    positions = np.array([4, 1, 2])
    cut = crop_and_flip(images[positions], choices, positions, 6)
    assert choices.mirrored.any() and not choices.mirrored.all()
    for result, position in zip(cut, positions, strict=True):
        top, left = choices.corners[:, position].tolist()
        window = images[position, :, top : top + 6, left : left + 6]
        assert torch.equal(result, window.flip(2) if choices.mirrored[position] else window)


def test_random_choices_depend_on_seed_and_step_alone_and_cover_the_image() -> None:
    def corners(seed: int, step: int) -> list[int]:
        return draw(64, 12, 8, flip=False, mixup=0.1, seed=seed, step=step).corners.flatten().tolist()

    assert corners(1, 2) == corners(1, 2) != corners(1, 3)
    assert set(corners(0, 0)) == {0, 1, 2, 3, 4}
    assert not draw(64, 12, 8, flip=False, mixup=0.0, seed=0, step=0).mirrored.any()


def test_networks_see_minus_one_to_one_in_three_channels() -> None:
    film = torch.tensor([[[[0, 255], [128, 127]]]], dtype=torch.uint8)
    seen = normalise(film)
    assert seen.shape == (1, 3, 2, 2)
    assert seen.min() == -1 and seen.max() == 1
    assert for_evaluation(torch.zeros(2, 3, 12, 12, dtype=torch.uint8), 8).shape == (2, 3, 8, 8)


@pytest.mark.parametrize("channels", [1, 3])
def test_prediction_keeps_the_order_whatever_the_batch(fabric: Fabric, channels: int) -> None:
    model = build("r14w16", 3, seed=0)
    torch.nn.init.normal_(model.head.fc.weight)
    examples = _examples(11, channels=channels)
    together = loop.predict(model, examples, 20, 11, fabric)
    for batch in (1, 4):
        np.testing.assert_allclose(loop.predict(model, examples, 20, batch, fabric), together, rtol=1e-4, atol=1e-5)
