"""Image stores on the disk of the machine that reads them, copied once for all jobs that run there.

Training reads single images in random order, which a shared file system serves slowly and a local disk does not.
"""

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from string import Template

from medtransfer.compute.locks import locked, private_folder, take
from medtransfer.errors import UserError
from medtransfer.files import atomic

SPARE_BYTES = 2**30
"""What a copy leaves free on the disk."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def staged(path: Path | str, folder: str | None) -> Iterator[Path]:
    """Where to read an image store, and the JSON beside it, from.

    The copy is not removed while it is used; afterwards it stays for the next job, until its room is needed. A store
    that has changed since is copied anew. Where there is no room, standard error says so and the store is read from
    where it lies.

    Args:
        path: The store.
        folder: On a disk of this machine, with environment variables such as $TMPDIR; None copies nothing.

    Raises:
        UserError: The folder names a variable that is not set, or is none that this user can write to.
    """
    path = Path(path)
    if folder is None:
        yield path
        return
    copies = private_folder(_expanded(folder) / f"medtransfer-stores-{os.getuid()}")
    copy = copies / f"{path.stem}-{_key(path)}.npy"
    in_use = _use(copy)
    if in_use is None:
        with locked(copies / "lock", f"waiting until another job has copied an image store to {copies}"):
            in_use = _use(copy) or _copy(path, copy)
    if in_use is None:
        print(f"{copies} has no room for {path}, which is read from where it lies", file=sys.stderr, flush=True)
        yield path
        return
    with in_use:
        os.utime(copy)
        yield copy


def _expanded(folder: str) -> Path:
    """A folder's name with its environment variables filled in."""
    known = {name: value for name, value in os.environ.items() if value}
    try:
        expanded = Path(Template(folder).substitute(known))
    except KeyError as error:
        raise UserError(
            f"Image stores are to be copied to {folder}, but the variable {error.args[0]} is not set on this machine. "
            "Set it, or name another folder on a disk of the machine that trains."
        ) from None
    except ValueError:
        raise UserError(f"Image stores cannot be copied to {folder}: write a variable as $NAME or ${{NAME}}.") from None
    if not expanded.is_absolute():
        raise UserError(f"Image stores are to be copied to {folder}, which is not an absolute path such as $TMPDIR.")
    return expanded


def _key(path: Path) -> str:
    found = path.stat()
    return hashlib.sha256(repr((str(path.resolve()), found.st_size, found.st_mtime_ns)).encode()).hexdigest()[:16]


def _use(copy: Path) -> FileIO | None:
    return take(copy, shared=True, wait=True, create=False)


def _copy(path: Path, copy: Path) -> FileIO | None:
    """Copy a store and its JSON, and lock the copy as used; None if there is no room. One process at a time."""
    for begun in copy.parent.glob(".*"):
        # Of a process that was killed, since no other copies now.
        begun.unlink()
    if not _make_room(path.stat().st_size, copy.parent):
        return None
    print(f"copying {path} to {copy.parent}", file=sys.stderr, flush=True)
    facts = copy.with_suffix(".json")
    try:
        # The JSON goes first, so that it is there where a store is.
        with atomic(facts) as temporary:
            shutil.copyfile(path.with_suffix(".json"), temporary)
        with atomic(copy) as temporary:
            shutil.copyfile(path, temporary)
            return _use(temporary)
    except OSError as error:
        facts.unlink(missing_ok=True)
        if error.errno in NO_ROOM:
            return None
        raise


def _make_room(size: int, folder: Path) -> bool:
    """Whether the disk has room for a store, once the longest unused copies are removed: all that it takes, or none."""
    lacking = size + SPARE_BYTES - shutil.disk_usage(folder).free
    with ExitStack() as held:
        removed = []
        for copy in sorted(folder.glob("*.npy"), key=_last_use):
            if lacking > 0 and (file := take(copy, create=False)):
                held.enter_context(file)
                removed.append(copy)
                lacking -= copy.stat().st_size
        if lacking > 0:
            return False
        for copy in removed:
            copy.unlink()
            copy.with_suffix(".json").unlink(missing_ok=True)
    return True


def _last_use(copy: Path) -> float:
    return copy.stat().st_mtime
