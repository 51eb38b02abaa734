"""RetinaMNIST: 1,600 fundus photographs, five grades of diabetic retinopathy (Yang et al. 2023).

Expected: retinamnist.npz (28 pixels) or retinamnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from DeepDRiD (Liu et al. 2022). The grades are ordered, 0 to 4. The photographs are cropped to the centre. No
patients are named, though some are likely to have several photographs: each image stands for a patient.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = ("grade0", "grade1", "grade2", "grade3", "grade4")
CHANNELS = 3


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read RetinaMNIST: one row per image, one-hot labels."""
    return read_medmnist(RawFolder(raw, __doc__), "retinamnist", LABELS, size)
