"""Caltech-101: about 9,000 photographs of objects of 101 categories (Fei-Fei, Fergus and Perona 2004).

Expected: 101_ObjectCategories/<class>/image_0001.jpg, in any folder. From
https://data.caltech.edu/records/mzrjq-6wc02; unpack 101_ObjectCategories.tar.gz, which lies in the archive.

The class is the folder's name. Faces and Faces_easy, the same photographs whole and cropped, are two classes, as
published. BACKGROUND_Google is no class: its images are rejected. There is no official split: it is by hash of class
and file name. An image of one of the two face classes is in the split of its twin.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble
from medtransfer.datasets.image_folder import WHOLE_PATH

LABELS: tuple[str, ...] = ()
CHANNELS = 3
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
BACKGROUND = "BACKGROUND_Google"


def read(raw: Path) -> Reading:
    """Read Caltech-101: one row per image, with its class_name."""
    folder = RawFolder(raw, __doc__)
    images = folder.images(WHOLE_PATH)
    paths = pd.Series(images.paths, dtype="str")
    class_name = paths.str.extract(r"(?:^|/)([^/]+)/[^/]+$", expand=False)
    if class_name.isna().all():
        raise folder.missing("images in 101_ObjectCategories/<class>/")
    image_id = class_name + "/" + paths.map(lambda path: stem(path.rsplit("/", 1)[-1]))
    twin = image_id.str.replace("Faces_easy/", "Faces/")
    listing = pd.DataFrame(
        {
            "file": paths,
            "reason": pd.Series("", index=paths.index)
            .mask(class_name == BACKGROUND, f"{BACKGROUND} is no class")
            .mask(class_name.isna(), "not in a folder of its class"),
            "image_id": image_id,
            "patient_id": twin,
            "class_name": class_name,
            "split": split_by_hash(twin, SHARES),
        }
    )
    return assemble(listing, LABELS, images, "the image folder")
