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


def _tell(message: str, terminal: int) -> None:
    sys.stderr.write(message)
    os.write(terminal, message.encode())
