"""ChestMNIST: 112,120 frontal chest films, 14 findings (Yang et al. 2023).

Expected: chestmnist.npz (28 pixels) or chestmnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from ChestX-ray14 (Wang et al. 2017). The labels have the names that nih_cxr14 gives them. No patients are named,
and the split is not that of ChestX-ray14's lists: each image stands for a patient. Never combine it with nih_cxr14,
which holds the same images.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = (
    "atelectasis",
    "cardiomegaly",
    "effusion",
    "infiltration",
    "mass",
    "nodule",
    "pneumonia",
    "pneumothorax",
    "consolidation",
    "edema",
    "emphysema",
    "fibrosis",
    "pleural_thickening",
    "hernia",
)
CHANNELS = 1


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read ChestMNIST: one row per image, every finding 1 or 0."""
    return read_medmnist(RawFolder(raw, __doc__), "chestmnist", LABELS, size, multi_label=True)
