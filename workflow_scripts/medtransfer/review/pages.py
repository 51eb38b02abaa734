"""Plain text for a terminal: headings, facts and paragraphs of at most 100 columns."""

import textwrap
from collections.abc import Mapping

WIDTH = 100


def heading(text: str, line: str = "-") -> str:
    """A heading, underlined."""
    return f"{text}\n{line * min(len(text), WIDTH)}"


def paragraph(text: str, indent: str = "") -> str:
    """Text, wrapped; words longer than a line, as paths can be, stay whole."""
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def facts(values: Mapping[str, str], indent: str = "  ") -> str:
    """A line for each fact: its name, and its value wrapped beside it."""
    width = max((len(name) for name in values), default=0) + 2
    hanging = indent + " " * width
    wrapped = {name: paragraph(value or "-", hanging).removeprefix(hanging) for name, value in values.items()}
    return "\n".join(f"{indent}{name:<{width}}{value}" for name, value in wrapped.items())


def page(*parts: str) -> str:
    """Parts that are not empty, with a line between them."""
    return "\n\n".join(part for part in parts if part)


def shortened(text: str) -> str:
    """Text in one line, cut where it is too long."""
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 4]} ..."
