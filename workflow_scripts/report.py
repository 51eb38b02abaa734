"""Make the report: one page of verdicts, figures, tables and what they rest on, to be read without anything else."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from medtransfer.files import write_text
from medtransfer.logs import step_log
from medtransfer.review.report import Facts, Paths, render

if TYPE_CHECKING:
    from snakemake.script import snakemake


def main(
    claims: str,
    completeness: str,
    provenance: str,
    quality: Paths,
    figures: Paths,
    tables: Paths,
    captions: Paths,
    template: str,
    style: str,
    facts: Facts,
    page: str,
) -> None:
    """Write the report.

    Args:
        claims: The verdicts.
        completeness: The runs asked for, with arms and status.
        provenance: What runs and pre-training recorded.
        quality: For each cohort its tidy counts.
        figures: SVG files by name; beside each a CSV of the numbers drawn.
        tables: Markdown files by name; beside each a CSV.
        captions: A caption for each figure and table, for `claims` and `completeness`.
        template: The page's template.
        style: Its CSS.
        facts: Titles, studies, note, configuration.
        page: HTML to write, which needs no other file.
    """
    html = render(
        Path(template).read_text(),
        Path(style).read_text(),
        facts,
        pd.read_csv(claims),
        pd.read_csv(completeness, keep_default_na=False),
        pd.read_parquet(provenance, columns=["record"]),
        {cohort: pd.read_csv(path, keep_default_na=False) for cohort, path in quality.items()},
        figures,
        tables,
        captions,
    )
    write_text(html, page)


def by_name(paths: list[str]) -> dict[str, str]:
    """Files by their names without suffix."""
    return {Path(path).stem: path for path in paths}


if __name__ == "__main__":
    with step_log(snakemake.log[0]):
        main(
            claims=snakemake.input.claims,
            completeness=snakemake.input.completeness,
            provenance=snakemake.input.provenance,
            quality=by_name(snakemake.input.quality),
            figures=by_name(snakemake.input.figures),
            tables=by_name(snakemake.input.tables),
            captions=by_name(snakemake.input.captions),
            template=snakemake.input.template,
            style=snakemake.input.style,
            facts=snakemake.params.facts,
            page=snakemake.output[0],
        )
