"""Resume: an atomic scratch checkpoint, and a stop that is asked for by a signal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from medtransfer.files import atomic


class Interrupted(SystemExit):
    """Training was asked to stop and saved its state; the exit status is that of a process ended by SIGTERM."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@dataclass
class StopRequest:
    """Whether a signal has asked for a stop."""

    asked: bool = False

    def ask(self, signum: int, frame: FrameType | None) -> None:
        """Note the signal; the loop stops after the step it is in."""
        self.asked = True


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn SIGTERM (pre-emption, a time limit) into a request that the loop answers between two steps."""
    request = StopRequest()
    previous = signal.signal(signal.SIGTERM, request.ask)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, previous)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a training state atomically: the previous checkpoint stays until the new one is whole."""
    with atomic(path) as temporary:
        torch.save(state, temporary)


def load(path: Path, identity: str) -> dict[str, Any] | None:
    """The state saved for this very run, or None.

    Args:
        path: Checkpoint file; it need not exist.
        identity: A digest of all that the run depends on. A checkpoint of another identity, from before the
            configuration changed, is not resumed from.
    """
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state if state["identity"] == identity else None
