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
# # Verdicts on the claims, and the contrasts they rest on
#
# Above, for each claim and task what its contrasts say together, after the adjustment for all decisions of the study.
# Below, the contrasts themselves: effect, interval and the verdict of that interval alone, in groups that share a unit.
# The pale band of a row is where its claim expects the effect to lie; it begins at the declared threshold or margin.

# %%
import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from medtransfer.claims.schema import INTERACTION, SHARE_NEEDED, SIMILARITY, STEPS
from medtransfer.files import write_csv
from medtransfer.metrics import calibration
from medtransfer.metrics.evaluate import SCALED
from medtransfer.plotting import panels, style
from medtransfer.results import Study
from medtransfer.review.notebook import step

ERRORS = {f"{metric}{suffix}" for metric in calibration.METRICS for suffix in ("", SCALED)}
SCORES, ERROR = "difference of the metric", "difference of the error"
UNITS = {
    SHARE_NEEDED: "share of patients needed",
    STEPS: "difference in steps",
    SIMILARITY: "difference of CKA",
    INTERACTION: "metric per tenfold × tenfold",
}
VERDICT = "verdict"
ORDER = [SCORES, UNITS[INTERACTION], ERROR, UNITS[SHARE_NEEDED], UNITS[STEPS], UNITS[SIMILARITY]]
MARKS: dict[str, dict[str, Any]] = {
    "supported": {"marker": "o", "color": "#0072B2"},
    "contradicted": {"marker": "X", "color": "#D55E00"},
    "inconclusive": {"marker": "o", "color": "0.35", "markerfacecolor": "white"},
}
ROW, AXIS = 3.2, 9.0  # mm: a contrast, and the axis below a group
SIDE_BY_SIDE = 4  # tasks that a page is wide enough for
NEVER = 1.12  # where a share that is not reached is drawn


# %%
def draw(verdicts: pd.DataFrame, study: Study) -> Figure:
    """Tasks side by side, as many as have room; further ones below."""
    with mpl.rc_context({**style.STYLE, "axes.grid.axis": "x", "lines.markersize": 3.4}):
        tasks = [task for task in study["tasks"] if task in set(verdicts["task"])]
        contrasts = numbered(verdicts)
        counts = contrasts.groupby("unit")["row"].max() + 1
        rows = {VERDICT: verdicts["claim"].nunique(), **{unit: counts[unit] for unit in ORDER if unit in counts}}
        bands = [tasks[start : start + SIDE_BY_SIDE] for start in range(0, len(tasks), SIDE_BY_SIDE)]
        figure = panels.page(height=len(bands) * (ROW * sum(rows.values()) + AXIS * len(rows)))
        for band, some in zip(figure.subfigures(len(bands), 1, squeeze=False)[:, 0], bands, strict=True):
            ratios = [count + 0.2 for count in rows.values()]
            columns = min(len(tasks), SIDE_BY_SIDE)
            axes = band.subplots(len(rows), columns, squeeze=False, sharey="row", height_ratios=ratios)
            for panel, unit in zip(axes[:, 0], rows, strict=True):
                label_rows(panel, row_names(verdicts, contrasts, unit))
            for task, column in zip(some, axes.T, strict=False):
                column[0].set_title(textwrap.fill(study["tasks"][task]["title"], 84 // columns), fontweight="bold")
                draw_together(column[0], verdicts[(verdicts["task"] == task) & (verdicts["contrast"] == "all")])
                for panel, unit in list(zip(column, rows, strict=True))[1:]:
                    part = contrasts[contrasts["unit"] == unit]
                    limit(panel, part, unit)
                    draw_contrasts(panel, part[part["task"] == task], unit)
            for unused in axes[:, len(some) :].flat:
                unused.set_axis_off()
        small_print(figure, study)
    return figure


# %%
def row_names(verdicts: pd.DataFrame, contrasts: pd.DataFrame, unit: str) -> list[str]:
    """What the rows of a panel are called."""
    if unit == VERDICT:
        return [f"{claim}  verdict" for claim in verdicts["claim"].unique()]
    rows = contrasts[contrasts["unit"] == unit].drop_duplicates("row").sort_values("row")
    return [f"{row.claim}  {row.contrast.replace('_', ' ')}" for row in rows.itertuples()]


# %%
def numbered(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The contrasts with the unit they are in and their row among those of that unit."""
    contrasts = verdicts[verdicts["contrast"] != "all"]
    unit = [UNITS.get(metric, ERROR if metric in ERRORS else SCORES) for metric in contrasts["metric"]]
    contrasts = contrasts.assign(unit=unit, name=contrasts["claim"] + " " + contrasts["contrast"])
    rows = contrasts.groupby("unit")["name"].transform(lambda names: pd.factorize(names)[0])
    return contrasts.assign(row=rows.astype(int))


# %%
def draw_together(panel: Axes, verdicts: pd.DataFrame) -> None:
    """Verdicts of claims in a task, as marker, word and adjusted p-value."""
    for row, each in enumerate(verdicts.itertuples()):
        panel.plot(0.06, row, linestyle="", **MARKS.get(each.verdict, {"marker": ""}))
        p = f", p {'< 0.001' if each.p_adjusted < 0.001 else f'= {each.p_adjusted:.2g}'}"
        words = f"{each.verdict}{p}" if not pd.isna(each.p_adjusted) else each.verdict
        panel.annotate(
            words, (0.06, row), (5, 0), textcoords="offset points", va="center", fontsize=6, color=shade(each)
        )
    panel.set_xlim(0, 1)
    panel.set_xticks([])
    panel.grid(False)
    panel.spines[["left", "bottom"]].set_visible(False)
    panel.tick_params(axis="y", length=0)


# %%
def draw_contrasts(panel: Axes, contrasts: pd.DataFrame, unit: str) -> None:
    """Effects and intervals of a task in one unit, on bands where they are expected, with the word of the verdict."""
    ends = panel.get_xlim()
    for each in contrasts.itertuples():
        for left, right in expected_bands(each, ends):
            panel.barh(each.row, right - left, left=left, height=0.84, color="0.92", zorder=0.5)
        thresholds = [bound for bound in (each.threshold_low, each.threshold_high) if not pd.isna(bound)]
        panel.vlines(thresholds, each.row - 0.42, each.row + 0.42, color="0.45", linewidth=0.7)
        if not pd.isna(each.effect):
            draw_interval(panel, each, ends)
        beside = panel.get_yaxis_transform()
        panel.text(1.05, each.row, each.verdict, va="center", fontsize=5.5, color=shade(each), transform=beside)
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", length=0)
    if unit != UNITS[SHARE_NEEDED]:
        panel.axvline(0, color="0.5", linewidth=0.6, zorder=0.8)


# %%
def shade(row: Any) -> str:
    """Black for what is decided, grey for the rest."""
    return "0" if row.verdict in ("supported", "contradicted") else "0.35"


# %%
def draw_interval(panel: Axes, row: Any, ends: tuple[float, float]) -> None:
    """An effect with its interval, cut at the ends of the axis, where an arrow says that it goes on."""
    mark = MARKS[row.verdict]
    effect, low, high = np.clip([row.effect, row.ci_low, row.ci_high], *ends)
    panel.plot([low, high], [row.row, row.row], color=mark["color"], linewidth=1.0)
    for goes_on, end, arrow in ((row.ci_low < ends[0], ends[0], "<"), (row.ci_high > ends[1], ends[1], ">")):
        if goes_on:
            panel.plot(end, row.row, marker=arrow, color=mark["color"], clip_on=False, markersize=3)
    panel.plot(effect, row.row, linestyle="", **mark)


# %%
def expected_bands(row: Any, ends: tuple[float, float]) -> list[tuple[float, float]]:
    """Where the claim expects the effect, cut at the ends of the axis."""
    low = ends[0] if pd.isna(row.threshold_low) else row.threshold_low
    high = ends[1] if pd.isna(row.threshold_high) else row.threshold_high
    return [(ends[0], low), (high, ends[1])] if row.expected == "differs" else [(low, high)]


# %%
def limit(panel: Axes, contrasts: pd.DataFrame, unit: str) -> None:
    """One axis for all tasks: wide enough for all effects and thresholds, and for all but the widest intervals."""
    panel.set_xlabel(unit, fontsize=6, labelpad=1)
    if unit == UNITS[SHARE_NEEDED]:
        panel.set_xlim(0, NEVER)
        panel.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
        panel.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        panel.xaxis.set_minor_locator(NullLocator())
        return
    bounds = contrasts[["ci_low", "ci_high"]].abs().max(axis=1).dropna()
    shown = contrasts[["effect", "threshold_low", "threshold_high"]].abs().to_numpy()
    widest = max(np.nanmax(shown, initial=0), bounds.quantile(0.9) if len(bounds) else 0) or 1.0
    panel.set_xlim(-1.08 * widest, 1.08 * widest)
    panel.xaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    panel.xaxis.set_major_formatter("{x:g}")


# %%
def label_rows(panel: Axes, labels: list[str]) -> None:
    """Names of the rows, the first at the top."""
    panel.set_yticks(range(len(labels)), labels, fontsize=6)
    panel.set_ylim(len(labels) - 0.4, -0.6)


# %%
def small_print(figure: Figure, study: Study) -> None:
    """How to read the figure, and what its numbers cannot tell."""
    percent = f"{100 * study['confidence']:g} %"
    text = (
        f"Bars: {percent} intervals over patients and seeds, with an arrow where they go on. Pale: where the claim "
        "expects the effect. Marks of bars, and words beside them: the verdict of that interval alone; above: of all "
        "contrasts of a claim, after Holm's method over claims and tasks."
    )
    panels.print_below(figure, text, study)


# %%
def main(verdicts: str, study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the verdicts it shows."""
    rows = pd.read_csv(verdicts)
    rows = rows[(rows["study"] == study["name"]) & (rows["task"] != "all")].reset_index(drop=True)
    write_csv(rows, csv)
    style.save(draw(rows, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_verdicts", globals().get("snakemake")) as job:
        main(job.input.claims, job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
