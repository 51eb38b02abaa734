# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Representation reuse across depth
#
# Which blocks does fine-tuning change, and which must come from the upstream? Linear CKA of each block before and after
# fine-tuning, and between two fine-tuned networks that differ by their seed, over depth; and what a network reaches
# that takes only its first blocks from the upstream. For the study's `small` and `large` network.

# %%
import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from medtransfer.config import NO_UPSTREAM, RULE
from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.numbers import ALL_SEEDS, study_numbers
from medtransfer.results import FULL, Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL

PREFIX = "prefix"
CKA = {"fine-tuning": "CKA before and after fine-tuning", "seeds": "CKA between seeds"}
BLOCKS = ["0", "1\nstem", "2", "3", "4", "5\nall"]  # the prefixes of `models.initialisations`
MARKERS = 10  # on a line over depth
ROLES = ("small", "large")
DODGE = 0.08  # blocks, between lines


# %%
def numbers_of(results: Results, path: str) -> pd.DataFrame:
    """CKA over `depth`, and the primary metric over `blocks` taken from the upstream; `drawn` says which.

    A row of CKA is the mean over seeds, or pairs of seeds, with the lowest and the highest bound of their intervals.
    Tasks without either are left out.
    """
    shown = [results.study["roles"][role] for role in ROLES]
    cells = results.cells("scale", recipe=RULE, budget=FULL, backbone=shown)
    parts = [part for part in (similarities(path, cells), prefixes(results, cells)) if not part.empty]
    if not parts:
        raise UserError(
            f"The study {results.study['name']} has neither similarities nor prefixes of {' or '.join(shown)} to show. "
            "Add these networks to its arm `scale`, with `similarity_images` of 4 or more, or to an arm `depth`."
        )
    order = {task: number for number, task in enumerate(results.study["tasks"])}
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values("task", key=lambda tasks: tasks.map(order), kind="stable").reset_index(drop=True)


# %%
def similarities(path: str, cells: pd.DataFrame) -> pd.DataFrame:
    """CKA of these cells: means over seeds, and the hull of the intervals over images of the single ones."""
    known = pd.read_parquet(path).dropna(subset="value")
    rows = cells[list(CELL)].merge(known, on=list(CELL))
    pooled = rows.groupby([*CELL, "comparison", "block", "depth"], sort=False).agg(
        value=("value", "mean"),
        ci_low=("ci_low", "min"),
        ci_high=("ci_high", "max"),
        n_seeds=("seeds", "nunique"),
        n=("n", "first"),
    )
    return pooled.reset_index().rename(columns={"comparison": "drawn"}).assign(seed=ALL_SEEDS)


# %%
def prefixes(results: Results, cells: pd.DataFrame) -> pd.DataFrame:
    """In-distribution performance of the arm `depth`, with the networks that take nothing and everything."""
    depth = results.cells("depth", recipe=RULE, budget=FULL)
    partial = depth[depth["initialisation"].str.startswith(PREFIX) & depth["backbone"].isin(set(cells["backbone"]))]
    where = ["task", "backbone", "upstream"]
    whole = cells.merge(partial[where].drop_duplicates(), on=where)
    random = cells[cells["upstream"] == NO_UPSTREAM].merge(partial[where[:2]].drop_duplicates(), on=where[:2])
    chosen = pd.concat([random, partial, whole], ignore_index=True)
    numbers = study_numbers(results, chosen)
    counts = {name: int(name.removeprefix(PREFIX)) for name in set(partial["initialisation"])}
    blocks = numbers["initialisation"].map({"random": 0, "pretrained": len(BLOCKS) - 1, **counts})
    return numbers[numbers["shift"] == "id"].assign(drawn=PREFIX, blocks=blocks)


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A block of panels for each task: a row for each network, columns for CKA and for prefixes."""
    with mpl.rc_context(style.STYLE):
        looks = style.shown_looks(study["upstreams"], numbers["upstream"])
        figure, blocks = panels.task_rows(numbers, lambda part: 17 + 29 * part["backbone"].nunique())
        for block, part in blocks:
            draw_task(block, part, study, looks)
        panels.legend(figure, looks, study)
        explanation = (
            "CKA: means over seeds; bands reach from the lowest to the highest bound of the single intervals, which "
            "are over images alone (jackknife). ID: in-distribution."
        )
        panels.small_print(figure, explanation, study)
    return figure


# %%
def draw_task(block: SubFigure, numbers: pd.DataFrame, study: Study, looks: dict[str, style.Look]) -> None:
    """Networks from small to large, one below the other, with one scale in each column."""
    facts = study["tasks"][numbers["task"].iloc[0]]
    block.suptitle(facts["title"], **style.HEADING)
    backbones = sorted(numbers["backbone"].unique(), key=lambda name: study["backbones"][name])
    shown = [kind for kind in (*CKA, PREFIX) if kind in set(numbers["drawn"])]
    columns = block.subplots(len(backbones), len(shown), sharex="col", sharey="col", squeeze=False).T
    cohort = names.title(facts["id_cohort"], study)
    titles = CKA | {PREFIX: f"{names.METRICS[facts['primary_metric']]}, {cohort} (ID)"}
    for panel, backbone in zip(columns[0], backbones, strict=True):
        panel.set_ylabel(f"{backbone}, {names.parameters(study['backbones'][backbone])}")
    for column, kind in zip(columns, shown, strict=True):
        part = numbers[numbers["drawn"] == kind]
        column[0].set_title(f"{titles[kind]}\n{part['n'].iloc[0]:,.0f} images", loc="left")
        for panel, backbone in zip(column, backbones, strict=True):
            own = part[part["backbone"] == backbone]
            panel.set_visible(not own.empty)
            (draw_prefixes if kind == PREFIX else draw_similarity)(panel, own, looks)
        lowest = [panel for panel in column if panel.get_visible()][-1]
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel("blocks from the upstream" if kind == PREFIX else "depth (0: stem, 1: last block)")


# %%
def draw_similarity(panel: Axes, numbers: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    """CKA over depth, a line in its band for each upstream."""
    for upstream, look in looks.items():
        part = numbers[numbers["upstream"] == upstream].sort_values("depth")
        panel.fill_between(part["depth"], part["ci_low"], part["ci_high"], color=look.colour, alpha=0.15, linewidth=0)
        every = max(1, len(part) // MARKERS)
        panel.plot(
            part["depth"], part["value"], color=look.colour, marker=look.marker, markevery=every, mec="white", mew=0.3
        )
    panel.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    panel.set_ylim(min(0, numbers["ci_low"].min()), 1.03)


# %%
def draw_prefixes(panel: Axes, numbers: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    """The metric over blocks from the upstream; the lines of all upstreams start where none is taken."""
    start = numbers[numbers["upstream"] == NO_UPSTREAM]
    upstreams = [name for name in looks if name in set(numbers["upstream"]) - {NO_UPSTREAM}]
    origin = start[start["seed"] == ALL_SEEDS]
    for position, upstream in enumerate(upstreams):
        part = numbers[numbers["upstream"] == upstream].sort_values("blocks", kind="stable")
        offset = DODGE * (position - (len(upstreams) - 1) / 2)
        first = part[part["seed"] == ALL_SEEDS].iloc[:1]
        panel.plot(
            [*origin["blocks"], *(first["blocks"] + offset)],
            [*origin["value"], *first["value"]],
            color=looks[upstream].colour,
        )
        panels.line(panel, part["blocks"] + offset, part, looks[upstream])
    panels.line(panel, start["blocks"], start, looks[NO_UPSTREAM])
    panel.set_xticks(range(len(BLOCKS)), BLOCKS)
    panels.few_ticks(panel)


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    numbers = numbers_of(Results.load(tables, study), tables["similarity"])
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_representation", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
