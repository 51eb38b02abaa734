"""DermaMNIST: 10,015 dermoscopic images of pigmented lesions, seven diagnoses (Yang et al. 2023).

Expected: dermamnist.npz (28 pixels) or dermamnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from HAM10000 (Tschandl et al. 2018). The labels have the names of ham10000. No lesions are named: each image
stands for a patient, though images of one lesion may stand in two splits. Never combine it with ham10000 or isic_2019,
which hold the same images.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
CHANNELS = 3


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read DermaMNIST: one row per image, one-hot labels."""
    return read_medmnist(RawFolder(raw, __doc__), "dermamnist", LABELS, size)
