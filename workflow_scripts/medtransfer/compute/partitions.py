"""What a SLURM cluster has, and which requests it could never start.

SLURM queues a request that no node can ever meet, and Snakemake then waits for it without end: so requests are held
against the limits beforehand. What an account or a quality of service allows is not looked at.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

from medtransfer.errors import UserError

SCONTROL_SECONDS = 30
"""A controller that has not answered by then does not."""
OUT_OF_SERVICE = {"DOWN", "DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING", "ERROR", "NOT_RESPONDING", "FUTURE"}
NO_LIMIT = {"UNLIMITED", "INFINITE", "NONE"}
# A value may hold spaces (OS, Reason): it goes on until the next key.
FIELD = re.compile(r"(\w+)=(.*?)(?=\s+\w+=|\s*$)")
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")


@dataclass(frozen=True)
class Node:
    """A machine, and what of it jobs can get."""

    name: str
    threads: int
    mem_mb: int
    gpus: Mapping[str, int]
    """Of each model, as the cluster names it, how many; "" where it names none."""
    state: str

    @property
    def in_service(self) -> bool:
        """Whether it takes jobs now, or will when one wants it (as machines that are powered down do)."""
        return not OUT_OF_SERVICE & set(re.findall(r"[A-Z_]+", self.state))

    def gpu_count(self, model: str) -> int:
        """How many GPUs of a model it has; "" is any."""
        return self.gpus.get(model, 0) if model else sum(self.gpus.values())


@dataclass(frozen=True)
class Partition:
    """A queue: the limits of its jobs, and its nodes. What is not limited is infinite."""

    name: str
    default: bool
    minutes: float
    threads: float
    """For one job on one node."""
    mem_mb: float
    """For one job on one node."""
    state: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Asked:
    """What a job asks of a cluster, all of it on one node."""

    what: str
    """What to call it in messages, such as `finetune r152x4 at 448 px`."""
    partition: str
    """Name, or names with commas between them; "" is the cluster's default."""
    gpus: int
    gpu_model: str
    threads: int
    mem_mb: int
    minutes: int


def cluster() -> dict[str, Partition]:
    """The partitions of the cluster that this machine can submit to, by name.

    Raises:
        UserError: There is no SLURM here, or it does not answer; the message says which.
    """
    return read_partitions(*(_scontrol(kind) for kind in ("partition", "node")))


def _scontrol(kind: str) -> str:
    command = ["scontrol", "show", kind, "--oneliner"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SCONTROL_SECONDS).stdout
    except FileNotFoundError:
        raise UserError("there is no scontrol on this machine; plan on one that submits jobs to the cluster") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"`{' '.join(command)}` has not answered within {SCONTROL_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        # Its last line is the fatal one.
        lines: list[str] = ["it says nothing", *error.stderr.splitlines()]
        raise UserError(f"`{' '.join(command)}` failed: {lines[-1]}") from None


def read_partitions(partitions: str, nodes: str) -> dict[str, Partition]:
    """Partitions by name, from what `scontrol show partition` and `scontrol show node` print with `--oneliner`.

    Raises:
        UserError: A field is not what SLURM writes.
    """
    machines: dict[str, list[Node]] = {}
    for fields in _records(nodes, "NodeName"):
        for name in fields.get("Partitions", "").split(","):
            machines.setdefault(name, []).append(_node(fields))
    return {
        fields["PartitionName"]: Partition(
            name=fields["PartitionName"],
            default=fields.get("Default") == "YES",
            minutes=minutes_of(fields["MaxTime"]),
            threads=_limit(fields, "MaxCPUsPerNode"),
            mem_mb=_limit(fields, "MaxMemPerNode"),
            state=fields.get("State", "UP"),
            nodes=tuple(machines.get(fields["PartitionName"], [])),
        )
        for fields in _records(partitions, "PartitionName")
    }


def _records(printed: str, first: str) -> Iterator[dict[str, str]]:
    for line in printed.splitlines():
        if line.startswith(f"{first}="):
            # Of a key that occurs again, within a Reason that someone typed, the first is meant.
            yield dict(reversed(FIELD.findall(line)))


def _node(fields: Mapping[str, str]) -> Node:
    reserved = int(fields.get("MemSpecLimit", 0))
    return Node(
        fields["NodeName"],
        # Effective CPUs, without those that the system keeps, since SLURM 22.05.
        int(fields.get("CPUEfctv") or fields["CPUTot"]),
        int(fields["RealMemory"]) - reserved,
        gpus_of(fields.get("Gres", "")),
        fields.get("State", ""),
    )


def _limit(fields: Mapping[str, str], key: str) -> float:
    value = fields.get(key, "UNLIMITED")
    return inf if value in NO_LIMIT else int(value)


def gpus_of(gres: str) -> dict[str, int]:
    """GPUs of a node by model, from its generic resources: `gpu:a100:4(S:0-1),shard:8` has four of `a100`."""
    found: Counter[str] = Counter()
    for item in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *rest = item.split(":")
        if name == "gpu":
            count = int(rest.pop()) if rest and rest[-1].isdigit() else 1
            found[rest[0] if rest else ""] += count
    return dict(found)


def minutes_of(time: str) -> float:
    """Minutes of a time limit as SLURM writes it: days-hours:minutes:seconds, and all shorter forms.

    Raises:
        UserError: It is none.
    """
    if time in NO_LIMIT:
        return inf
    match = TIME.fullmatch(time)
    if not match:
        raise UserError(f"SLURM names {time!r} as a time limit; days-hours:minutes:seconds or UNLIMITED is expected.")
    first, second, third = (int(match[name] or 0) for name in ("first", "second", "third"))
    if match["days"]:
        return int(match["days"]) * 1440 + first * 60 + second + third / 60
    return first * 60 + second + third / 60 if match["third"] else first + second / 60


def clock(minutes: float) -> str:
    """Minutes as SLURM writes them: [days-]hours:minutes:seconds."""
    seconds = round(minutes * 60)
    days, hours = divmod(seconds // 3600, 24)
    return (f"{days}-" if days else "") + f"{hours:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def unsatisfiable(requests: Iterable[Asked], partitions: Mapping[str, Partition]) -> list[str]:
    """A line for each kind of job that the cluster could never start: what it asks for, and what the limit is.

    Where jobs of a kind differ, the line counts those that could never start, and speaks of the longest of them.
    """
    refused = {request: n for request, n in Counter(requests).items() if refusals(request, partitions)}
    return [f"{what} {'; '.join(refusals(longest, partitions))}" for what, longest in _kinds(refused)]


def waiting(requests: Iterable[Asked], partitions: Mapping[str, Partition]) -> list[str]:
    """A line for each kind of job that could start, but only once partitions or nodes are in service again."""
    held = {
        request: n
        for request, n in Counter(requests).items()
        if not refusals(request, partitions)
        and not any(_starts_now(request, partition) for partition in named(request.partition, partitions))
    }
    lines = []
    for what, longest in _kinds(held):
        among = [each for each in named(longest.partition, partitions) if not obstacle(longest, each)]
        nodes = [f"{node.name} ({node.state})" for each in among for node in each.nodes if _fits(longest, each, node)]
        states = ", ".join(f"{each.name} ({each.state})" for each in among)
        lines.append(f"{what} waits for partition {states}, whose nodes for it are {', '.join(dict.fromkeys(nodes))}")
    return lines


def describe(partition: Partition) -> str:
    """A partition in a line: its state and the limits of its jobs."""
    time = "any time" if partition.minutes == inf else f"at most {clock(partition.minutes)}"
    nodes = partition.nodes
    most = (
        [f"{max(node.threads for node in nodes)} CPUs", f"{max(node.mem_mb for node in nodes):,} MB"] if nodes else []
    )
    most += sorted({f"{count} GPUs {model}".strip() for node in nodes for model, count in node.gpus.items()})
    away = [f"{node.name} ({node.state})" for node in nodes if not node.in_service]
    return "; ".join(
        [f"partition {partition.name} is {partition.state}: {time}", f"{len(nodes)} nodes of up to {', '.join(most)}"]
        + ([f"out of service: {', '.join(away)}"] if away else [])
    )


def refusals(request: Asked, partitions: Mapping[str, Partition]) -> list[str]:
    """Why none of the partitions that a request names could ever start it; nothing, if one could."""
    there = f"there are: {', '.join(partitions)}"
    if unknown := [name for name in request.partition.split(",") if name and name not in partitions]:
        return [f"asks for partition {', '.join(unknown)}; {there}"]
    asked = named(request.partition, partitions)
    if not asked:
        return [f"asks for no partition (resource slurm_partition), and there is no default one; {there}"]
    reasons = [obstacle(request, partition) for partition in asked]
    return reasons if all(reasons) else []


def obstacle(request: Asked, partition: Partition) -> str:
    """Why a partition could never start a request: what it asks for, and what there is; "" if it could."""
    if request.minutes > partition.minutes:
        return f"asks for {clock(request.minutes)}, partition {partition.name} allows {clock(partition.minutes)}"
    if any(_fits(request, partition, node) for node in partition.nodes):
        return ""
    model = f" {request.gpu_model}" if request.gpu_model else ""
    asked = {f"GPUs{model}": request.gpus, "CPUs": request.threads, "MB": request.mem_mb}
    limits = {
        f"GPUs{model}": max((node.gpu_count(request.gpu_model) for node in partition.nodes), default=0),
        "CPUs": min(partition.threads, max((node.threads for node in partition.nodes), default=0)),
        "MB": min(partition.mem_mb, max((node.mem_mb for node in partition.nodes), default=0)),
    }
    over = [unit for unit in asked if asked[unit] > limits[unit]]
    if not over:
        everything = ", ".join(f"{number:,} {unit}" for unit, number in asked.items())
        return f"asks for {everything}, partition {partition.name} has no node with all of that"
    asks, allows = (", ".join(f"{each[unit]:,} {unit}" for unit in over) for each in (asked, limits))
    return f"asks for {asks}, nodes of partition {partition.name} have at most {allows}"


def named(names: str, partitions: Mapping[str, Partition]) -> list[Partition]:
    """The partitions of a list with commas that are there; for "" the default one."""
    if names:
        return [partitions[name] for name in names.split(",") if name in partitions]
    return [partition for partition in partitions.values() if partition.default]


def _fits(request: Asked, partition: Partition, node: Node) -> bool:
    return (
        request.gpus <= node.gpu_count(request.gpu_model)
        and request.threads <= min(node.threads, partition.threads)
        and request.mem_mb <= min(node.mem_mb, partition.mem_mb)
    )


def _starts_now(request: Asked, partition: Partition) -> bool:
    in_service = [node for node in partition.nodes if node.in_service]
    return (
        partition.state == "UP"
        and not obstacle(request, partition)
        and any(_fits(request, partition, node) for node in in_service)
    )


def _kinds(requests: Mapping[Asked, int]) -> Iterator[tuple[str, Asked]]:
    """For each kind of job what to call it, with the number of its jobs, and its request for most time."""
    kinds: dict[str, dict[Asked, int]] = {}
    for request, n in requests.items():
        kinds.setdefault(request.what, {})[request] = n
    for what, group in kinds.items():
        n = sum(group.values())
        yield f"{what} ({n:,} job{'s' * (n > 1)})", max(group, key=lambda each: (each.minutes, each.mem_mb, each.gpus))
