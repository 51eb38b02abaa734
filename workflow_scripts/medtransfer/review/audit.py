"""An audit: a sample of a frozen record's runs, trained again, and everything about them held against the record."""

from pathlib import Path
from typing import Any

from medtransfer.config import load
from medtransfer.review.audit_report import Audit
from medtransfer.review.checks import NOT_HERE, RUNS, Check
from medtransfer.review.data_audit import audit_data
from medtransfer.review.frozen import Frozen
from medtransfer.review.leak_audit import audit_leaks
from medtransfer.review.provenance import Provenance
from medtransfer.review.record_audit import audit_record, require
from medtransfer.review.retrain import failure, link_data, obstacles, predictions_path, retrain
from medtransfer.review.run_audit import audit_runs
from medtransfer.review.sampling import draw
from medtransfer.runs import KEYS, run_table

BEGUN = "which was there before: what had been finished there was not made again. Remove it to begin anew."


def carry_out(content: dict[str, Any], record: str, results: str, cores: int | None) -> Audit:
    """Draw, train again and compare.

    Args:
        content: The configuration; its section `audit` says what to draw.
        record: Folder of the frozen results.
        results: Folder of the tier's results. It is not read, unless training is to start from its image stores.
        cores: How many training may use on this machine; None submits jobs to SLURM.

    Raises:
        UserError: There is no record, or it is not as it was frozen, or lacks something of the drawn runs.
    """
    config, frozen = load(content, "the configuration"), Frozen.open(record)
    asked = config.audit
    table = run_table(config.studies, config.trials)
    held = sorted(frozen.runs(), key=lambda run: tuple(getattr(run, key) for key in KEYS))
    drawn = draw(held, asked.runs, asked.seed)
    records = Provenance.read(frozen.path("provenance.parquet"), content.get("upstreams", {})).runs
    require(frozen, records, drawn)

    folder = Path(f"{results}-audit-{asked.seed}{'-images' if asked.start == 'images' else ''}")
    begun = folder.exists()
    if asked.start == "images":
        link_data(Path(results), folder)
    lacking = {run: obstacles(config, folder, run, table) for run in dict.fromkeys(drawn)}
    possible = [run for run, obstacle in lacking.items() if not obstacle]
    if possible:
        retrain(content, folder, possible, table, cores)
    made = [run for run in possible if predictions_path(folder, run).exists()]
    compared, standards = audit_runs(config, frozen, records, folder, made)
    bits = [run for run in made if standards[run].bits]
    checks = [
        *audit_record(frozen, records, config),
        *(
            Check(RUNS, run.path, "trained again", NOT_HERE, 0, "; ".join(obstacle) or failure(folder, run))
            for run, obstacle in lacking.items()
            if run not in made
        ),
        *compared,
        *audit_data(config, folder, frozen, made, bits, asked.rows, asked.seed),
        *audit_leaks(config, folder, frozen, made, table),
    ]
    commit, machine = frozen.code["commit"] or "unknown", frozen.machine["platform"]
    facts = {
        "Record": f"{record}: {len(frozen.files)} files, all as frozen; code of commit {commit}, on {machine}",
        "Sample": f"{len(drawn)} draws from {len(held)} runs, by the reviewer's seed {asked.seed}",
        "Training started from": "raw files" if asked.start == "raw" else f"image stores of {results}",
        "Trained in": f"{folder}, {BEGUN if begun else 'which was empty'}",
        "Rows taken back to raw files": f"{asked.rows} of each dataset, by the same seed",
    }
    return Audit(config.tier, config.note, facts, len(held), drawn, standards, checks)
