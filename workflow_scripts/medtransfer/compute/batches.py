"""Which short runs share a cluster job.

A job on a cluster costs seconds of waiting, start-up and polling, which a run of seconds does not repay. Only the
partition is decided here; how the runs of a batch become one job is a matter of the rules.
"""

from collections.abc import Mapping

from medtransfer.runs import Run


def batches(seconds: Mapping[Run, float], limit: float) -> dict[Run, str]:
    """The batch of every run that shares its job with others.

    Runs of the same task, backbone and upstream are put together in the order given until the next would exceed the
    limit. A run that takes more than half of it stays alone, as does one that finds no other: neither is in the result.
    Runs added at the end change no batch but the last of theirs, so that a growing run table keeps its batches.

    Args:
        seconds: Expected seconds of each run, start-up included, in the order of the run table.
        limit: Seconds that the runs of a batch may take together.

    Returns:
        Names `batch.<task>.<backbone>.<upstream>.<number>`. The dot stands in none of these names, so that no two
        batches have the same.
    """
    members: dict[str, list[Run]] = {}
    latest: dict[tuple[str, str, str], tuple[int, float]] = {}
    for run, needed in seconds.items():
        if needed > limit / 2:
            continue
        key = (run.task, run.backbone, run.upstream)
        number, filled = latest.get(key, (0, 0.0))
        if filled + needed > limit:
            number, filled = number + 1, 0.0
        latest[key] = (number, filled + needed)
        members.setdefault(".".join(["batch", *key, str(number)]), []).append(run)
    return {run: name for name, runs in members.items() if len(runs) > 1 for run in runs}
