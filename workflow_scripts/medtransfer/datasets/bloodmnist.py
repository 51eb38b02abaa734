"""BloodMNIST: 17,092 single blood cells under the microscope, eight kinds (Yang et al. 2023).

Expected: bloodmnist.npz (28 pixels) or bloodmnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from the images of Acevedo et al. (2020). immature_granulocyte stands for myelocytes, metamyelocytes and
promyelocytes. No donors are named: each image stands for a patient.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = (
    "basophil",
    "eosinophil",
    "erythroblast",
    "immature_granulocyte",
    "lymphocyte",
    "monocyte",
    "neutrophil",
    "platelet",
)
CHANNELS = 3


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read BloodMNIST: one row per image, one-hot labels."""
    return read_medmnist(RawFolder(raw, __doc__), "bloodmnist", LABELS, size)
