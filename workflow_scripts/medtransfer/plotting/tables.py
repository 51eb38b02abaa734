"""What the tables share: one set of numbers as CSV for programs, Markdown for readers, LaTeX for papers."""

import re

import pandas as pd

from medtransfer.files import write_csv, write_text
from medtransfer.plotting import names
from medtransfer.results import Study


def interval(value: float, low: float, high: float) -> str:
    """A number with its interval, three decimals each; a dash where it is undefined."""
    if pd.isna(value):
        return "–"
    return f"{value:.3f}" if pd.isna(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def write_table(
    numbers: pd.DataFrame, readable: pd.DataFrame, explanation: str, study: Study, label: str, paths: dict[str, str]
) -> None:
    """Write a table in its three formats, atomically.

    Args:
        numbers: What programs read.
        readable: The same rows for readers: titles for names, numbers as text.
        explanation: How to read it; how intervals come about and the study's note are added.
        study: Axes and names.
        label: The table's label in LaTeX, without "tab:".
        paths: Files to write: `csv`, `markdown`, `latex`.
    """
    notes = " ".join([explanation, names.method(study["confidence"]), study["note"]]).strip()
    caption = re.sub(r"([%&_#$])", r"\\\1", notes)
    write_csv(numbers, paths["csv"])
    write_text(f"{readable.to_markdown(index=False, disable_numparse=True)}\n\n{notes}\n", paths["markdown"])
    latex = readable.to_latex(index=False, escape=True, longtable=True, caption=caption, label=f"tab:{label}")
    write_text(latex, paths["latex"])
