"""TissueMNIST: 236,386 cells of the human kidney cortex, eight kinds (Yang et al. 2023).

Expected: tissuemnist.npz (28 pixels) or tissuemnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from BBBC051 (Ljosa et al. 2012). Maximum projections of seven slices of 32 x 32 pixels. The cells are those of
three specimens, which are not named: each image stands for a patient, and no split tells how a network does on a new
specimen.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = (
    "collecting_duct_connecting_tubule",
    "distal_convoluted_tubule",
    "glomerular_endothelial_cells",
    "interstitial_endothelial_cells",
    "leukocytes",
    "podocytes",
    "proximal_tubule_segments",
    "thick_ascending_limb",
)
CHANNELS = 1


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read TissueMNIST: one row per image, one-hot labels."""
    return read_medmnist(RawFolder(raw, __doc__), "tissuemnist", LABELS, size)
