"""Image folder: natural images sorted into folders by class, the layout of ImageNet and many others.

Expected: <class>/<image>, or train/<class>/<image> with val/ (or valid/, validation/) and test/ beside it as far as
there are any, in any image format. Classes may have subfolders. Any folder of that layout serves.

Where there are split folders they give the split; without one for validation a tenth of train, by hash of class and
file name, is val. Without any the whole split is by that hash. A folder called train that has images but no class
folders is a class. Split folders may lie deeper, all beside each other; images elsewhere are rejected.
"""

from pathlib import Path

import pandas as pd

from medtransfer.datasets._raw import RawFolder, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading, assemble

LABELS: tuple[str, ...] = ()
CHANNELS = 3
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
TRAIN_SHARES = {"train": 0.9, "val": 0.1}
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
WHOLE_PATH = 1000  # as many parts as no path has: file names repeat from class to class


def read(raw: Path) -> Reading:
    """Read an image folder: one row per image, with its class_name."""
    return read_folders(RawFolder(raw, __doc__))


def read_folders(folder: RawFolder) -> Reading:
    """What `read` makes of a folder. Raises UserError where no image is in a class folder."""
    images = folder.images(WHOLE_PATH)
    placed = _placed(pd.Series(images.paths, dtype="str"))
    if (placed["reason"] != "").all():
        raise folder.missing("images in <class>/ or train/<class>/")
    return assemble(placed, LABELS, images, "the image folder")


def split_folders(paths: pd.Series) -> pd.DataFrame:
    """For each path its `split`, and its `name` below the split folder; missing for images outside.

    The split folders are the least deep ones and those beside them; `paths` come in the order of their depth.
    """
    folders = "|".join(SPLITS)
    parts = paths.str.extract(rf"(?i)^(?P<above>(?:.*?/)?)(?P<split>{folders})/(?P<name>.+)$")
    above = parts["above"].dropna()
    outside = parts["above"] != (above.iloc[0] if len(above) else "")
    return pd.DataFrame({"split": parts["split"].str.lower().map(SPLITS), "name": parts["name"]}).mask(outside)


def _placed(paths: pd.Series) -> pd.DataFrame:
    """The listing of an image folder's paths."""
    below = split_folders(paths)
    in_class = below["name"].str.contains("/").fillna(False)
    if in_class.any():
        name, split = below["name"], below["split"]
        if not (in_class & (split == "val")).any():
            split = split.mask(split == "train", split_by_hash(name.map(stem, na_action="ignore"), TRAIN_SHARES))
        reason = f"not in <class>/ below one of {', '.join(SPLITS)}"
    else:
        name, split = paths, split_by_hash(paths.map(stem), SHARES)
        in_class = paths.str.contains("/")
        reason = "not in a folder of its class"
    image_id = paths.map(stem)
    return pd.DataFrame(
        {
            "file": paths,
            "reason": pd.Series(reason, index=paths.index).mask(in_class, ""),
            "image_id": image_id,
            "patient_id": image_id,
            "class_name": name.str.split("/").str[0],
            "split": split,
        }
    )
