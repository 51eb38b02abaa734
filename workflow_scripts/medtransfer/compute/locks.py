"""Locks that the kernel frees when their owner ends, however it ends: flock on files of this machine.

For folders of one machine alone: on a network file system a lock may hold on one machine only, or outlive its owner.

A lock belongs to the open file. Processes started by `subprocess` or spawned do not get it, since Python opens files
with O_CLOEXEC; a forked one would share it and so keep it when its parent is killed. It is therefore closed in every
child that Python forks.
"""

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from weakref import WeakSet

from medtransfer.errors import UserError

_held: WeakSet[FileIO] = WeakSet()


def _leave_to_parent() -> None:
    for file in list(_held):
        file.close()


os.register_at_fork(after_in_child=_leave_to_parent)


def private_folder(folder: Path) -> Path:
    """Make a folder that only this user can write to, unless it is there, and return it.

    Raises:
        UserError: Something else lies there: a link, a file, a folder of another user or one that others can write to;
            or it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}. Name a folder that can be written to.") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise UserError(
            f"{folder} is not a folder of user {os.getuid()} alone (it is a link or a file, belongs to another user, "
            "or others can write to it), so that others could interfere. Remove it, or name another place."
        )
    return folder


def take(path: Path, shared: bool = False, wait: bool = False, create: bool = True) -> FileIO | None:
    """Lock a file; closing it, or the end of this process, frees the lock.

    Args:
        path: In a folder that only this user can write to.
        shared: Together with others that ask for the same.
        wait: Until nobody holds it otherwise.
        create: Make the file if it is not there.

    Returns:
        The open file, or None: another holds it, or there is no file.
    """
    while True:
        try:
            file = FileIO(path, "a" if create else "r")
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            file.close()
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise
        _held.add(file)
        # Another may have removed or replaced the file after it was opened: that lock would exclude nobody.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


@contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock alone, after having waited for it; `waiting` is then told once, on standard error."""
    file = take(path)
    if file is None:
        print(waiting, file=sys.stderr, flush=True)
        file = take(path, wait=True)
    assert file is not None
    with file:
        yield
