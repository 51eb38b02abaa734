"""ImageNet-1k: 1,281,167 training and 50,000 validation images of 1,000 classes (Russakovsky et al. 2015).

Expected: train/<wnid>/<image> and val/<wnid>/<image>, where a wnid looks like n01440764, in any folder; or, as on
Kaggle, val/<image> with LOC_val_solution.csv. From https://image-net.org/challenges/LSVRC/2012 or
https://www.kaggle.com/c/imagenet-object-localization-challenge (registration, rules).

The class is the WordNet id. The classes of the official test images are not public: as usual the official validation
images are the test split, and a fiftieth of the training images, by hash of the file name, is val.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble
from medtransfer.datasets.image_folder import WHOLE_PATH, split_folders

LABELS: tuple[str, ...] = ()
CHANNELS = 3
SHARES = {"train": 0.98, "val": 0.02}
SOLUTION = "LOC_val_solution.csv"


def read(raw: Path) -> Reading:
    """Read ImageNet-1k: one row per image, with its wnid as class_name."""
    folder = RawFolder(raw, __doc__)
    images = folder.images(WHOLE_PATH)
    paths = pd.Series(images.paths, dtype="str")
    below = split_folders(paths)
    if below["name"].isna().all():
        raise folder.missing("images in train/<wnid>/ and val/")
    official = below["split"]
    image_id = paths.map(lambda path: stem(path.rsplit("/", 1)[-1]))
    class_name = below["name"].str.extract(r"^(n\d{8})/", expand=False)
    flat = (official == "val") & ~below["name"].str.contains("/").fillna(False)
    if flat.any():
        class_name = class_name.mask(flat, image_id.map(_solution(folder)))
    listing = pd.DataFrame(
        {
            "file": paths,
            "reason": np.select(
                [official.isna(), official == "test", class_name.isna() & flat, class_name.isna()],
                ["neither in train/ nor in val/", "no public class", f"not in {SOLUTION}", "not in a folder <wnid>/"],
                default="",
            ),
            "image_id": image_id,
            "patient_id": image_id,
            "class_name": class_name,
            "split": split_by_hash(image_id, SHARES).mask(official == "val", "test"),
        }
    )
    return assemble(listing, LABELS, images, SOLUTION)


def _solution(folder: RawFolder) -> dict[str, str]:
    """The wnid of each validation image: the first word of its prediction string, `wnid x1 y1 x2 y2 ...`."""
    rows = read_table(folder.table(SOLUTION), {"image": "ImageId", "boxes": "PredictionString"})
    wnid = rows["boxes"].str.extract(r"^(n\d{8})\b", expand=False)
    return dict(zip(rows["image"].map(stem), wnid, strict=True))
