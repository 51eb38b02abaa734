"""What CIFAR-10 and CIFAR-100 share: three ways in which they are kept on disk.

The official binary files are looked for first, then the official pickles, then Parquet files (train*.parquet,
test*.parquet) with the columns image_bytes and label_name. Official test images are test; a fiftieth of the training
images, by hash, is val.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow.parquet as pq

from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets.base import Reading
from medtransfer.errors import UserError
from medtransfer.imaging.cifar import read_batch, read_pickle

T = TypeVar("T")
SHARES = {"train": 0.98, "val": 0.02}


def read_cifar(folder: RawFolder, binary: dict[str, str], pickled: dict[str, str], names: tuple[str, str]) -> Reading:
    """Read a CIFAR dataset.

    `binary` and `pickled` map its batch files to "train" or "test"; `names` are the file of class names beside the
    binary batches and the key of class names in the pickle "meta" (batches.meta for CIFAR-10).
    """
    if folder.find(*binary):
        paths = {folder.table(name): part for name, part in binary.items()}
        classes = folder.table(names[0]).read_text().split()
        parts = [_read_batch(folder, path, part, classes) for path, part in paths.items()]
    elif folder.find(*pickled):
        paths = {folder.table(name): part for name, part in pickled.items()}
        classes = [name.decode() for name in _checked(read_pickle, folder.table("batches.meta", "meta"))[names[1]]]
        parts = [_read_batch(folder, path, part, classes) for path, part in paths.items()]
    else:
        packed = [path for path in folder.files if path.endswith(".parquet")]
        paths = {
            folder.raw / path: part for path in packed for part in ("train", "test") if Path(path).name.startswith(part)
        }
        if set(paths.values()) != {"train", "test"}:
            raise folder.missing(f"{next(iter(binary))}, {next(iter(pickled))} or train*.parquet and test*.parquet")
        parts = [_read_parquet(folder, path, part) for path, part in paths.items()]
    rows = pd.concat(parts, ignore_index=True)
    rows["patient_id"] = rows["study_id"] = rows["image_id"]
    rows["split"] = split_by_hash(rows["image_id"], SHARES).mask(rows["part"] == "test", "test")
    columns = ["image_id", "patient_id", "study_id", "path", "class_name", "split"]
    rejected = rows.loc[rows["reason"] != "", ["path", "reason"]].rename(columns={"path": "file"})
    return Reading(rows.loc[rows["reason"] == "", columns].reset_index(drop=True), rejected.reset_index(drop=True))


def _read_batch(folder: RawFolder, path: Path, part: str, classes: list[str]) -> pd.DataFrame:
    labels = pd.Series(_checked(read_batch, path).labels.astype(int))
    class_name = labels.map(dict(enumerate(classes)))
    return _records(folder, path, part, class_name, class_name.isna())


def _read_parquet(folder: RawFolder, path: Path, part: str) -> pd.DataFrame:
    columns = _checked(pq.read_schema, path).names
    lacking = {"image_bytes", "label_name"} - set(columns)
    if lacking:
        raise UserError(f"{path} lacks the columns {', '.join(sorted(lacking))}. It has: {', '.join(columns)}.")
    class_name = pq.read_table(path, columns=["label_name"]).to_pandas()["label_name"].astype("str")
    return _records(folder, path, part, class_name, class_name.isna())


def _records(folder: RawFolder, path: Path, part: str, class_name: pd.Series, unknown: pd.Series) -> pd.DataFrame:
    relative = path.relative_to(folder.raw).as_posix()
    number = class_name.index.astype("str")
    return pd.DataFrame(
        {
            "image_id": f"{relative}#" + number,
            "path": f"{relative}#" + number,
            "class_name": class_name,
            "part": part,
            "reason": pd.Series("", index=class_name.index).mask(unknown, "a label without class name"),
        }
    )


def _checked(read: Callable[[Path], T], path: Path) -> T:
    """Read a file, its ValueError turned into one that says what to do."""
    try:
        return read(path)
    except ValueError as error:
        raise UserError(f"{path}: {error}. Fetch it again from https://www.cs.toronto.edu/~kriz/cifar.html.") from error
