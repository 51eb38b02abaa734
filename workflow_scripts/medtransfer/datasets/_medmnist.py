"""What the two-dimensional sets of MedMNIST share: one archive of arrays per set and size (Yang et al. 2023).

An archive holds {train,val,test}_images, uint8 [n, size, size] or [n, size, size, 3], and {train,val,test}_labels,
[n, 1] with the number of a class or, where several findings can be there, [n, findings] of 1 and 0.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import Images, RawFolder
from medtransfer.datasets.base import Reading, assemble
from medtransfer.errors import UserError
from medtransfer.imaging.npz import NpzArray, open_images

SIZES = ("224", "128", "64", "28")
POLICIES = {"size": ("largest", *SIZES)}
SPLITS = ("train", "val", "test")
ORGANS = (
    "bladder",
    "femur_left",
    "femur_right",
    "heart",
    "kidney_left",
    "kidney_right",
    "liver",
    "lung_left",
    "lung_right",
    "pancreas",
    "spleen",
)
"""The classes of OrganA-, OrganC- and OrganSMNIST, one volume cut three ways."""
HOME = "https://zenodo.org/records/10519652"


def read_medmnist(
    folder: RawFolder, flag: str, classes: Sequence[str | None], size: str, *, multi_label: bool = False
) -> Reading:
    """Read one set.

    Args:
        folder: Where `<flag>.npz` (28 pixels) or `<flag>_<size>.npz` lies.
        flag: The set's name.
        classes: The label columns in the order of the classes' numbers, or of the findings; None for a class that has
            no column of its own.
        size: Pixels, of SIZES, or "largest": the largest of those that are there.
        multi_label: Whether each image has any number of findings, not one class.

    Raises UserError when the file is not there or not in this layout.
    """
    file = _find(folder, flag, size)
    listing = pd.concat([_listing(file, folder, split, classes, multi_label) for split in SPLITS], ignore_index=True)
    labels = tuple(name for name in classes if name)
    return assemble(listing, labels, Images(listing["file"].tolist(), depth=1), file.name)


def _find(folder: RawFolder, flag: str, size: str) -> Path:
    names = [
        flag + ("" if pixels == "28" else f"_{pixels}") + ".npz" for pixels in SIZES if size in (pixels, "largest")
    ]
    file = folder.find(*names)
    if file is None:
        raise folder.missing(" or ".join(names))
    return file


def _listing(
    file: Path, folder: RawFolder, split: str, classes: Sequence[str | None], multi_label: bool
) -> pd.DataFrame:
    """One row per image of a split. Each image stands for a patient, since MedMNIST names none."""
    values = _read_labels(file, split, len(classes) if multi_label else 1)
    row = pd.Series(np.arange(len(values))).astype("str")
    if multi_label:
        is_class = values == 1
        odd, reason = ~np.isin(values, (0, 1)).all(axis=1), "a label that is not 1 or 0"
    else:
        is_class = values == np.arange(len(classes))
        odd, reason = ~is_class.any(axis=1), f"a label that is not 0 to {len(classes) - 1}"
    columns = {name: is_class[:, number].astype(int) for number, name in enumerate(classes) if name}
    listing = pd.DataFrame(
        {
            "file": f"{file.relative_to(folder.raw).as_posix()}/{split}_images#" + row,
            "reason": pd.Series("", index=row.index).mask(odd, reason),
            "image_id": f"{split}_" + row,
            "split": split,
            **columns,
        }
    )
    return listing.assign(patient_id=listing["image_id"])


def _read_labels(file: Path, split: str, width: int) -> np.ndarray:
    """The labels of a split as [n, width], where it has as many images."""
    try:
        images, labels = open_images(file, f"{split}_images"), NpzArray(file, f"{split}_labels")
        if labels.shape != (len(images), width) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{split}_labels is {labels.dtype} {list(labels.shape)}, not whole numbers [{len(images)}, {width}]"
            )
        return labels.rows(0, len(labels))
    except Exception as error:  # readers of archives raise anything at all on hostile bytes
        what = str(error) or type(error).__name__
        raise UserError(f"{file} is not as published: {what}. Fetch it again from {HOME}.") from error
