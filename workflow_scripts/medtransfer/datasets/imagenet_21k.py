"""ImageNet-21k: the whole of ImageNet as released in winter 2021, 19,167 classes (Deng et al. 2009). For pre-training.

Expected: <wnid>/<image>, where a wnid looks like n01440764, in any folder, as in winter21_whole/. Unpack the archive of
each class into a folder of its name. From https://image-net.org/download-images (registration).

The class is the WordNet id, and there is no official split: a hundredth of the images, by hash of the file name, is
val, all others are train. Classes lie in a hierarchy, and an image carries one of those that it belongs to.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble
from medtransfer.datasets.image_folder import WHOLE_PATH

LABELS: tuple[str, ...] = ()
CHANNELS = 3
SHARES = {"train": 0.99, "val": 0.01}


def read(raw: Path) -> Reading:
    """Read ImageNet-21k: one row per image, with its wnid as class_name."""
    folder = RawFolder(raw, __doc__)
    images = folder.images(WHOLE_PATH)
    paths = pd.Series(images.paths, dtype="str")
    class_name = paths.str.extract(r"(?:^|/)(n\d{8})/[^/]+$", expand=False)
    if class_name.isna().all():
        raise folder.missing("images in <wnid>/")
    image_id = paths.map(lambda path: stem(path.rsplit("/", 1)[-1]))
    listing = pd.DataFrame(
        {
            "file": paths,
            "reason": class_name.isna().map({True: "not in a folder <wnid>/", False: ""}),
            "image_id": image_id,
            "patient_id": image_id,
            "class_name": class_name,
            "split": split_by_hash(image_id, SHARES),
        }
    )
    return assemble(listing, LABELS, images, "the image folder")
