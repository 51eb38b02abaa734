"""From a run, a claim or a number back to all that it rests on."""

from collections.abc import Mapping

import pandas as pd

from medtransfer.errors import UserError
from medtransfer.plotting.names import METRICS
from medtransfer.results import ALL, Study
from medtransfer.review.captions import caption_text
from medtransfer.review.cells import OF_ALL_SEEDS, Parts, behind, compared
from medtransfer.review.pages import facts, heading, page, paragraph, shortened
from medtransfer.review.story import stories
from medtransfer.review.tier import Tier, unknown
from medtransfer.runs import CELL, Run

SEED = "/seed"
PLACE = ["claim", "task", "contrast"]


def answer(of: str | None, tier: Tier) -> str:
    """The story of what is asked about.

    Args:
        of: A run (its folder, `task/backbone/upstream/initialisation/recipe/budget/seed<k>`), a cell (the same without
            its seed), a claim (`S3`, `S3/<task>`, `S3/<task>/<contrast>`), a figure or table (its name: lists its
            rows), or a row of it (`<name>:<row>`); None says what can be asked.
        tier: Where to look.

    Raises:
        UserError: There is no such thing; or it was not made, and how to make it.
    """
    if of is None:
        return questions(tier)
    shown, _, row = of.partition(":")
    if row:
        return number(shown, row, tier)
    if shown in tier.shown:
        return rows(shown, tier)
    if of.split("/")[0] in set(tier.claims["claim"]):
        return claim(of, tier)
    return run(of, tier)


def questions(tier: Tier) -> str:
    """What can be asked, with examples of this tier."""
    runs = list(tier.runs)
    contrasts = tier.claims[tier.claims["runs"] != ""]
    asked = {"a run": runs[0].path, "its runs of all seeds": runs[0].cell}
    if len(contrasts):
        first = contrasts.iloc[0]
        asked |= {"a claim": first["claim"], "a contrast in a task": "/".join(first[PLACE])}
    if shown := next(iter(tier.shown), ""):
        asked |= {"rows of a figure or table": shown, "a number, one of these rows": f"{shown}:1"}
    return page(
        heading(f"What can be asked of tier {tier.name}", "="),
        f"  {tier.call('explain')} of=...",
        facts({what: f"of={example}" for what, example in asked.items()}),
        facts(
            {
                "runs": f"{len(runs)}, listed in {tier.results}/completeness.csv",
                "claims": " ".join(tier.claims["claim"].unique()),
                "figures and tables": " ".join(tier.shown) or "none was made yet",
            }
        ),
    )


def run(of: str, tier: Tier) -> str:
    """The story of a run, or of all runs of a cell."""
    cell, _, seed = of.partition(SEED)
    members = [each for each in tier.runs if each.cell == cell and (not seed or str(each.seed) == seed)]
    if not members:
        cells = dict.fromkeys(each.cell for each in tier.runs)
        known = [*tier.claims["claim"], *tier.shown, *cells, *(run.path for run in tier.runs)]
        raise unknown(of, "run or claim, and no figure or table made yet that is called", known)
    if not any(each in tier.provenance.runs for each in members):
        paths = [f"{tier.trained}/runs/{each.path}/predictions.parquet" for each in members]
        raise UserError(
            f"{of} is missing: {tier.results} holds no record of it. It is made by\n{tier.command(paths, True)}"
        )
    return page(heading(of, "="), stories(members, tier))


def claim(of: str, tier: Tier) -> str:
    """The story of a claim: its verdicts, then the runs of its contrasts."""
    asked = dict(zip(PLACE, of.split("/"), strict=False))
    found = tier.claims
    for key, value in asked.items():
        found = found[found[key] == value]
    if found.empty or of.count("/") > 2:
        names = tier.claims[PLACE].agg("/".join, axis=1)
        known = [*names, *names.str.rpartition("/")[0]]
        raise unknown(of, "claim", dict.fromkeys(each for each in known if each.startswith(f"{asked['claim']}/")))
    verdicts = [page(heading(_place(row)), verdict(row, tier)) for _, row in found.iterrows()]
    if len(asked) < len(PLACE):
        more = "The records of these runs: ask about a contrast in a task, claim/task/contrast."
        return page(heading(of, "="), *verdicts, more)
    rested = _runs(compared(found["runs"].iloc[0]), tier)
    records = page(heading("The runs that this rests on", "="), stories(rested, tier)) if rested else ""
    return page(heading(of, "="), *verdicts, records)


def _place(row: pd.Series) -> str:
    where = "all tasks" if row["task"] == ALL else row["task"]
    return f"{row['claim']}, {where}, " + ("all contrasts together" if row["contrast"] == ALL else row["contrast"])


def verdict(row: Mapping[str, str], tier: Tier) -> str:
    """A row of the table of claims, and the cells of its contrast."""
    told = {"what is claimed": row["text"], "source": row["source"], "verdict": row["verdict"]}
    if row["effect"]:
        told["effect"] = f"{row['effect']} [{row['ci_low']}, {row['ci_high']}]"
        told["expected"] = f"{row['expected']}: {row['threshold_low'] or '-inf'} to {row['threshold_high'] or 'inf'}"
        told["measured as"] = (
            f"{METRICS.get(row['metric'], row['metric'])}, {row['where']}, sub-group {row['subgroup']}"
        )
        told["on"] = f"{row['cohorts']}, {row['n']} images, {row['n_seeds']} seeds at least"
    told |= {key: row[key] for key in ("p", "p_adjusted", "note", "otherwise") if row[key]}
    return page(facts(told), _cells(compared(row["runs"]), tier))


def _runs(parts: Parts, tier: Tier, seed: str = ALL) -> list[Run]:
    """The runs of some cells: of all seeds, or of one where that is enough."""
    seeds = {"/".join(cell): ALL if part in OF_ALL_SEEDS else seed for part, cells in parts.items() for cell in cells}
    return [each for each in tier.runs if each.cell in seeds and seeds[each.cell] in ("", ALL, str(each.seed))]


def _cells(parts: Parts, tier: Tier, seed: str = ALL) -> str:
    """A line for each cell: the part it plays, its name, its seeds."""
    lines = []
    for part, cells in parts.items():
        for cell in cells:
            seeds = " ".join(str(each.seed) for each in _runs({part: [cell]}, tier, seed))
            lines.append(f"    {part:>12}  {'/'.join(cell)} [seeds {seeds}]")
    return "\n".join(lines)


def number(shown: str, row: str, tier: Tier) -> str:
    """The story of a row of a figure or table: what it says, how that was computed, and the runs that it rests on."""
    table = _shown(shown, tier)
    if not row.isdecimal() or not 1 <= int(row) <= len(table):
        raise UserError(f"{shown} has the rows 1 to {len(table)}, and no row {row!r}. `of={shown}` lists them.")
    values = {str(key): value for key, value in table.iloc[int(row) - 1].items()}
    study = tier.study(shown)
    parts = behind(shown, values, tier.completeness, study)
    seed = values.get("seed", ALL)
    return page(
        heading(f"{shown}, row {row}", "="),
        paragraph(f"From {tier.shown[shown]}, as it stands there."),
        facts({key: value for key, value in values.items() if value}),
        heading("How it was computed"),
        facts(_measure(values, study)),
        *map(paragraph, caption_text(shown, study)),
        heading("The cells that it rests on"),
        _cells(parts, tier, seed),
        heading("Their runs"),
        stories(_runs(parts, tier, seed), tier),
    )


def _measure(values: Mapping[str, str], study: Study) -> dict[str, str]:
    """A row's codes in words."""
    told = {
        "metric": METRICS.get(values.get("metric", ""), ""),
        "cohort": study["titles"].get(values.get("cohort", ""), ""),
    }
    told["images"] = {"id": "in-distribution", "ood": "out-of-distribution"}.get(values.get("shift", ""), "")
    by, group = values.get("subgroup_by", ""), values.get("subgroup", "")
    told["sub-group"] = "none, all images" if by == ALL else f"{group} of {by}" if by and group else ""
    told["interval"] = "as below" if values.get("ci_low") else "none stands in this row" if "ci_low" in values else ""
    return {what: value for what, value in told.items() if value}


def rows(shown: str, tier: Tier) -> str:
    """The rows of a figure's or table's CSV with their numbers, each in a line as far as that goes."""
    table = _shown(shown, tier)
    lines = []
    for position, row in enumerate(table.to_dict("records"), start=1):
        cell = "/".join(filter(None, (row.get(key, "") for key in CELL)))
        others = (f"{key} {value}" for key, value in row.items() if value and key not in CELL)
        lines.append(shortened(f"{position:>5}  {cell}  {', '.join(others)}"))
    return page(heading(f"{shown}: {len(table)} rows of {tier.shown[shown]}", "="), "\n".join(lines))


def _shown(shown: str, tier: Tier) -> pd.DataFrame:
    if shown not in tier.shown:
        raise unknown(shown, f"figure or table made yet in {tier.results} that is called", tier.shown)
    return pd.read_csv(tier.shown[shown], keep_default_na=False, dtype=str)
