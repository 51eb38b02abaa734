"""Whether frozen results were made with the configuration in force: as a whole, and run by run."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from medtransfer import plan, versions
from medtransfer.config import Config, Recipe, load
from medtransfer.config import Task as TaskSettings
from medtransfer.files import file_digest
from medtransfer.review.provenance import Origin, Provenance
from medtransfer.review.verify_rows import Row, differences, same
from medtransfer.runs import Run
from medtransfer.training.recipe import hyperrule, named_recipes, resolution

ASKED_NOW = {"results", "of", "audit"}
"""Keys that say what is asked of results, not how they are made."""
WHERE_COMPUTED = {"folder", "freeze_derived", "raw_root", "costs", "training"}
THREADS, PRECISION = "decoding.threads", "training.precision"
"""Keys that say where and how fast things are computed; only the number format changes what is computed."""


def config_rows(path: Path, config: Config) -> list[Row]:
    """The configuration in force against the frozen one, key by key."""
    content = yaml.safe_load(path.read_text())
    frozen = load(content, source=str(path)).model_dump(exclude=ASKED_NOW)
    rows = differences("config", path.name, frozen, config.model_dump(exclude=ASKED_NOW))
    return [_excused(row) for row in rows]


def _excused(row: Row) -> Row:
    aside = row.quantity.split(".")[0] in WHERE_COMPUTED or row.quantity == THREADS
    if row.passes or not aside or row.quantity == PRECISION:
        return row
    return replace(row, verdict="agrees", reason="says where and how fast things are computed, not what")


def record_rows(provenance: Provenance, config: Config) -> list[Row]:
    """What each run and network recorded of itself against what the configuration in force asks of it."""
    recipes = named_recipes(config.recipe, config.recipes, config.search)
    reason = "expected is what the configuration asks, observed what was recorded"
    rows = []
    for run, record in provenance.runs.items():
        subject, content = _name(run), record.content
        if run.task not in config.tasks or run.recipe not in recipes:
            what = f"the configuration has no task {run.task} with a recipe {run.recipe}"
            rows.append(Row("record", subject, "settings", "asked for", "", "missing", reason=what))
            continue
        asked = _asked(run, config, recipes[run.recipe], int(content["images"]))
        recorded = {key: content.get(key) for key in asked}
        rows += differences("record", subject, asked, recorded, reason)
    for network, record in provenance.networks.items():
        settings = config.upstreams.get(network.upstream)
        asked_for = settings.model_dump() if settings else {}
        rows += differences("record", _name(network), asked_for, record.content["settings"], reason)
    return rows


def _asked(run: Run, config: Config, recipe: Recipe, images: int) -> dict[str, Any]:
    """What a run's record should say, as JSON has it."""
    task = config.tasks[run.task]
    trained = TaskSettings.model_validate({"title": "", **task.model_dump(exclude=plan.REPORTED)})
    asked = {
        **run.keys,
        "recipe_version": versions.TRAINING,
        "task_settings": trained.model_dump(),
        "resolution": (task.resolution or resolution(config.recipe.hyperrule, run.backbone)).model_dump(),
        "hyperrule": recipe.hyperrule,
        "hyperparameters": asdict(hyperrule(images, recipe.hyperrule, recipe.overrides)),
        "tracking": config.tracking.model_dump(),
        "precision": config.training.precision,
    }
    as_json: dict[str, Any] = json.loads(json.dumps(asked))
    return as_json


def weight_rows(provenance: Provenance, side: str, results: Path | None = None) -> list[Row]:
    """The weights that runs say they started from against those that were made, and against the files.

    Args:
        provenance: Records of the runs and of the networks.
        side: Whose records they are: "frozen" or "regenerated".
        results: The tier's results, if its files are to be looked at; those that are not there are passed over.
    """
    users: dict[Origin | None, dict[str, str]] = {}
    for run, record in provenance.runs.items():
        started = " ".join(record.content["inputs"]["weights"])
        users.setdefault(provenance.origin(run), {})[_name(run)] = started
    rows = []
    for origin, used in users.items():
        made = "" if origin is None else _made(provenance, origin) or next(iter(used.values()))
        quantity = f"weights of {_name(origin)}, {side}"
        reason = "the run says that it started from other weights than were made, or than other runs started from"
        wrong = [same("record", run, quantity, made, weights, reason) for run, weights in used.items()]
        rows += [row for row in wrong if not row.passes] or [
            same("record", _name(origin), f"weights that {len(used)} runs started from, {side}", made, made)
        ]
        if results and origin is not None and (path := _file(provenance, origin, results)).is_file():
            what = "the file is not the one that was used"
            rows.append(same("record", _name(origin), f"SHA-256 of {path}", made, file_digest(path), what))
    return rows


def _made(provenance: Provenance, origin: Origin) -> str:
    record = provenance.record(origin)
    return record.outputs.get("weights", "") if record else ""


def _name(origin: Origin | None) -> str:
    return origin.path if origin else "none"


def _file(provenance: Provenance, origin: Origin, results: Path) -> Path:
    if isinstance(origin, Run):
        return results / "runs" / origin.path / "weights.safetensors"
    released: dict[str, str] = dict(provenance.upstreams[origin.upstream].get("weights", {}))
    if origin.backbone in released:
        return Path(released[origin.backbone])
    return results / "upstream" / origin.upstream / f"{origin.backbone}.safetensors"
