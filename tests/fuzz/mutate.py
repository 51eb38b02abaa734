"""Damage done to a file: single bytes, missing and doubled parts, parts of other files, and extreme numbers."""

import numpy as np

EXTREMES = [b"\0\0", b"\xff\xff", b"\x7f\xff", b"\xff\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]
HEADER = 1024  # most fields that matter lie in the first bytes


def mutate(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    """The file after one to four changes, each drawn anew; `other` is a file to splice in."""
    for _ in range(generator.integers(1, 5)):
        content = CHANGES[generator.integers(len(CHANGES))](content, other, generator)
    return content


def _flip(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    if not content:
        return content
    changed = np.frombuffer(content, dtype=np.uint8).copy()
    positions = generator.integers(_end(content, generator), size=generator.integers(1, 9))
    changed[positions] ^= generator.integers(1, 256, size=len(positions), dtype=np.uint8)
    return changed.tobytes()


def _cut(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    return content[: generator.integers(len(content) + 1)]


def _remove(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    start = generator.integers(len(content) + 1)
    return content[:start] + content[start + generator.integers(1, 64) :]


def _insert(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    start = generator.integers(len(content) + 1)
    return content[:start] + generator.bytes(int(generator.integers(1, 64))) + content[start:]


def _double(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    start, stop = sorted(generator.integers(len(content) + 1, size=2))
    return content[:stop] + content[start:]


def _splice(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    return content[: generator.integers(len(content) + 1)] + other[generator.integers(len(other) + 1) :]


def _extreme(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    if not content:
        return content
    value = EXTREMES[generator.integers(len(EXTREMES))]
    start = generator.integers(_end(content, generator))
    return content[:start] + value + content[start + len(value) :]


def _end(content: bytes, generator: np.random.Generator) -> int:
    """Where changes end: half of them are made in the header."""
    return min(len(content), HEADER) if generator.random() < 0.5 else len(content)


CHANGES = (_flip, _flip, _extreme, _extreme, _cut, _remove, _insert, _double, _splice)
