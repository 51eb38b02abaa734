"""The report of a tier: one page with verdicts, figures, tables and what they rest on, which needs no other file."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd
import yaml
from markupsafe import Markup

from medtransfer.errors import UserError
from medtransfer.html import fill
from medtransfer.results import Study
from medtransfer.review import report_claims, report_facts
from medtransfer.review.captions import Caption, read_caption
from medtransfer.review.report_parts import Readable, data_uri, read_markdown

Paths = Mapping[str, str]
"""Files by name: that of a figure, a table, a cohort or a caption."""


class Facts(TypedDict):
    """What the workflow knows of a tier."""

    tier: str
    note: str  # what the numbers cannot tell, or ""
    studies: list[Study]
    figures: dict[str, str]  # titles, in the order in which they are shown; names begin with that of their study
    tables: dict[str, str]
    cohorts: dict[str, str]
    config: dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """A figure of the page; `picture` and `numbers` are addresses that hold an SVG and a CSV."""

    name: str
    title: str
    caption: Caption
    alt: str
    picture: str
    numbers: str


@dataclass(frozen=True)
class Table:
    """A table of the page; `numbers` is an address that holds a CSV."""

    name: str
    title: str
    caption: Caption
    content: Readable
    numbers: str


def render(
    template: str,
    style: str,
    facts: Facts,
    claims: pd.DataFrame,
    completeness: pd.DataFrame,
    provenance: pd.DataFrame,
    quality: Mapping[str, pd.DataFrame],
    figures: Paths,
    tables: Paths,
    captions: Paths,
) -> str:
    """Fill in the template. The same results on the same machine make the same page.

    Args:
        template: Jinja source; everything that is filled in is escaped, unless it is HTML made from a caption.
        style: CSS for the page.
        facts: Titles, studies, note, configuration.
        claims: The verdicts, as `medtransfer.claims.verdict.judge` returns them.
        completeness: The runs asked for, with `arms` and `status`.
        provenance: A row for each run and each network pre-trained here, with its `record` as JSON.
        quality: For each cohort its tidy counts.
        figures: SVG files; beside each a CSV of the numbers drawn.
        tables: Markdown files; beside each a CSV.
        captions: reStructuredText for each figure and table, for `claims` and `completeness`.

    Raises:
        UserError: A caption is missing or broken, a table is broken, or a name does not say of which study it is.
    """
    config = facts["config"]
    records = [json.loads(record) for record in provenance["record"]]
    arms, missing = report_facts.completeness(completeness)
    content: dict[str, Any] = {
        "style": Markup(style),
        "verdicts": report_claims.verdicts(claims, facts["studies"]),
        "about_verdicts": read_caption(captions["claims"], None, config).html,
        "shown": [
            (
                study["name"],
                [_figure(name, facts, study, figures, captions) for name in _named(facts["figures"], study, facts)],
                [_table(name, facts, study, tables, captions) for name in _named(facts["tables"], study, facts)],
            )
            for study in facts["studies"]
        ],
        "quality": [
            report_facts.cohort(quality[name], name, title, facts["studies"])
            for name, title in facts["cohorts"].items()
        ],
        "arms": arms.to_dict("records"),
        "runs": len(completeness),
        "missing": missing,
        "about_completeness": read_caption(captions["completeness"], None, config).html,
        "spent": report_facts.spent(records),
        "duration": report_facts.duration,
        "packages": report_facts.packages(records),
        "machines": report_facts.machines(records),
        "platform": f"{platform.system()} on {platform.machine()}",
        "settings": yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100),
    }
    return fill(template, **facts, **content)


def _named(titles: Mapping[str, str], study: Study, facts: Facts) -> list[str]:
    """Of some figures or tables those of a study."""
    return [name for name in titles if _study_of(name, facts["studies"]) == study["name"]]


def _study_of(name: str, studies: Sequence[Study]) -> str:
    """The study whose name a figure's or table's begins with; of several the longest."""
    owners = [study["name"] for study in studies if name.startswith(f"{study['name']}_")]
    if not owners:
        raise UserError(
            f"The report does not know of which study {name} is: its name should begin with one of "
            f"{', '.join(study['name'] + '_' for study in studies)}. Name it so where figures and tables are declared."
        )
    return max(owners, key=len)


def _figure(name: str, facts: Facts, study: Study, files: Paths, captions: Paths) -> Figure:
    title, caption = facts["figures"][name], read_caption(captions[name], study, facts["config"])
    alt = f"{title}, study {study['name']}. {caption.summary} The numbers drawn are in the CSV file below."
    return Figure(name, title, caption, alt, data_uri(files[name], "image/svg+xml"), _numbers(files[name]))


def _table(name: str, facts: Facts, study: Study, files: Paths, captions: Paths) -> Table:
    caption = read_caption(captions[name], study, facts["config"])
    content = read_markdown(files[name], study["note"])
    return Table(name, facts["tables"][name], caption, content, _numbers(files[name]))


def _numbers(path: str) -> str:
    return data_uri(Path(path).with_suffix(".csv"), "text/csv")
