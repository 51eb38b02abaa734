"""The story of runs: how they were trained, from what, on which machine, and how they are made again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd

from medtransfer.review.pages import facts, heading, page, paragraph
from medtransfer.review.provenance import Network, Origin, Record
from medtransfer.review.tier import Tier
from medtransfer.runs import KEYS, Run

USED, MEASURED, SETTINGS, CODE = "Asked for by", "Measured on test images", "Settings", "Code"
DATA, SEEN, MACHINE, TOOK, MADE = (
    "SHA-256 of its inputs",
    "Trained on",
    "Machine",
    "What it took",
    "SHA-256 of its outputs",
)
SECTIONS = {
    **{"recipe_version": CODE, "inputs": DATA},
    **dict.fromkeys(("images", "patients", "images_seen", "classes", "validation_images"), SEEN),
    **dict.fromkeys(("processor", "device", "devices", "threads", "precision"), MACHINE),
    **dict.fromkeys(("node", "slurm_job", "packages"), MACHINE),
    **dict.fromkeys(("seconds", "micro_batch", "peak_memory_mb", "gpu_memory_mb", "peak_gpu_memory_mb"), TOOK),
}
"""Where the parts of a record are told of; all others are settings."""
ORDER = (USED, MEASURED, SETTINGS, CODE, DATA, SEEN, MACHINE, TOOK, MADE)

Facts = dict[tuple[str, str], str]
"""Values by section and name."""
Who = TypeVar("Who")


def stories(runs: Sequence[Run], tier: Tier) -> str:
    """The records of some runs: what all share, then what a cell or a seed has for itself, then what they started from.

    Runs without a record are named with their status.
    """
    known = {run: record for run in runs if (record := tier.provenance.runs.get(run))}
    measured = measurements(known.values(), tier) if known else {}
    shared, rest = factored({run: of_run(run, known[run], tier) | measured.get(run, {}) for run in known})
    parts = [sections(shared)]
    for cell in dict.fromkeys(run.cell for run in known):
        of_cell, of_seeds = factored({run: rest[run] for run in known if run.cell == cell})
        seeds = [page(f"  Seed {run.seed}", sections(own, "    ")) for run, own in of_seeds.items() if own]
        if of_cell or seeds:
            parts += [heading(cell), sections(of_cell), *seeds]
    if absent := [f"{run.path} ({tier.runs.get(run, 'not asked for')})" for run in runs if run not in known]:
        parts.append(paragraph(f"There is no record of {', '.join(absent)}."))
    origins = tier.provenance.origins(known)
    started = [*known, *(each for each in origins if isinstance(each, Run) and each in tier.provenance.runs)]
    return page(*parts, *(of_origin(each, started, tier) for each in origins), again(runs, tier))


def of_run(run: Run, record: Record, tier: Tier) -> Facts:
    """What is known of a run."""
    arms = next((each.arms for each in tier.runs if each == run), ())
    told = {(USED, "arms of studies"): ", ".join(arms) or "none: the configuration no longer asks for it"}
    return told | of_record(record) | {(CODE, "code"): tier.code}


def of_record(record: Record) -> Facts:
    """Everything that a record says, but for whose it is."""
    told = {
        (SECTIONS.get(part, SETTINGS), " ".join(path) or part.replace("_", " ")): plain(value)
        for part, content in record.content.items()
        if part not in KEYS
        for path, value in (leaves(content) if part == "inputs" else [((), content)])
    }
    return told | {(MADE, what): digest for what, digest in record.outputs.items()}


def leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of nested mappings, with the way to each."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, content


def plain(value: Any) -> str:
    """A value of a record in words."""
    match value:
        case dict():
            return ", ".join(f"{key} {_within(each)}" for key, each in value.items()) or "none"
        case list():
            return " ".join(map(_within, value)) or "none"
        case None | "":
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
    return str(value)


def _within(value: Any) -> str:
    return f"({plain(value)})" if isinstance(value, dict) and value else plain(value)


def measurements(records: Iterable[Record], tier: Tier) -> dict[Run, Facts]:
    """The primary metric of runs on all test images of each cohort."""
    primary = {record.content["task"]: record.content["task_settings"]["primary_metric"] for record in records}
    chosen = [("task", "in", list(primary)), ("metric", "in", list(set(primary.values()))), ("label", "==", "mean")]
    where = [("split", "==", "test"), ("subgroup_by", "==", "all")]
    table = pd.read_parquet(tier.file("metrics.parquet"), filters=[*chosen, *where])
    found: dict[Run, Facts] = {}
    for row in table[table["metric"] == table["task"].map(primary)].to_dict("records"):
        run = Run.of(row)
        value = f"{row['value']:.4g} [{row['ci_low']:.4g}, {row['ci_high']:.4g}], {row['n']:,.0f} images"
        found.setdefault(run, {})[MEASURED, f"{row['metric']}, {row['cohort']} ({row['shift']})"] = value
    return found


def factored(told: Mapping[Who, Facts]) -> tuple[Facts, dict[Who, Facts]]:
    """What all share, and the rest of each."""
    first = next(iter(told.values()), {})
    shared = {fact: value for fact, value in first.items() if all(each.get(fact) == value for each in told.values())}
    rest = {who: {fact: value for fact, value in own.items() if fact not in shared} for who, own in told.items()}
    return shared, rest


def sections(told: Facts, indent: str = "  ") -> str:
    """Facts, each section under its name."""
    named = {section: {what: value for (where, what), value in told.items() if where == section} for section in ORDER}
    return page(*(f"{indent}{section}\n{facts(own, f'{indent}  ')}" for section, own in named.items() if own))


def of_origin(origin: Origin, runs: Iterable[Run], tier: Tier) -> str:
    """The record of what some runs start from, and whether they started from those very weights."""
    record = tier.provenance.record(origin)
    if isinstance(origin, Run):
        title, told = f"The run that it goes on from: {origin.path}", of_record(record) if record else {}
    else:
        title, told = f"The network that it starts from: {origin}", network_facts(origin, record, runs, tier)
    return page(heading(title), sections(told) or paragraph("There is no record of it.", "  "))


def network_facts(network: Network, record: Record | None, runs: Iterable[Run], tier: Tier) -> Facts:
    """What is known of a network: its record, or by whom it was published."""
    if record is None:
        upstream = tier.upstreams.get(network.upstream, {})
        return {(SETTINGS, key): plain(value) for key, value in upstream.items() if key in ("source", "home", "url")}
    others = [
        run.path
        for run in runs
        if tier.provenance.origin(run) == network
        and tier.provenance.runs[run].content["inputs"]["weights"] != [record.outputs["weights"]]
    ]
    held = f"OTHER weights than those of {', '.join(others)}" if others else "the weights that the runs above name"
    return of_record(record) | {(MADE, "these are"): held}


def again(runs: Sequence[Run], tier: Tier) -> str:
    """The command that makes runs again, and where it logs what it does."""
    made = [f"{tier.trained}/runs/{run.path}/predictions.parquet" for run in runs]
    logs = [f"    logs/{tier.trained.name}/finetune/{run.path}.log" for run in runs]
    return page(
        heading("Made again, in a clone without results, by"),
        tier.command(made, anew=True),
        "\n".join(["  which logs to", *logs]),
    )
