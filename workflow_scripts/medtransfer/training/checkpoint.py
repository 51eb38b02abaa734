"""Resume: an atomic scratch checkpoint, and a stop that is asked for by a signal."""

import pickle
import signal
import sys
import time
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


class Saver:
    """Writes resume checkpoints, as often as their cost allows.

    Args:
        path: The file; the previous checkpoint stays until a new one is whole.
        seconds: Least time between two; 0 saves after each step.
        share: Share of the time that saving may take.
    """

    def __init__(self, path: Path, seconds: float, share: float) -> None:
        self.path, self.seconds, self.share = path, seconds, share
        self.interval = seconds
        self.saved = time.monotonic()
        self.step: int | None = None

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self.saved >= self.interval

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write a training state, atomically. A disk that is full costs this checkpoint, not the training."""
        started = time.monotonic()
        try:
            with atomic(self.path) as temporary:
                torch.save(state, temporary)
            self.step = step
        except (OSError, RuntimeError) as error:
            # torch reports a failed write as a RuntimeError.
            print(f"no checkpoint at step {step}: {error}; training goes on", file=sys.stderr, flush=True)
        self.saved = time.monotonic()
        if self.seconds:
            self.interval = max(self.seconds, (self.saved - started) / self.share)


def load(path: Path, identity: str) -> dict[str, Any] | None:
    """The state saved for this very run, or None.

    Args:
        path: Checkpoint file; it need not exist.
        identity: A digest of all that the run depends on. A checkpoint of another identity, from before the
            configuration changed, is not resumed from.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        print(f"{path} cannot be read, training starts anew: {error}", file=sys.stderr)
        return None
    return state if state["identity"] == identity else None
