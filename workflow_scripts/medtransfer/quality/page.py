"""The page of a cohort: its counts as tables, its duplicates and a sample as pictures, in one file of its own."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from medtransfer.cohorts import SPLITS
from medtransfer.html import fill
from medtransfer.quality.counts import MISSING, SUBGROUPS
from medtransfer.quality.mosaic import data_uri, mosaic, sample

PAIRS = 8  # shown as pictures
SAMPLE = 16  # images shown of each split
COLUMNS = 8


@dataclass(frozen=True)
class Table:
    """A table of the page: names of all columns but the first, and rows of text."""

    columns: list[str]
    rows: list[list[str]]
    name: str = ""


def render(
    template: str,
    facts: dict[str, str],
    numbers: pd.DataFrame,
    cohort: pd.DataFrame,
    pairs: pd.DataFrame,
    blank: list[str],
    stores: dict[str, np.ndarray],
) -> str:
    """Fill in the template.

    Args:
        template: Jinja source; everything that is filled in is escaped.
        facts: `cohort`, `title` and `note`, shown at the top.
        numbers: The tidy counts: sections of `counts.counts`, and `rejected`, `note` and `duplicates`.
        cohort: Its table.
        pairs: The duplicates that the cohort takes part in, as `duplicates` returns them.
        blank: Ids of its blank images.
        stores: For each dataset its image store.
    """
    splits = [split for split in SPLITS if (cohort["split"] == split).any()]
    subgroups = _section(numbers, "subgroup").groupby("name", sort=False)
    content: dict[str, Any] = {
        "size": _by_split(_section(numbers, "size"), splits),
        "labels": _labels(_section(numbers, "label"), splits),
        "subgroups": [_by_split(part, splits, name) for name, part in subgroups],
        "absent": [name for name in SUBGROUPS if name not in cohort and name != "class_name"],
        "rejected": _list(_section(numbers, "rejected")),
        "notes": _list(_section(numbers, "note")),
        "duplicates": _list(_section(numbers, "duplicates")),
        "pairs": [_pair(row, stores) for row in _shown(pairs).to_dict("records")],
        "more_pairs": max(0, len(pairs) - PAIRS),
        "blank": blank,
        "samples": _samples(cohort, stores),
    }
    return fill(template, **facts, **content)


def _section(numbers: pd.DataFrame, section: str) -> pd.DataFrame:
    return numbers[numbers["section"] == section]


def _by_split(part: pd.DataFrame, splits: list[str], name: object = "") -> Table:
    wide = part.pivot_table("count", "value", "split", sort=False, observed=True)[splits].astype(int)
    numbers = {str(value): row.tolist() for value, row in wide.iterrows()}
    rows = [[value, *(f"{n:,}" for n in row), f"{sum(row):,}"] for value, row in numbers.items()]
    return Table([*splits, "all"], rows, str(name))


def _labels(part: pd.DataFrame, splits: list[str]) -> Table:
    rows = []
    for label, counted in part.groupby("name", sort=False):
        cells = [str(label)]
        for split in splits:
            n = counted[counted["split"] == split].set_index("value")["count"]
            known = n["positive"] + n["negative"]
            share = f" ({n['positive'] / known:.1%})" if known else ""
            cells += [f"{n['positive']:,} / {known:,}{share}", f"{n[MISSING]:,}"]
        rows.append(cells)
    return Table([column for split in splits for column in (split, "no value")], rows)


def _list(part: pd.DataFrame) -> Table:
    return Table(["number"], [[str(name), f"{n:,}"] for name, n in zip(part["name"], part["count"], strict=True)])


def _shown(pairs: pd.DataFrame) -> pd.DataFrame:
    """Those that matter most: across splits, then across patients, then the least alike."""
    harmless = pd.DataFrame({"split": pairs["split_a"] == pairs["split_b"], "patient": pairs["same_patient"]})
    order = harmless.assign(correlation=pairs["correlation"]).sort_values(["split", "patient", "correlation"]).index
    return pairs.loc[order].head(PAIRS)


def _pair(pair: dict[str, Any], stores: dict[str, np.ndarray]) -> dict[str, str]:
    images = [stores[pair[f"dataset_{side}"]][pair[f"row_{side}"]] for side in "ab"]
    first, second = (
        f"{pair[f'cohort_{side}']} {pair[f'image_id_{side}']} "
        f"(patient {pair[f'patient_id_{side}']}, {pair[f'split_{side}']})"
        for side in "ab"
    )
    what = f"{pair['kind']}, {pair['relation']}, likeness {pair['correlation']:.2f}"
    return {"picture": data_uri(mosaic(images, 2)), "first": first, "second": second, "what": what}


def _samples(cohort: pd.DataFrame, stores: dict[str, np.ndarray]) -> list[dict[str, object]]:
    found = []
    for split in SPLITS:
        rows = sample(cohort[cohort["split"] == split], SAMPLE)
        if len(rows):
            images = [stores[dataset][row] for dataset, row in zip(rows["dataset"], rows["row"], strict=True)]
            found.append({"name": split, "n": len(rows), "picture": data_uri(mosaic(images, COLUMNS))})
    return found
