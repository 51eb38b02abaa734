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
# # Adaptation to another hospital with few of its patients
#
# A network that was fine-tuned at one hospital goes on at another, with a share of the patients there. Is that better
# than to fine-tune the same pre-trained network on those patients alone, and from how many of them on does it no longer
# matter? At 0 % stands the network as the first hospital left it.

# %%
import textwrap

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from medtransfer.config import RULE
from medtransfer.errors import UserError
from medtransfer.files import write_csv
from medtransfer.plotting import names, panels, style
from medtransfer.plotting.contrasts import differences
from medtransfer.plotting.numbers import ALL_SEEDS, study_numbers
from medtransfer.plotting.tiles import ZERO, fraction_axis, tiled
from medtransfer.results import FULL, Results, Study
from medtransfer.review.notebook import step
from medtransfer.runs import CELL

ADAPTED, ALONE, UNADAPTED, GAIN = "adapted", "alone", "unadapted", "adapted - alone"
LOOKS = dict(zip([ALONE, ADAPTED], style.LOOKS[::2], strict=False))
DODGE = 1.04  # factor between lines, so that their intervals do not hide one another
BESIDE = 3.0  # how many times further left than the smallest fraction 0 % stands, on a logarithmic axis without a zero


# %%
def adaptation_numbers(results: Results, study: Study) -> pd.DataFrame:
    """Levels and differences on the other hospital's test images; `quantity` says which, `start` from which upstream.

    Raises:
        UserError: No fine-tuned network of the study is adapted.
    """
    cells = results.cells("adaptation", upstream=list(study["adapted"]), recipe=RULE)
    if cells.empty:
        raise UserError(
            f"The study {study['name']!r} adapts no network to another hospital. Add an upstream of the source "
            "`finetuned`, and an arm `adaptation` with it, with the upstream it went out from, and with `fractions`."
        )
    parts = []
    for (task, backbone, start), adapted in cells.groupby(["task", "backbone", "upstream"], sort=False):
        before = study["adapted"][start]
        alone = results.cells("adaptation", task=task, backbone=backbone, upstream=before["upstream"], recipe=RULE)
        left = results.cells(
            task=before["task"], backbone=backbone, upstream=before["upstream"], recipe=RULE, budget=FULL
        )
        left = left[left["initialisation"].isin(["pretrained", "random"])]
        pairs = [
            ((one, results.cohorts(task)[0]), (other, results.cohorts(task)[0]))
            for one in adapted[list(CELL)].itertuples(index=False, name=None)
            for other in alone[list(CELL)].itertuples(index=False, name=None)
            if one[-1] == other[-1]
        ]
        if not pairs:
            raise UserError(
                f"Nothing can be compared with {task}/{backbone}/{start}: add the upstream {before['upstream']!r} with "
                "the same backbone and fractions to the arm `adaptation`."
            )
        quantities = {
            UNADAPTED: study_numbers(results, left).assign(fraction=0.0),
            ADAPTED: study_numbers(results, adapted),
            ALONE: study_numbers(results, alone),
            GAIN: differences(results, pairs),
        }
        for quantity, numbers in quantities.items():
            here = numbers[numbers["cohort"] == results.cohorts(task)[0]]
            parts.append(here.assign(quantity=quantity, target=task, start=start))
    return pd.concat(parts, ignore_index=True)


# %%
def draw(numbers: pd.DataFrame, study: Study) -> Figure:
    """A tile for each hospital and network: the levels, and their difference."""
    with mpl.rc_context(style.STYLE):
        groups = [group for _, group in numbers.groupby(["target", "start", "backbone"], sort=False)]
        figure, tiles = tiled(len(groups), columns=2, height=52)
        for tile, group in zip(tiles, groups, strict=True):
            draw_tile(tile, group, study)
        labels = ["these patients alone", "the first hospital's patients, then these"]
        handles = panels.handles(dict(zip(labels, LOOKS.values(), strict=True)))
        figure.legend(handles=handles, loc="upper center", ncols=len(handles))
        explanation = (
            "At 0 %, and as a band: the network of the first hospital, without any of these patients. Right: the "
            "difference of the two lines, paired, with zero for none."
        )
        panels.small_print(figure, explanation, study)
    return figure


# %%
def draw_tile(tile: SubFigure, numbers: pd.DataFrame, study: Study) -> None:
    """One hospital and one network."""
    first = numbers.iloc[0]
    facts = study["tasks"][first["target"]]
    before = study["adapted"][first["start"]]
    hospitals = [names.title(study["tasks"][task]["id_cohort"], study) for task in (before["task"], first["target"])]
    heading = [" to ".join(hospitals), f"{first['backbone']}, {names.title(before['upstream'], study)}"]
    tile.suptitle("\n".join(textwrap.fill(line, 44) for line in heading), **style.HEADING)
    left, right = tile.subplots(1, 2)
    parts = dict(list(numbers.groupby("quantity")))
    metric, n = names.METRICS[facts["primary_metric"]], parts[ADAPTED]["n"].iloc[0]
    left.set_ylabel(f"{metric}\n({n:,} test images)")
    right.set_ylabel(f"with minus without\nthe first hospital ({metric})")
    draw_levels(left, parts)
    right.axhline(0, **ZERO)
    panels.line(right, 100 * parts[GAIN]["fraction"], parts[GAIN], LOOKS[ADAPTED])
    fraction_axis(right, parts[GAIN]["fraction"])
    for panel in (left, right):
        panel.set_xlabel("training patients (%)")
        panels.few_ticks(panel)


# %%
def draw_levels(panel: Axes, parts: dict[str, pd.DataFrame]) -> None:
    """Both ways over the share of the patients, and the unadapted network beside it."""
    adapted, unadapted = parts[ADAPTED], parts[UNADAPTED]
    for quantity, factor in ((ALONE, 1 / DODGE), (ADAPTED, DODGE)):
        panels.line(panel, factor * 100 * parts[quantity]["fraction"], parts[quantity], LOOKS[quantity])
    zero = 100 * adapted["fraction"].min() / BESIDE
    panels.line(panel, pd.Series(zero, unadapted.index), unadapted, LOOKS[ADAPTED])
    band = unadapted[unadapted["seed"] == ALL_SEEDS].iloc[0]
    panel.axhspan(band["ci_low"], band["ci_high"], color=LOOKS[ADAPTED].colour, alpha=0.12, linewidth=0)
    fraction_axis(panel, pd.concat([adapted["fraction"], parts[ALONE]["fraction"]]), zero)


# %%
def main(tables: dict[str, str], study: Study, csv: str, images: list[str]) -> None:
    """Write the figure in the formats of `images`, and the numbers it shows."""
    results = Results.load(tables, study)
    numbers = adaptation_numbers(results, study)
    write_csv(numbers, csv)
    style.save(draw(numbers, study), *images)


# %%
if __name__ == "__main__":
    with step("scale_adaptation", globals().get("snakemake")) as job:
        main(dict(job.input.items()), job.params.study, job.output.csv, [job.output.svg, job.output.pdf])
