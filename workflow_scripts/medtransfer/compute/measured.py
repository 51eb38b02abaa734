"""What finished training jobs took, against what the cost table had expected; and that table with what was measured."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from medtransfer.compute.costs import CPU, Costs, Device, Rate
from medtransfer.compute.estimate import rate
from medtransfer.compute.forecast import Job, aligned
from medtransfer.errors import UserError

SETTING = ["device", "devices", "threads", "backbone", "pixels"]
"""What the speed of training depends on."""
HEADINGS = (
    "device",
    "backbone",
    "px",
    "jobs",
    "images/s expected",
    "measured",
    "ratio",
    "waiting for data",
    "MB asked",
    "used",
    "GPU MB used",
)


def measurements(jobs: Iterable[Job]) -> pd.DataFrame:
    """What the training jobs that are done took, one row each.

    `rate` is training images a second on one device, waiting for data included, and `waiting` the share of that time
    which was such waiting; `predicting` is predicted images a second on one device, where predictions were kept. Memory
    is in MiB, `written` the Unix time of the record.

    Raises:
        UserError: A record cannot be read or is not that of a training job; or none is done yet.
    """
    rows = [_measurement(job) for job in jobs if job.done]
    if not rows:
        raise UserError("No training job of this tier is done, so nothing was measured. Run some of them first.")
    return pd.DataFrame(rows).astype({"predicting": float, "gpu_mem_used": float})


def _measurement(job: Job) -> dict[str, Any]:
    path = Path(job.record)
    try:
        record = json.loads(path.read_text())
        seconds, devices = record["seconds"], record["devices"]
        training = seconds["data"] + seconds["step"]
        return {
            "device": record["device"],
            "devices": devices,
            # The rates of GPUs are not told apart by them.
            "threads": record["threads"] if record["device"] == CPU else 1,
            "backbone": job.backbone,
            "pixels": job.pixels,
            "rate": record["images_seen"] / training / devices,
            "waiting": seconds["data"] / training,
            "predicting": _predicting(path.with_name("predictions.parquet"), seconds.get("evaluation"), devices),
            "mem_asked": job.mem_mb,
            "mem_used": record["peak_memory_mb"],
            "gpu_mem_used": record["peak_gpu_memory_mb"],
            "written": path.stat().st_mtime,
        }
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise UserError(
            f"{path} is not the record of a finished training job ({type(error).__name__}: {error}). Remove it, and "
            "run the workflow again."
        ) from None


def _predicting(predictions: Path, seconds: float | None, devices: int) -> float | None:
    if not seconds or not predictions.exists():
        return None
    return pq.read_metadata(predictions).num_rows / seconds / devices


def comparison(measured: pd.DataFrame, costs: Costs) -> pd.DataFrame:
    """Measured against expected, a row for each device, backbone and size: medians, and the most memory.

    Expected is the rate that requests rest on: that of the GPU which the cost table names, or of one thread of a CPU.
    """
    rows = measured.groupby(SETTING, sort=False, as_index=False).agg(
        jobs=("rate", "size"),
        measured=("rate", "median"),
        waiting=("waiting", "median"),
        mem_asked=("mem_asked", "max"),
        mem_used=("mem_used", "max"),
        gpu_mem_used=("gpu_mem_used", "max"),
        newest=("written", "max"),
    )
    expected = [
        rate(row.backbone, row.pixels, costs, CPU if row.device == CPU else costs.device)
        * (costs.scaling if row.devices > 1 else 1)
        for row in rows.itertuples()
    ]
    return rows.assign(expected=expected, ratio=rows["measured"] / expected)


def text(rows: pd.DataFrame) -> str:
    """A comparison as aligned text."""
    return aligned([HEADINGS, *(_cells(row) for row in rows.itertuples())])


def _cells(row: Any) -> tuple[str, ...]:
    several = f"{row.devices} x " if row.devices > 1 else ""
    threads = f", {row.threads} threads" if row.threads > 1 else ""
    return (
        f"{several}{row.device}{threads}",
        row.backbone,
        f"{row.pixels}",
        f"{row.jobs:,}",
        f"{row.expected:,.1f}",
        f"{row.measured:,.1f}",
        f"{row.ratio:.2f}",
        f"{row.waiting:.0%}",
        f"{row.mem_asked:,}",
        f"{row.mem_used:,}",
        "" if pd.isna(row.gpu_mem_used) else f"{row.gpu_mem_used:,.0f}",
    )


def recalibrated(costs: Costs, measured: pd.DataFrame) -> Costs:
    """The cost table with the measured rates, and the measured speed of prediction, in it.

    Only jobs on one device count, and on a CPU those of one thread: that is what the table speaks of. A GPU that the
    table does not have is added to it, without its memory, which no record states.

    Raises:
        UserError: There are no such jobs.
    """
    single = measured[(measured["devices"] == 1) & (measured["threads"] == 1)]
    if single.empty:
        raise UserError(
            "All finished training jobs ran on several devices or threads, and the cost table holds the rates of one. "
            "Run some with `training: {devices: 1, threads: 1}`."
        )
    names = {title: device_name(title, costs) for title in single["device"].unique()}
    found = [
        Rate(
            device=names[row.device],
            backbone=row.backbone,
            pixels=row.pixels,
            images_per_second=float(f"{row.measured:.3g}"),
            source=f"measured here, {row.jobs} job{'s' * (row.jobs > 1)}, until {_date(row.newest)}",
        )
        for row in comparison(single, costs).itertuples()
    ]
    replaced = {_key(each) for each in found}
    added = {name: Device(title=title, memory_gb=None) for title, name in names.items() if name not in costs.devices}
    changed = {
        "devices": costs.devices | added,
        "rates": [*(each for each in costs.rates if _key(each) not in replaced), *found],
        "prediction_speed": _prediction_speed(single, costs),
    }
    return Costs.model_validate(costs.model_copy(update=changed).model_dump())


def device_name(title: str, costs: Costs) -> str:
    """What the cost table calls a device, or will call it, by the title that torch gives it."""
    known = {device.title: name for name, device in costs.devices.items()}
    return known.get(title) or re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")


def _prediction_speed(measured: pd.DataFrame, costs: Costs) -> float:
    """Predicted images relative to trained ones, the median over jobs, or what the table has.

    At least 1: prediction is a part of training, and is slower only where a job is too short to tell.
    """
    ratios = (measured["predicting"] / measured["rate"]).dropna()
    return costs.prediction_speed if ratios.empty else max(1.0, float(f"{ratios.median():.3g}"))


def _key(each: Rate) -> tuple[str, str, int]:
    return each.device, each.backbone, each.pixels


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
