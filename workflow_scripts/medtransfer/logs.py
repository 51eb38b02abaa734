"""The log of a workflow step: everything it prints goes to its file, what went wrong also to the terminal."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medtransfer.errors import UserError


@contextmanager
def step_log(path: str) -> Iterator[None]:
    """Send the standard error of this process and its children to a log file.

    A UserError ends the process with its message alone, any other exception with its traceback; both appear in the
    log and on the terminal.
    """
    terminal = os.dup(2)
    with Path(path).open("w") as log:
        os.dup2(log.fileno(), 2)
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    try:
        yield
    except UserError as error:
        _tell(f"error: {error}\n", terminal)
        sys.exit(1)
    except Exception:
        _tell(traceback.format_exc(), terminal)
        sys.exit(1)


@contextmanager
def run_log(path: str | None, title: str) -> Iterator[None]:
    """Send standard error to a log of its own for a while, its title to where it went before; None leaves it there."""
    print(title, file=sys.stderr, flush=True)
    if path is None:
        yield
        return
    before = os.dup(2)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)


def _tell(message: str, terminal: int) -> None:
    sys.stderr.write(message)
    os.write(terminal, message.encode())
