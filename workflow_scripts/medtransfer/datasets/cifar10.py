"""CIFAR-10: 60,000 images of 32 x 32 pixels, 10 classes (Krizhevsky 2009). Natural images, for pre-training.

Expected: cifar-10-batches-bin/ (data_batch_1.bin to data_batch_5.bin, test_batch.bin, batches.meta.txt), or
cifar-10-batches-py/, or Parquet files train*.parquet and test*.parquet with image_bytes and label_name. From
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from pathlib import Path

from medtransfer.datasets._cifar import read_cifar
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS: tuple[str, ...] = ()
CHANNELS = 3
BATCHES = {f"data_batch_{number}": "train" for number in range(1, 6)} | {"test_batch": "test"}


def read(raw: Path) -> Reading:
    """Read CIFAR-10: one row per image, with its class_name."""
    binary = {f"{name}.bin": part for name, part in BATCHES.items()}
    return read_cifar(RawFolder(raw, __doc__), binary, BATCHES, ("batches.meta.txt", "label_names"))
