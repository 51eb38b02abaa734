"""Oxford Flowers-102: 8,189 photographs of flowers of 102 kinds (Nilsback and Zisserman 2008).

Expected: jpg/image_00001.jpg to image_08189.jpg, imagelabels.mat and setid.mat. From
https://www.robots.ox.ac.uk/~vgg/data/flowers/102.

The class is the number in imagelabels.mat: class001 to class102. The official split (policy split: official) has ten
training and ten validation images of each class and all others, six times as many, for test. Some works swap it, among
them Cherti and Jitsev 2021: with split: swapped the official test images are train, a tenth of them by hash val, and
the official training and validation images test. Results under the two are not comparable.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble
from medtransfer.errors import UserError

LABELS: tuple[str, ...] = ()
CHANNELS = 3
POLICIES = {"split": ("official", "swapped")}
CLASSES = 102
PARTS = {"trnid": "train", "valid": "val", "tstid": "test"}
SWAPPED_SHARES = {"train": 0.9, "val": 0.1}


def read(raw: Path, *, split: str = "official") -> Reading:
    """Read Flowers-102: one row per image, with its class_name."""
    folder = RawFolder(raw, __doc__)
    labels_path, sets_path = folder.table("imagelabels.mat"), folder.table("setid.mat")
    labels = _numbers(labels_path, "labels")
    sets = {part: _numbers(sets_path, part) for part in PARTS}
    numbers = pd.Series(np.arange(1, len(labels) + 1))
    listed_in = np.stack([numbers.isin(ids) for ids in sets.values()])
    image_id = numbers.map("image_{:05d}".format)
    official = pd.Series(np.array(list(PARTS.values()))[listed_in.argmax(axis=0)])
    listing = pd.DataFrame(
        {
            "file": image_id,
            "reason": np.select(
                [(labels < 1) | (labels > CLASSES), listed_in.sum(axis=0) != 1],
                [f"a label that is not 1 to {CLASSES}", f"not in exactly one of {', '.join(PARTS)}"],
                default="",
            ),
            "image_id": image_id,
            "patient_id": image_id,
            "class_name": pd.Series(labels).map("class{:03d}".format),
            "split": official if split == "official" else _swapped(official, image_id),
        }
    )
    return assemble(listing, LABELS, folder.images(), labels_path.name)


def _swapped(official: pd.Series, image_id: pd.Series) -> pd.Series:
    return split_by_hash(image_id, SWAPPED_SHARES).where(official == "test", "test")


def _numbers(path: Path, name: str) -> np.ndarray:
    """The whole numbers of one variable of a MATLAB file, whatever shape it has there."""
    try:
        content = loadmat(path, variable_names=[name])
    except Exception as error:  # the MATLAB reader raises anything at all on hostile bytes
        raise UserError(f"{path} is not a readable MATLAB file: {error}. Fetch it again from its source.") from error
    if name not in content:
        raise UserError(f"{path} has no variable {name}. Fetch it again from its source.")
    values = np.asarray(content[name]).ravel()
    if values.dtype.kind not in "iuf" or not np.equal(np.mod(values, 1), 0).all():
        raise UserError(f"{path}: {name} does not hold whole numbers. Fetch it again from its source.")
    return values.astype(int)
