"""Oxford-IIIT Pets: photographs of cats and dogs of 37 breeds, about 200 of each (Parkhi et al. 2012).

Expected: annotations/trainval.txt, annotations/test.txt and images/<Breed_name>_<number>.jpg. From
https://www.robots.ox.ac.uk/~vgg/data/pets.

The class is the breed, as in the file name. The official test images are test; a tenth of the official training images,
by hash, is val. Many breeds are classes of ImageNet-1k, which flatters networks that were pre-trained on it.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

LABELS: tuple[str, ...] = ()
CHANNELS = 3
SHARES = {"train": 0.9, "val": 0.1}


def read(raw: Path) -> Reading:
    """Read the pets: one row per image, with its class_name."""
    folder = RawFolder(raw, __doc__)
    train_path, test_path = folder.table("trainval.txt"), folder.table("test.txt")
    train, test = _names(train_path), _names(test_path)
    files = pd.Series([*train, *test], dtype="str")
    image_id = files.map(stem)
    class_name = image_id.str.extract(r"^(.+)_\d+$", expand=False)
    in_test = image_id.isin({stem(name) for name in test})
    listing = pd.DataFrame(
        {
            "file": files,
            "reason": np.select(
                [class_name.isna(), in_test & image_id.isin({stem(name) for name in train})],
                ["no <Breed_name>_<number>", f"in {train_path.name} and in {test_path.name}"],
                default="",
            ),
            "image_id": image_id,
            "patient_id": image_id,
            "class_name": class_name,
            "split": split_by_hash(image_id, SHARES).mask(in_test, "test"),
        }
    )
    return assemble(listing, LABELS, folder.images(), f"{train_path.name} or {test_path.name}")


def _names(path: Path) -> list[str]:
    """The first word of each line, but for comments: `Abyssinian_100 1 1 1`."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#")]
