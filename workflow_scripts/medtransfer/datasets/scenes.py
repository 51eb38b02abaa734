"""Scenes: images drawn by formula and sorted into folders by class, for pre-training in the demo.

Expected: train/<class>/<image> and val/<class>/<image>, as for `image_folder`. The demo writes its own.
"""

from pathlib import Path

from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets.base import Reading
from medtransfer.datasets.image_folder import read_folders

LABELS: tuple[str, ...] = ()
CHANNELS = 3


def read(raw: Path) -> Reading:
    """Read the scenes: one row per image, with the name of its folder as class_name."""
    return read_folders(RawFolder(raw, __doc__))
