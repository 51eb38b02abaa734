"""Requests that a cluster could never start are named, with the limit: SLURM itself would queue them for ever."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtransfer.compute import partitions
from medtransfer.compute.partitions import (
    Asked,
    clock,
    cluster,
    describe,
    gpus_of,
    minutes_of,
    read_partitions,
    refusals,
    unsatisfiable,
    waiting,
)
from medtransfer.errors import UserError

# What SLURM 22.05 printed: a partition with a limit, one without that is down; a node that is drained, one that is not.
PARTITIONS = """\
PartitionName=gpu AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=YES QoS=N/A \
DefaultTime=00:10:00 DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=1 MaxTime=2-12:30:00 \
MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=node[1-2] PriorityJobFactor=1 PriorityTier=1 RootOnly=NO ReqResv=NO \
OverSubscribe=NO OverTimeLimit=NONE PreemptMode=REQUEUE State=UP TotalCPUs=8 TotalNodes=2 SelectTypeParameters=NONE \
JobDefaults=(null) DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED TRES=cpu=8,mem=16000M,node=2,billing=8
PartitionName=urgent AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=NO QoS=N/A \
DefaultTime=00:10:00 DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED \
MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=node[1-2] PriorityJobFactor=1 PriorityTier=10 RootOnly=NO ReqResv=NO \
OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF State=DOWN TotalCPUs=8 TotalNodes=2 SelectTypeParameters=NONE \
JobDefaults=(null) DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED TRES=cpu=8,mem=16000M,node=2,billing=8
"""
NODES = """\
NodeName=node1 Arch=x86_64 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=4 CPUTot=4 CPULoad=0.16 AvailableFeatures=(null) \
ActiveFeatures=(null) Gres=gpu:fake:2 NodeAddr=127.0.0.1 NodeHostName=vm Port=27101 Version=22.05.8 OS=Linux 6.18.44 \
#1 SMP PREEMPT_DYNAMIC @0  RealMemory=8000 AllocMem=0 FreeMem=22891 Sockets=4 Boards=1 State=IDLE ThreadsPerCore=1 \
TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=gpu,urgent  BootTime=2026-11-21T04:16:24 \
SlurmdStartTime=2026-11-21T14:18:44 LastBusyTime=2026-11-21T14:18:44 CfgTRES=cpu=4,mem=8000M,billing=4 AllocTRES= \
CapWatts=n/a CurrentWatts=0 AveWatts=0 ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s
NodeName=node2 Arch=x86_64 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=4 CPUTot=4 CPULoad=0.16 AvailableFeatures=(null) \
ActiveFeatures=(null) Gres=gpu:fake:2 NodeAddr=127.0.0.1 NodeHostName=vm Port=27102 Version=22.05.8 OS=Linux 6.18.44 \
#1 SMP PREEMPT_DYNAMIC @0  RealMemory=8000 AllocMem=0 FreeMem=22890 Sockets=4 Boards=1 State=IDLE+DRAIN \
ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=gpu,urgent  BootTime=2026-11-21T04:16:24 \
SlurmdStartTime=2026-11-21T14:18:44 LastBusyTime=2026-11-21T14:18:44 CfgTRES=cpu=4,mem=8000M,billing=4 AllocTRES= \
CapWatts=n/a CurrentWatts=0 AveWatts=0 ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s Reason=disk broken \
[root@2026-11-21T14:18:44]
"""
SMALL = Asked("finetune r50x1 at 448 px", "gpu", gpus=1, gpu_model="", threads=4, mem_mb=8000, minutes=3600)


def toy() -> dict[str, partitions.Partition]:
    return read_partitions(PARTITIONS, NODES)


def test_a_cluster_is_read_as_slurm_prints_it() -> None:
    gpu, urgent = toy().values()
    assert (gpu.name, gpu.default, gpu.state, gpu.minutes) == ("gpu", True, "UP", 2 * 1440 + 12 * 60 + 30)
    assert (urgent.default, urgent.state, urgent.minutes, urgent.threads, urgent.mem_mb) == (False, "DOWN", *[inf] * 3)
    assert [(node.name, node.threads, node.mem_mb, node.gpus) for node in gpu.nodes] == [
        ("node1", 4, 8000, {"fake": 2}),
        ("node2", 4, 8000, {"fake": 2}),
    ]
    assert [node.in_service for node in gpu.nodes] == [True, False]
    assert describe(gpu) == (
        "partition gpu is UP: at most 2-12:30:00; 2 nodes of up to 4 CPUs, 8,000 MB, 2 GPUs fake; "
        "out of service: node2 (IDLE+DRAIN)"
    )


def test_what_the_system_keeps_of_a_node_no_job_gets() -> None:
    fields = "NodeName=n1 CPUEfctv=28 CPUTot=36 RealMemory=512000 MemSpecLimit=16000 State=MIXED Partitions=gpu"
    (node,) = read_partitions(PARTITIONS, fields)["gpu"].nodes
    assert (node.threads, node.mem_mb, node.gpus) == (28, 496_000, {})


def test_a_reason_that_looks_like_fields_is_none() -> None:
    fields = "NodeName=n1 CPUTot=8 RealMemory=1 State=IDLE Partitions=gpu Reason=swap NodeName=n2 with CPUTot=64"
    (node,) = read_partitions(PARTITIONS, fields)["gpu"].nodes
    assert (node.name, node.threads) == ("n1", 8)


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("", {}),
        ("gpu:4", {"": 4}),
        ("gpu", {"": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2(S:0),gpu:v100:2(S:1),shard:8,lscratch:3570", {"a100": 2, "v100": 2}),
        ("gpu:a100_3g.20gb:7(S:0,1)", {"a100_3g.20gb": 7}),
    ],
)
def test_gpus_of_a_node(gres: str, gpus: dict[str, int]) -> None:
    assert gpus_of(gres) == gpus


@pytest.mark.parametrize(
    ("time", "minutes"),
    [
        ("UNLIMITED", inf),
        ("90", 90),
        ("90:30", 90.5),
        ("01:00:00", 60),
        ("2-12", 3600),
        ("2-12:30", 3630),
        ("21-00:00:00", 30240),
    ],
)
def test_time_limits(time: str, minutes: float) -> None:
    assert minutes_of(time) == minutes


@pytest.mark.parametrize("time", ["", "soon", "1:2:3:4", "-5", "1-"])
def test_what_is_no_time_limit_is_refused(time: str) -> None:
    with pytest.raises(UserError, match="time limit"):
        minutes_of(time)


@given(st.integers(0, 10**6))
def test_times_are_written_as_slurm_reads_them(minutes: int) -> None:
    assert minutes_of(clock(minutes)) == minutes


@pytest.mark.parametrize("state", ["DOWN*", "IDLE+DRAIN", "DOWN+DRAIN+NOT_RESPONDING", "FUTURE", "FAILING"])
def test_nodes_out_of_service(state: str) -> None:
    assert not replace(toy()["gpu"].nodes[0], state=state).in_service


@pytest.mark.parametrize(
    "state", ["IDLE", "MIXED+PLANNED", "ALLOCATED", "IDLE+CLOUD+POWERED_DOWN", "IDLE~", "RESERVED"]
)
def test_nodes_in_service(state: str) -> None:
    assert replace(toy()["gpu"].nodes[0], state=state).in_service


def test_what_fits_is_not_named() -> None:
    assert unsatisfiable([SMALL], toy()) == waiting([SMALL], toy()) == []
    assert unsatisfiable([], toy()) == waiting([], toy()) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"minutes": 3 * 1440}, "asks for 3-00:00:00, partition gpu allows 2-12:30:00"),
        ({"gpus": 3}, "asks for 3 GPUs, nodes of partition gpu have at most 2 GPUs"),
        ({"gpus": 1, "gpu_model": "a100"}, "asks for 1 GPUs a100, nodes of partition gpu have at most 0 GPUs a100"),
        (
            {"threads": 8, "mem_mb": 9000},
            "asks for 8 CPUs, 9,000 MB, nodes of partition gpu have at most 4 CPUs, 8,000 MB",
        ),
        ({"partition": "gpux"}, "asks for partition gpux; there are: gpu, urgent"),
        ({"partition": "gpu,gpux"}, "asks for partition gpux; there are: gpu, urgent"),
    ],
)
def test_a_request_that_could_never_start_is_named_with_the_limit(changed: dict, line: str) -> None:
    request = replace(SMALL, **changed)
    assert unsatisfiable([SMALL, request], toy()) == [f"finetune r50x1 at 448 px (1 job) {line}"]
    assert waiting([request], toy()) == []


def test_jobs_of_a_kind_are_counted_and_the_longest_is_named() -> None:
    requests = [replace(SMALL, minutes=minutes) for minutes in (60, 4000, 5000, 5000)]
    assert unsatisfiable(requests, toy()) == [
        "finetune r50x1 at 448 px (3 jobs) asks for 3-11:20:00, partition gpu allows 2-12:30:00"
    ]


def test_one_of_several_partitions_is_enough() -> None:
    long = replace(SMALL, minutes=10**5)
    assert unsatisfiable([long], toy())
    assert unsatisfiable([replace(long, partition="gpu,urgent")], toy()) == []


def test_without_a_name_the_default_partition_is_meant() -> None:
    request = replace(SMALL, partition="", minutes=10**5)
    assert "partition gpu allows" in unsatisfiable([request], toy())[0]
    without = {name: replace(partition, default=False) for name, partition in toy().items()}
    assert "there is no default one" in unsatisfiable([replace(SMALL, partition="")], without)[0]


def test_no_node_has_all_that_is_asked_although_each_limit_is_kept() -> None:
    fields = [
        "NodeName=big CPUTot=64 RealMemory=500000 State=IDLE Partitions=gpu",
        "NodeName=fast CPUTot=8 RealMemory=64000 Gres=gpu:a100:8 State=IDLE Partitions=gpu",
    ]
    request = replace(SMALL, gpus=1, threads=16)
    (line,) = unsatisfiable([request], read_partitions(PARTITIONS, "\n".join(fields)))
    assert line.endswith("asks for 1 GPUs, 16 CPUs, 8,000 MB, partition gpu has no node with all of that")


def test_limits_of_a_partition_on_each_node_count() -> None:
    limited = PARTITIONS.replace("MaxCPUsPerNode=UNLIMITED", "MaxCPUsPerNode=2")
    (line,) = unsatisfiable([SMALL], read_partitions(limited, NODES))
    assert line.endswith("asks for 4 CPUs, nodes of partition gpu have at most 2 CPUs")


def test_a_partition_without_nodes_starts_nothing() -> None:
    (line,) = unsatisfiable([SMALL], read_partitions(PARTITIONS, ""))
    assert "have at most 0 GPUs" in line
    assert "0 nodes" in describe(read_partitions(PARTITIONS, "")["gpu"])


def test_what_has_to_wait_for_nodes_or_partitions_is_mentioned() -> None:
    down = read_partitions(PARTITIONS, NODES.replace("State=IDLE ", "State=DOWN* "))
    assert unsatisfiable([SMALL], down) == []
    assert waiting([SMALL, SMALL], down) == [
        "finetune r50x1 at 448 px (2 jobs) waits for partition gpu (UP), whose nodes for it are node1 (DOWN*), "
        "node2 (IDLE+DRAIN)"
    ]
    assert "partition urgent (DOWN)" in waiting([replace(SMALL, partition="urgent")], toy())[0]
    assert waiting([replace(SMALL, partition="urgent,gpu")], toy()) == []


@given(st.integers(0, 3), st.integers(1, 6), st.integers(1, 10_000), st.integers(1, 5000))
def test_a_request_is_refused_exactly_if_it_exceeds_a_limit(gpus: int, threads: int, mem_mb: int, minutes: int) -> None:
    # Both nodes are alike, so that there is nothing but single limits.
    request = replace(SMALL, gpus=gpus, threads=threads, mem_mb=mem_mb, minutes=minutes)
    exceeds = gpus > 2 or threads > 4 or mem_mb > 8000 or minutes > 3630
    assert bool(refusals(request, toy())) == exceeds


def test_without_slurm_it_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no scontrol"):
        cluster()


def test_a_controller_that_fails_or_hangs_is_quoted(tmp_path, monkeypatch) -> None:
    scontrol = tmp_path / "scontrol"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    scontrol.write_text("#!/bin/sh\necho 'scontrol: error: a\\nUnable to contact slurm controller' >&2\nexit 1\n")
    scontrol.chmod(0o755)
    with pytest.raises(UserError, match="failed: Unable to contact"):
        cluster()
    scontrol.write_text("#!/bin/sh\nexec sleep 20\n")
    monkeypatch.setattr(partitions, "SCONTROL_SECONDS", 0.2)
    with pytest.raises(UserError, match="has not answered"):
        cluster()


def test_the_cluster_is_asked_with_scontrol(tmp_path, monkeypatch) -> None:
    (tmp_path / "partition").write_text(PARTITIONS)
    (tmp_path / "node").write_text(NODES)
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\n[ "$1 $3" = "show --oneliner" ] && cat "{tmp_path}/$2"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert cluster() == toy()
