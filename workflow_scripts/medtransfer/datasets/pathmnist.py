"""PathMNIST: 107,180 patches of colorectal tissue on stained slides, nine kinds of tissue (Yang et al. 2023).

Expected: pathmnist.npz (28 pixels) or pathmnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from NCT-CRC-HE-100K and CRC-VAL-HE-7K (Kather et al. 2019). Train and val are one source, split nine to one; test
comes from another centre. Neither slides nor patients are named: each image stands for a patient.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = (
    "adipose",
    "background",
    "debris",
    "lymphocytes",
    "mucus",
    "smooth_muscle",
    "normal_colon_mucosa",
    "cancer_associated_stroma",
    "colorectal_adenocarcinoma_epithelium",
)
CHANNELS = 3


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read PathMNIST: one row per image, one-hot labels."""
    return read_medmnist(RawFolder(raw, __doc__), "pathmnist", LABELS, size)
