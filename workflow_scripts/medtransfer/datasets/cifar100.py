"""CIFAR-100: 60,000 images of 32 x 32 pixels, 100 classes (Krizhevsky 2009). Natural images, for pre-training.

Expected: cifar-100-binary/ (train.bin, test.bin, fine_label_names.txt), or cifar-100-python/ (train, test, meta), or
Parquet files train*.parquet and test*.parquet with image_bytes and label_name. From
https://www.cs.toronto.edu/~kriz/cifar.html. The class is the fine label.
"""

from pathlib import Path

from medtransfer.datasets._cifar import read_cifar
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS: tuple[str, ...] = ()
CHANNELS = 3
BATCHES = {"train": "train", "test": "test"}


def read(raw: Path) -> Reading:
    """Read CIFAR-100: one row per image, with its class_name."""
    binary = {f"{name}.bin": part for name, part in BATCHES.items()}
    return read_cifar(RawFolder(raw, __doc__), binary, BATCHES, ("fine_label_names.txt", "fine_label_names"))
