"""How long something takes."""

import time
from collections.abc import Callable


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
