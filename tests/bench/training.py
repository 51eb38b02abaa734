"""Training images per second: the loop, the bare steps of its network, and a DataLoader that decodes each epoch.

All three run in turn, several rounds in one process, on one CPU thread or on a GPU where there is one. The bare steps
are forward, backward and optimiser on tensors that lie in memory: what no loop can be faster than. The DataLoader reads
the same JPEG files from disk, as a training script without an image store does.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image

from medtransfer.config import Overrides
from medtransfer.imaging.chunk import Form
from medtransfer.imaging.store import build_store
from medtransfer.models.bit import build
from medtransfer.training.examples import Examples, open_store
from medtransfer.training.loop import Setting, fit
from medtransfer.training.losses import multilabel_loss
from medtransfer.training.recipe import hyperrule

BACKBONE, LABELS, BATCH = "r26w32", 5, 64
NATIVE, RESIZE, CROP = 320, 48, 40
IMAGES, STEPS, ROUNDS = 512, 120, 5


class Files(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Decode, resize, crop and normalise one file at a time."""

    def __init__(self, paths: list[Path], targets: np.ndarray) -> None:
        self.paths, self.targets = paths, torch.from_numpy(targets)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = Image.open(self.paths[index]).resize((RESIZE, RESIZE), Image.Resampling.BILINEAR)
        top, left = torch.randint(0, RESIZE - CROP + 1, (2,))
        pixels = torch.from_numpy(np.array(image))[top : top + CROP, left : left + CROP]
        return (pixels.float() / 127.5 - 1).expand(3, -1, -1), self.targets[index]


def _steps(batches: list[tuple[torch.Tensor, torch.Tensor]], fabric: Fabric) -> float:
    """Images per second of plain training steps on given batches."""
    model = build(BACKBONE, LABELS, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
    network, optimizer = fabric.setup(model, optimizer)
    started = time.perf_counter()
    for images, targets in batches:
        optimizer.zero_grad()
        fabric.backward(multilabel_loss(network(images), targets) / targets.numel())
        optimizer.step()
    _finish(fabric)
    return len(batches) * BATCH / (time.perf_counter() - started)


def _finish(fabric: Fabric) -> None:
    if fabric.device.type == "cuda":
        torch.cuda.synchronize()


def _loop(examples: Examples, fabric: Fabric, folder: Path) -> float:
    rule = hyperrule(IMAGES, "code", Overrides(steps=STEPS, batch=BATCH, mixup=0.0))
    setting = Setting(rule, "multilabel", CROP, True, 0, BATCH, folder / "checkpoint.pt", 1e9, "bench")
    model = build(BACKBONE, LABELS, seed=0)
    started = time.perf_counter()
    fit(model, examples, setting, fabric)
    _finish(fabric)
    return STEPS * BATCH / (time.perf_counter() - started)


def _dataloader(files: Files, fabric: Fabric) -> float:
    epochs = -(-STEPS * BATCH // IMAGES)
    started, seen = time.perf_counter(), 0
    model = build(BACKBONE, LABELS, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
    network, optimizer = fabric.setup(model, optimizer)
    for _ in range(epochs):
        for images, targets in torch.utils.data.DataLoader(files, BATCH, shuffle=True, drop_last=True):
            optimizer.zero_grad()
            logits = network(images.to(fabric.device))
            fabric.backward(multilabel_loss(logits, targets.to(fabric.device)) / targets.numel())
            optimizer.step()
            seen += len(images)
    _finish(fabric)
    return seen / (time.perf_counter() - started)


def main() -> None:
    """Print the medians of each, and the loop's share of the bare steps."""
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cuda" if torch.cuda.is_available() else "cpu", devices=1)
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"{number:04d}.jpg" for number in range(IMAGES)]
        for path in paths:
            Image.fromarray(generator.integers(0, 256, (NATIVE, NATIVE), dtype=np.uint8)).save(path)
        names = [path.name for path in paths]
        build_store(folder, names, Form(1, RESIZE), folder / "store.npy", folder / "scratch", workers=1)
        targets = generator.integers(0, 2, (IMAGES, LABELS)).astype(np.float32)
        examples = Examples([open_store(folder / "store.npy")], np.zeros(IMAGES, dtype=int), np.arange(IMAGES), targets)
        in_memory = [
            (torch.randn(BATCH, 3, CROP, CROP, device=fabric.device), torch.ones(BATCH, LABELS, device=fabric.device))
        ] * STEPS
        rounds = [
            (_loop(examples, fabric, folder), _steps(in_memory, fabric), _dataloader(Files(paths, targets), fabric))
            for _ in range(ROUNDS)
        ]
    loop, bare, dataloader = np.median(rounds, axis=0)
    share = np.median([one / other for one, other, _ in rounds])
    print(f"{BACKBONE} at {CROP} px, batch {BATCH}, {fabric.device.type}, medians of {ROUNDS} rounds")
    print(f"training loop: {loop:,.0f} images/s, {share:.3f} of the bare steps ({bare:,.0f} images/s)")
    slower = loop / dataloader
    print(f"DataLoader decoding {NATIVE} px JPEG each epoch: {dataloader:,.0f} images/s, {slower:.1f} times slower")


if __name__ == "__main__":
    main()
