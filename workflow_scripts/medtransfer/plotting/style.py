"""The one style of all figures: sizes, fonts, palette, and how a figure becomes files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure, FigureBase, SubFigure

from medtransfer.errors import UserError
from medtransfer.files import atomic

PAGE_WIDTH = 180.0  # mm, two columns of a journal
MM = 1 / 25.4  # inches

# DejaVu Sans comes with Matplotlib, so that every machine draws the same figure. PDFs embed it as text (type 42),
# SVGs hold its outlines; the fixed salt makes their ids, and so the files, the same in every run.
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.2,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "medtransfer",
    "savefig.dpi": 200,
}
HEADING: dict[str, Any] = {"x": 0.01, "ha": "left", "fontweight": "bold", "fontsize": 8}


@dataclass(frozen=True)
class Look:
    """How a line is told from others, in colour and without it."""

    colour: str
    marker: str


# Okabe & Ito's palette, made to be told apart with any colour vision, in an order of changing lightness.
LOOKS = (
    Look("#000000", "o"),
    Look("#E69F00", "s"),
    Look("#0072B2", "^"),
    Look("#CC79A7", "D"),
    Look("#009E73", "v"),
    Look("#56B4E9", "P"),
    Look("#D55E00", "X"),
)


def shown_looks(names: Iterable[str], shown: Iterable[str]) -> dict[str, Look]:
    """The looks that `looks` gives to all of a study's names, of those names alone that a figure shows."""
    return {name: look for name, look in looks(names).items() if name in set(shown)}


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, in order.

    Raises:
        UserError: When there are more names than looks.
    """
    names = list(names)
    if len(names) > len(LOOKS):
        raise UserError(
            f"A figure tells {len(LOOKS)} upstreams apart and was given {len(names)}: {', '.join(names)}. "
            "Split the study in two."
        )
    return dict(zip(names, LOOKS, strict=False))


def save(figure: Figure, *paths: Path | str) -> None:
    """Write a figure to each path, in the format of its suffix, atomically and byte-identical in every run."""
    with mpl.rc_context(STYLE):
        _settle(figure)
    for path in paths:
        dateless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(Path(path).suffix, {})
        with mpl.rc_context(STYLE), atomic(path) as temporary:
            figure.savefig(temporary, metadata=dateless)


def _settle(figure: Figure) -> None:
    """Fix the layout, rounded: where there are many panels the solver's last digits differ from run to run."""
    figure.set_dpi(72)  # that of vector formats: text is as wide as it will be
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in _subfigures(figure):
        part.bbox_relative.set_points(np.round(part.bbox_relative.get_points(), 5))
    for panel in figure.axes:
        left, bottom, width, height = panel.get_position().bounds
        panel.set_position((round(left, 5), round(bottom, 5), round(width, 5), round(height, 5)))


def _subfigures(figure: FigureBase) -> Iterator[SubFigure]:
    for part in figure.subfigs:
        yield part
        yield from _subfigures(part)
