"""Unpacking of archives that nobody has looked into: nothing leaves the folder, fills the disk or hides a file."""

import errno
import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from medtransfer.errors import UserError

# What zipfile and tarfile raise for damaged bytes.
DAMAGE: tuple[type[Exception], ...] = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError)
DAMAGE += (EOFError, OSError, ValueError, IndexError, NotImplementedError)


class Refused(Exception):
    """An entry that must not be unpacked; the message says why."""


def extract(archive: Path, target: Path, scratch: Path) -> int:
    """Unpack a zip or tar archive (also compressed) into a folder, and count its files.

    All is unpacked into `scratch`, on the same disk, before any file is moved into `target`. Files that lie in `target`
    already stay as they are, so an interrupted move can be repeated.

    Raises:
        UserError: The archive is damaged or of another kind; an entry has an absolute path, leads out of the folder, is
            a device, is encrypted, or differs from another one in case only; or the content does not fit the free disk.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        inside = Path(folder)
        try:
            if zipfile.is_zipfile(archive):
                _unpack_zip(archive, inside)
            else:
                _unpack_tar(archive, inside)
        except (Refused, tarfile.FilterError) as error:
            raise UserError(f"{archive} was not unpacked: {error}. Nothing of it was kept.") from None
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise  # the fault of the disk, not of the archive
            raise UserError(
                f"{archive} cannot be unpacked: {error}. "
                "It is damaged, or neither zip nor tar: remove it and fetch it again."
            ) from None
        return _move_into(inside, target)


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as bundle:
        check = EntryCheck(folder)
        for entry in bundle.infolist():
            # zipfile cuts names at a NUL and repairs paths silently: the name as it is written is what counts.
            check(entry.orig_filename, entry.file_size, entry.is_dir())
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Refused(f"{entry.filename} is a link or a device")
            if entry.flag_bits & 1:
                raise Refused(f"{entry.filename} is encrypted")
        for entry in bundle.infolist():
            bundle.extract(entry, folder)


def _unpack_tar(archive: Path, folder: Path) -> None:
    # In one pass, since looking through a compressed archive costs as much as unpacking it.
    with tarfile.open(archive) as bundle:
        check = EntryCheck(folder)
        for entry in bundle:
            check(entry.name, entry.size, entry.isdir())
            bundle.extract(entry, folder, filter="data")


class EntryCheck:
    """Looks at each entry of an archive before it is unpacked, and remembers those before it."""

    def __init__(self, folder: Path) -> None:
        self.free = shutil.disk_usage(folder).free
        self.total = 0
        self.names: dict[str, str] = {}

    def __call__(self, name: str, size: int, is_folder: bool) -> None:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or re.match(r"[A-Za-z]:", name) or "\0" in name:
            raise Refused(f"{name!r} is no relative path")
        if ".." in path.parts:
            raise Refused(f"{name!r} leads out of the folder")
        self.total += size
        if self.total > self.free:
            raise Refused(
                f"its content is over {self.total / 1e9:.1f} GB, and the disk has {self.free / 1e9:.1f} GB free"
            )
        twin = self.names.setdefault(str(path).casefold(), str(path))
        if not is_folder and twin != str(path):
            raise Refused(f"{name!r} and {twin!r} differ in case only")


def _move_into(source: Path, target: Path) -> int:
    count = 0
    for file in sorted(source.rglob("*")):
        if file.is_dir() and not file.is_symlink():
            continue
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            file.replace(place)
        count += 1
    return count
