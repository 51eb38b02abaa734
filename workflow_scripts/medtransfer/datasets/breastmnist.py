"""BreastMNIST: 780 breast ultrasound images, malignant or not (Yang et al. 2023).

Expected: breastmnist.npz (28 pixels) or breastmnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from the images of Al-Dhabyani et al. (2020). MedMNIST's class 0 is malignant and its class 1 normal or benign:
malignant is 1 here for class 0. No patients are named: each image stands for one.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = ("malignant",)
CHANNELS = 1


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read BreastMNIST: one row per image, 1 or 0."""
    return read_medmnist(RawFolder(raw, __doc__), "breastmnist", ("malignant", None), size)
