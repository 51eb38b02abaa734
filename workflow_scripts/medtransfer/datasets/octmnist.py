"""OCTMNIST: 109,309 optical coherence tomograms of the retina, four diagnoses (Yang et al. 2023).

Expected: octmnist.npz (28 pixels) or octmnist_64.npz, _128 or _224. From https://zenodo.org/records/10519652.

Made from the images of Kermany et al. (2018). cnv is choroidal neovascularisation, dme diabetic macular oedema. The
source's training images are train and val, nine to one, its validation images test. No patients are named: each image
stands for one.
"""

from pathlib import Path

from medtransfer.datasets._medmnist import POLICIES as POLICIES
from medtransfer.datasets._medmnist import read_medmnist
from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading

LABELS = ("cnv", "dme", "drusen", "normal")
CHANNELS = 1


def read(raw: Path, *, size: str = "largest") -> Reading:
    """Read OCTMNIST: one row per image, one-hot labels."""
    return read_medmnist(RawFolder(raw, __doc__), "octmnist", LABELS, size)
