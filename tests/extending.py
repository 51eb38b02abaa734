"""Follows a guide of docs/extending to the letter: makes its files, takes its edits, runs its commands.

A block of code is preceded by what to do with it:

    `path`:                          a file of this content
    In `path`, below `words`:        put below the one line that holds these words
    In `path`, in place of `words`:  put in their one place
    At the end of `path`:            put there
    Run:                             commands, in the folder of the repository
    It says:                         lines among those of the last commands, in this order; ... stands for anything
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.test_workflow import environment

BLOCK = re.compile(r"^(?P<what>\S[^\n]*):\n\n```\w*\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
INSTRUCTIONS = {
    "create": r"`(?P<path>[^`]+)`",
    "below": r"In `(?P<path>[^`]+)`, below `(?P<words>[^`]+)`",
    "replace": r"In `(?P<path>[^`]+)`, in place of `(?P<words>[^`]+)`",
    "append": r"At the end of `(?P<path>[^`]+)`",
    "run": r"Run",
    "says": r"It says",
}


class Step(NamedTuple):
    """A block of a guide: which of INSTRUCTIONS, the file and the words that it names, its content."""

    instruction: str
    path: str
    words: str
    content: str


def steps(guide: str) -> Iterator[Step]:
    """The blocks of a guide in order. Raises AssertionError for one that nothing says what to do with."""
    blocks = list(BLOCK.finditer(guide))
    assert 2 * len(blocks) == len(re.findall(r"^```", guide, re.MULTILINE)), (
        "a block without a line that says what it is"
    )
    for block in blocks:
        matched = {name: re.fullmatch(pattern, block["what"]) for name, pattern in INSTRUCTIONS.items()}
        found = [(name, match.groupdict()) for name, match in matched.items() if match]
        assert len(found) == 1, f"what is to be done with a block: {block['what']!r}"
        name, named = found[0]
        yield Step(name, named.get("path", ""), named.get("words", ""), block["content"])


def follow(guide: Path, folder: Path) -> None:
    """Take the steps of a guide in a clone of the repository. Raises AssertionError where one goes otherwise."""
    said = ""
    for step in steps(guide.read_text()):
        if step.instruction == "run":
            said = _run(step.content, folder)
        elif step.instruction == "says":
            _require(step.content, said)
        else:
            _write(step, folder / step.path)


def _run(commands: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=folder, env=environment(folder), text=True, capture_output=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{commands}\n{said}"
    return said


def _require(lines: str, said: str) -> None:
    left = iter(said.splitlines())
    for line in lines.splitlines():
        pattern = ".*".join(map(re.escape, line.split("...")))
        assert line == "..." or any(re.fullmatch(pattern, other) for other in left), f"not said: {line!r}\n{said}"


def _write(step: Step, path: Path) -> None:
    if step.instruction == "create":
        assert not path.exists(), f"{path} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.content)
        return
    before = path.read_text()
    if step.instruction == "append":
        path.write_text(before + step.content)
        return
    assert before.count(step.words) == 1, f"{path} has {step.words!r} {before.count(step.words)} times"
    if step.instruction == "replace":
        path.write_text(before.replace(step.words, step.content.rstrip("\n")))
        return
    head, words, tail = before.partition(step.words)
    rest, newline, after = tail.partition("\n")
    path.write_text(head + words + rest + newline + step.content + after)
