"""What the report is made of, for an invented tier, and a page taken apart."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd

import report
from medtransfer.claims.verdict import COLUMNS
from medtransfer.files import write_csv, write_parquet
from medtransfer.plan import FIGURES, TABLES
from medtransfer.plotting.tables import write_table
from tests.conftest import ROOT
from tests.invented import STUDY

HOSTILE = '<script>alert("x")</script> & {{ 7 * 7 }} `a *b'
COHORTS = {"chexpert": "CheXpert", "pad_ufes_20": HOSTILE, "scenes": "Scenes"}


def claims() -> pd.DataFrame:
    """A claim that is contradicted in a task, with a contrast for each kind of expectation, and one never asked."""
    known = {"study": "scale", "note": STUDY["note"], "source": f"an account; {HOSTILE}"}
    measured: dict[str, Any] = {
        **known,
        "claim": "S1",
        "task": "chest5",
        "metric": "auc",
        "where": "ood",
        "subgroup": "worst",
    }
    measured |= {"cohorts": "nih_cxr14 vindr_cxr", "n": 1950, "n_seeds": 2, "verdict": "contradicted", "p": 0.0004}
    bounds = {"greater": (0.01, None), "less": (None, 0.5), "differs": (-0.02, 0.02), "within": (0.3, 0.6)}
    rows: list[dict[str, Any]] = [
        {**measured, "contrast": f"contrast_{kind}", "text": kind, "expected": kind, "effect": -0.125, "ci_low": -0.25}
        | {"ci_high": float("inf"), "threshold_low": low, "threshold_high": high}
        for kind, (low, high) in bounds.items()
    ]
    together = {**known, "claim": "S1", "contrast": "all", "text": HOSTILE, "verdict": "contradicted"}
    rows += [{**together, "task": "chest5", "p_adjusted": 0.0123, "otherwise": "Supported had it been otherwise."}]
    rows += [{**together, "task": "all"}]
    absent = {**known, "claim": "S2", "contrast": "all", "text": "Another claim.", "verdict": "not asked"}
    return pd.DataFrame([*rows, {**absent, "task": "chest5"}, {**absent, "task": "all"}], columns=COLUMNS)


def record(**changes: Any) -> dict[str, Any]:
    """What a run records, as far as the report reads it."""
    known = {"task": "chest5", "backbone": "r14w16", "node": "vm", "device": "cpu", "packages": {"torch": "2.13.0"}}
    trained = {"images_seen": 6400, "devices": 1, "threads": 1, "seconds": {"data": 10.0, "step": 50.0}}
    return {**known, **trained, **changes}


RECORDS = [
    record(),
    record(node="other", packages={"torch": "2.12.0"}),
    record(device="NVIDIA H200", devices=4, seconds={"step": 900.0}),
    {key: value for key, value in record(upstream="scenes", seconds={"step": 3605.0}).items() if key != "task"},
]


def runs() -> pd.DataFrame:
    """A run that is there and serves two arms, and one that is missing."""
    run = {"task": "chest5", "backbone": "r14w16", "upstream": "none", "initialisation": "random", "recipe": "rule"}
    present = {**run, "budget": "pct100", "seed": 0, "arms": "scale/scale scale/depth", "status": "present"}
    return pd.DataFrame([present, {**present, "seed": 1, "arms": "scale/scale", "status": "missing"}])


def arguments(folder: Path) -> dict[str, Any]:
    """What the script is given: an invented tier with every figure and table that there is, and the real captions."""
    figures, tables = ({name: each.title for name, each in shown.items()} for shown in (FIGURES, TABLES))
    for name in figures:
        (folder / f"{name}.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg"><!-- {name} --></svg>')
        (folder / f"{name}.csv").write_text(f"x,y\n1,{name}\n")
    for name in tables:
        table = pd.DataFrame({"Task": [HOSTILE, "b"], "Mean": ["0.700 [0.600, 0.800]", "–"], "Words": ["x", "1"]})
        ends = {"csv": "csv", "markdown": "md", "latex": "tex"}
        paths = {kind: str(folder / f"{name}.{end}") for kind, end in ends.items()}
        write_table(table, table, "How to read it.", STUDY, name, paths)
    write_csv(claims(), folder / "verdicts.csv")
    write_csv(runs(), folder / "runs.csv")
    write_parquet(pd.DataFrame({"record": map(json.dumps, RECORDS)}), folder / "provenance.parquet")
    counts = [("size", "size", kind, split, 7) for kind in ("images", "patients") for split in ("train", "val", "test")]
    counts += [("label", HOSTILE, "positive", split, 1234) for split in ("train", "val", "test")]
    counts += [("rejected", HOSTILE, "", "", 3), ("rejected", "file not found", "", "", 2)]
    for name in COHORTS:
        table = pd.DataFrame(counts, columns=["section", "name", "value", "split", "count"])
        write_csv(table, folder / f"{name}.csv")
    config = {"tier": "demo", "note": HOSTILE, "tasks": {"chest5": {"title": HOSTILE}}}
    facts = {"tier": "demo", "note": HOSTILE, "studies": [STUDY], "config": config}
    facts |= {"figures": figures, "tables": tables, "cohorts": COHORTS}
    return {
        "claims": str(folder / "verdicts.csv"),
        "completeness": str(folder / "runs.csv"),
        "provenance": str(folder / "provenance.parquet"),
        "quality": {name: str(folder / f"{name}.csv") for name in COHORTS},
        "figures": {name: str(folder / f"{name}.svg") for name in figures},
        "tables": {name: str(folder / f"{name}.md") for name in tables},
        "captions": report.by_name([str(path) for path in (ROOT / "report").glob("*.rst")]),
        "template": str(ROOT / "report" / "report.html.j2"),
        "style": str(ROOT / "report" / "report.css"),
        "facts": facts,
        "page": str(folder / "report.html"),
    }


class Page(HTMLParser):
    """The elements of a page, each with its attributes, what it stands in and the text in it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self.open: list[dict[str, Any]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "text": "", "within": list(self.open), **dict(attrs)}
        self.elements.append(element)
        if tag not in ("img", "meta", "br"):
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop()["tag"] == tag, f"{tag} ends, and is not open"

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] += f"{data} "

    def all(self, *tags: str) -> list[dict[str, Any]]:
        return [element for element in self.elements if element["tag"] in tags]

    def by_id(self, name: str) -> dict[str, Any]:
        (element,) = (each for each in self.elements if each.get("id") == name)
        return element


def words(element: dict[str, Any]) -> str:
    return " ".join(element["text"].split())
