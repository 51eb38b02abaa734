"""PneumoniaMNIST: 5,856 chest films of children, with and without pneumonia (Yang et al. 2023).

Expected: pneumoniamnist.npz (28 pixels) or pneumoniamnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from the images of Kermany et al. (2018). Class 0, normal, is no_finding. The source's training images are train
and val, nine to one, its validation images test. No patients are named: each image stands for one.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = ("no_finding", "pneumonia")
CHANNELS = 1


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read PneumoniaMNIST: one row per image, one-hot labels."""
    return read_medmnist(RawFolder(raw, __doc__), "pneumoniamnist", LABELS, size)
