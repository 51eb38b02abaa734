"""OrganSMNIST: 25,211 sagittal slices of abdominal CT, eleven organs (Yang et al. 2023).

Expected: organsmnist.npz (28 pixels) or organsmnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from the Liver Tumor Segmentation benchmark (Bilic et al. 2023). Slices through the middle of each organ. The split
is by scan, but no scan is named: each image stands for a patient.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import ORGANS, read_medmnist
from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = ORGANS
CHANNELS = 1


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read OrganSMNIST: one row per image, one-hot labels."""
    return read_medmnist(RawFolder(raw, __doc__), "organsmnist", LABELS, size)
