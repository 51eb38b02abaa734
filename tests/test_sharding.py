"""Networks that are split over processes: what they compute, keep and go on from is what one process does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file
from torch.distributed.tensor import DTensor

from medtransfer.config import load
from medtransfer.errors import UserError
from medtransfer.training import loop
from medtransfer.training.finetuning import finetune_batch
from tests.conftest import ROOT

LABELS = ["a", "b", "c"]
STEPS, STOPPED_AFTER = 8, 3
ONE = {"devices": 1}
WHOLE = {"devices": 2}
SPLIT = {"devices": 2, "shard": True}


def write_inputs(folder: Path) -> None:
    """A cohort of noise with a subset and a store, as `finetune_batch` reads them."""
    generator = np.random.default_rng(0)
    splits = np.repeat(["train", "val", "test"], [40, 9, 11])
    ids = [f"image{number}" for number in range(len(splits))]
    labels = {label: pd.array(generator.integers(0, 2, len(ids)), dtype="Int8") for label in LABELS}
    cohort = pd.DataFrame(
        {"image_id": ids, "patient_id": ids, "dataset": "films", "row": range(len(ids)), "split": splits, **labels}
    )
    cohort.to_parquet(folder / "cohort.parquet")
    cohort[cohort["split"] == "train"][["image_id"]].to_parquet(folder / "subset.parquet")
    np.save(folder / "films.npy", generator.integers(0, 256, (len(ids), 52, 52), dtype=np.uint8))
    (folder / "films.json").write_text(json.dumps({"sha256": "of the films"}))


def train(data: Path, folder: Path, recompute: bool, stop_process: int | None, **device: Any) -> None:
    """Fine-tune into a folder; one process is asked to stop after some steps, if it is named.

    Each process writes how many numbers of weights, gradients and momentum it holds.
    """
    real, process = loop._step, int(os.environ.get("LOCAL_RANK", 0))

    def step(*arguments: Any) -> torch.Tensor:
        network, optimizer, *_, progress = arguments
        if progress.step == STOPPED_AFTER - 1 and process == stop_process:
            os.kill(os.getpid(), signal.SIGTERM)
        loss = real(*arguments)
        momentum = [state["momentum_buffer"] for state in optimizer.state.values()]
        tensors = {
            "weights": list(network.parameters()),
            "gradients": [parameter.grad for parameter in network.parameters()],
            "momentum": momentum,
        }
        held = {kind: sum(map(_size, each)) for kind, each in tensors.items()}
        (folder / f"held{process}.json").write_text(json.dumps(held))
        return loss

    loop._step = step  # type: ignore[assignment]
    keys = {"task": "noise", "backbone": "r14w16", "upstream": "none", "initialisation": "random", "recipe": "rule"}
    run = {
        "run": {**keys, "budget": "pct100", "seed": 0},
        "settings": {
            "task": {"kind": "multilabel", "labels": LABELS, "id_cohort": "films", "flip": True},
            # Two processes share 11 images unevenly, in micro-batches of one.
            "recipe": {"overrides": {"steps": STEPS, "batch": 11, "learning_rate": 0.02, "mixup": 0.3}},
            "resolution": {"resize": 52, "crop": 48},
            "tracking": {"looks": 2, "similarity_images": 5},
        },
        "inputs": {
            "subset": [str(data / "subset.parquet")],
            "cohorts": [str(data / "cohort.parquet")],
            "images": [str(data / "films.npy")],
            "weights": [],
        },
        "sources": ["films"],
        "goes_on": False,
        "keep": True,
        "scratch": str(folder),
        "results": str(folder / "results"),
        "log": None,
        "outcome": str(folder / "outcome.json"),
    }
    device = {"accelerator": "cpu", "precision": "32-true", "threads": 1, "recompute": recompute, **device}
    finetune_batch([run], 1, device, memory_mb=1, checkpoint_seconds=1e9, local_disk=None)


def _size(tensor: torch.Tensor) -> int:
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).numel()


def run(
    data: Path, folder: Path, device: dict[str, Any], recompute: bool = False, stop_process: int | None = None
) -> subprocess.CompletedProcess[str]:
    """`train` in processes of its own."""
    arguments = json.dumps(
        {"data": str(data), "folder": str(folder), "recompute": recompute, "stop_process": stop_process, **device}
    )
    path = os.pathsep.join([str(ROOT / "workflow_scripts"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "tests.test_sharding", arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        capture_output=True,
        timeout=240,
    )


def made(folder: Path, done: subprocess.CompletedProcess[str]) -> Path:
    """The folder of what a finished run made."""
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "outcome.json").read_text())["status"] == "finished"
    return folder / "finished"


def assert_same(left: Path, right: Path) -> None:
    """Two runs made the same, up to float order."""
    for name in ("predictions", "validation", "history"):
        one, other = (pd.read_parquet(folder / f"{name}.parquet") for folder in (left, right))
        pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=1e-5)
    with np.load(left / "representation.npz") as one, np.load(right / "representation.npz") as other:
        assert list(one) == list(other)
        for block in one:
            np.testing.assert_allclose(one[block], other[block], rtol=1e-4)
    torch.testing.assert_close(
        load_file(left / "weights.safetensors"), load_file(right / "weights.safetensors"), rtol=1e-4, atol=1e-5
    )
    records = [json.loads((folder / "run.json").read_text()) for folder in (left, right)]
    assert records[0]["identity"] == records[1]["identity"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes."""
    folder = tmp_path_factory.mktemp("alone")
    return made(folder, run(data, folder, ONE))


@pytest.mark.slow
@pytest.mark.parametrize(("device", "recompute"), [(WHOLE, False), (SPLIT, True)])
def test_two_processes_make_what_one_makes(
    data: Path, alone: Path, tmp_path: Path, device: dict[str, Any], recompute: bool
) -> None:
    together = made(tmp_path, run(data, tmp_path, device, recompute))
    assert_same(alone, together)
    record = json.loads((together / "run.json").read_text())
    assert record["devices"] == 2 and record["micro_batch"] == 1
    whole = sum(tensor.numel() for tensor in load_file(together / "weights.safetensors").values())
    for process in range(2):
        for held in json.loads((tmp_path / f"held{process}.json").read_text()).values():
            assert held == pytest.approx(whole / 2, rel=0.02) if device == SPLIT else held == whole
    headers = []
    for folder in (alone, together):
        with safe_open(folder / "weights.safetensors", "pt") as file:
            headers.append((file.metadata(), (folder / "weights.safetensors").stat().st_size))
    assert headers[0] == headers[1]


@pytest.mark.slow
@pytest.mark.parametrize(("first", "stop_process", "then"), [(SPLIT, 1, ONE), (ONE, 0, SPLIT), (WHOLE, 1, WHOLE)])
def test_stopped_in_one_process_all_stop_at_the_same_step_and_any_number_goes_on(
    data: Path, alone: Path, tmp_path: Path, first: dict[str, Any], stop_process: int, then: dict[str, Any]
) -> None:
    stopped = run(data, tmp_path, first, stop_process=stop_process)
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    trained = load_file(alone / "weights.safetensors")
    assert {name: tensor.shape for name, tensor in state["model"].items()} == {
        name: tensor.shape for name, tensor in trained.items()
    }
    assert state["progress"]["step"] == STOPPED_AFTER
    resumed = run(data, tmp_path, then)
    assert f"resumed after step {STOPPED_AFTER}/{STEPS}" in resumed.stderr
    assert_same(alone, made(tmp_path, resumed))


def test_sharding_is_refused_where_the_number_format_does_not_go_with_it() -> None:
    content = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    content["training"] = {"shard": True, "precision": "16-mixed"}
    with pytest.raises(UserError, match=r"training: `shard` .* 16-mixed; choose bf16-mixed or 32-true"):
        load(content, "demo.yaml")


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    train(Path(options.pop("data")), Path(options.pop("folder")), **options)
