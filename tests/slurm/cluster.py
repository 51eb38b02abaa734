"""A private SLURM on this machine: munge, a controller and two nodes of two GPUs each, all on loopback.

Nothing of it lies outside its folder, and every daemon is a child of this process, so that several can run side by side
and none outlives the tests. Each node has a host name of its own: what looks at host names sees two machines.
"""

import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "unshare", "setpriv")
ACCOUNTING_DAEMONS = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb", "mariadb-admin", "sacctmgr")
NODES = ("node1", "node2")
GPUS = 2
NAMESPACES = ("unshare", "--uts", "--pid", "--mount-proc", "--fork", "--kill-child")
START_SECONDS = 60

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits for its credential to expire.
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=1
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MinJobAge=600
KillWait=5
GresTypes=gpu
{accounting}
{nodes}
PartitionName=gpu Nodes={names} Default=YES MaxTime=60 DefaultTime=10 PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes={names} MaxTime=60 DefaultTime=10 PriorityTier=10 PreemptMode=OFF
"""

ACCOUNTING_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accountant}
AccountingStoragePass={folder}/munge.sock
AccountingStorageTRES=gres/gpu"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdPort={accountant}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""

DATABASE = """\
create database slurm;
create user slurm@'127.0.0.1' identified by 'slurm'; grant all on slurm.* to slurm@'127.0.0.1';
create user slurm@localhost identified by 'slurm'; grant all on slurm.* to slurm@localhost;
"""


def missing(accounting: bool = False) -> str:
    """Why no SLURM can be started here; empty if it can."""
    needed = (*DAEMONS, *(ACCOUNTING_DAEMONS if accounting else ()))
    if absent := [name for name in needed if not shutil.which(name)]:
        packages = "slurmdbd and mariadb-server" if accounting else "slurm-wlm and munge"
        return f"{packages} are not installed: no {', '.join(absent)}"
    if os.getuid() != 0:
        return "only root can start a private SLURM"
    return "" if _works(*NAMESPACES, "true") else "this machine lets nobody make namespaces, which stand for nodes"


@dataclass(frozen=True)
class Job:
    """A job as the controller knows it."""

    number: str
    state: str
    node: str
    restarts: int
    comment: str
    """The plugin writes there what the job is for: rule and wildcards."""


@dataclass(frozen=True)
class Cluster:
    """A SLURM that runs."""

    folder: Path
    env: dict[str, str]
    """Environment in which its commands find it."""
    daemons: ExitStack
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    controllers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """One after another."""

    def call(self, *command: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def jobs(self) -> list[Job]:
        """All jobs there have been."""
        form = "JobID:|,State:|,NodeList:|,RestartCnt:|,Comment:|"
        lines = self.call("squeue", "--all", "--states=all", "--noheader", f"--Format={form}").splitlines()
        fields = (line.split("|")[:5] for line in lines)
        return [Job(number, state, node, int(restarts), comment) for number, state, node, restarts, comment in fields]

    def scontrol(self, *arguments: str) -> None:
        """Have the controller do something."""
        self.call("scontrol", *arguments)

    def scancel(self, *arguments: str) -> None:
        """Cancel jobs."""
        self.call("scancel", *arguments)

    def start_controller(self, *options: str) -> None:
        """Start what all commands talk to; it knows again what an earlier one has known."""
        self.controllers.append(_start(self.daemons, self.folder, self.env, "slurmctld", "-D", *options))

    @contextmanager
    def without_controller(self) -> Iterator[None]:
        """Nobody answers until the block ends. Nodes go on with what they do."""
        self.controllers[-1].terminate()
        self.controllers[-1].wait()
        try:
            yield
        finally:
            self.start_controller()

    def is_down(self, node: str) -> bool:
        """Whether a node is taken to be out of order."""
        return self.call("sinfo", "--noheader", f"--nodes={node}", "--partition=gpu", "--format=%t").startswith("down")

    def boot(self, node: str) -> None:
        """Start a node, in namespaces of its own: it has a host name, and all its processes end with it."""
        # The shell is there to be the parent of orphans.
        script = f"hostname {node}; slurmd -D -c -N {node} & wait"
        self.nodes[node] = _start(self.daemons, self.folder, self.env, *NAMESPACES, "sh", "-c", script)
        if self.is_down(node):
            self.scontrol("update", f"NodeName={node}", "State=RESUME")

    def crash(self, node: str) -> None:
        """Cut a node's power, and have the controller know it."""
        _kill(self.nodes[node])
        self.scontrol("update", f"NodeName={node}", "State=DOWN", "Reason=crash")


@contextmanager
def cluster(folder: Path, accounting: bool = False) -> Iterator[Cluster]:
    """A SLURM, until the block ends. Its jobs end with it.

    Args:
        folder: For its files; the path must be short, since sockets lie there.
        accounting: With a database of all jobs, for `sacct`.
    """
    with ExitStack() as daemons:
        folder.chmod(0o755)  # munge lets nobody be kept from its socket
        env = _environment(folder)
        _write(folder / "munge.key", os.urandom(128), 0o400)
        sock = f"--socket={folder}/munge.sock"
        files = [f"--{name}-file={folder}/munged.{name}" for name in ("pid", "log", "seed")]
        _start(daemons, folder, env, "munged", "--foreground", f"--key-file={folder}/munge.key", sock, *files)
        _until(lambda: (folder / "munge.sock").exists(), "munged")
        ports = _free_ports(3 + len(NODES))
        known = {"folder": folder, "accountant": ports[1], "database": ports[2]}
        _write(folder / "slurm.conf", _configuration(ports, known, accounting).encode(), 0o644)
        _write(folder / "gres.conf", "".join(map(_gpus, NODES, [folder] * len(NODES))).encode(), 0o644)
        if accounting:
            _start_accounting(daemons, folder, env, known)
        (folder / "state").mkdir()
        made = Cluster(folder, env, daemons)
        made.start_controller("-c")
        for node in NODES:
            made.boot(node)
        _until(lambda: _idle(made) == len(NODES), "the nodes")
        yield made


def _environment(folder: Path) -> dict[str, str]:
    """The environment in which SLURM's commands find this one, from inside its jobs, too."""
    srun = shutil.which("srun")
    # Snakemake's job step takes SLURM_CONF from the environment in which it calls srun.
    _write(folder / "bin" / "srun", f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n'.encode(), 0o755)
    path = f"{folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SNAKEMAKE_"))}
    return {**inherited, "PATH": path, "SLURM_CONF": f"{folder}/slurm.conf"}


def _configuration(ports: list[int], known: dict[str, object], accounting: bool) -> str:
    nodes = [
        f"NodeName={node} NodeHostname={node} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=16000 Gres=gpu:{GPUS}"
        for node, port in zip(NODES, ports[3:], strict=True)
    ]
    return SLURM_CONF.format(
        host=socket.gethostname().partition(".")[0],
        controller=ports[0],
        folder=known["folder"],
        nodes="\n".join(nodes),
        names=",".join(NODES),
        accounting=ACCOUNTING_CONF.format(**known) if accounting else "AccountingStorageType=accounting_storage/none",
    )


def _gpus(node: str, folder: Path) -> str:
    """A line of gres.conf. SLURM asks no more of a GPU than to be a device."""
    (folder / "gpus").mkdir(exist_ok=True)
    for number in range(GPUS):
        os.mknod(folder / "gpus" / f"{node}-{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return f"NodeName={node} Name=gpu File={folder}/gpus/{node}-[0-{GPUS - 1}]\n"


def _start_accounting(daemons: ExitStack, folder: Path, env: dict[str, str], known: dict[str, object]) -> None:
    data, sock = f"--datadir={folder}/database", f"--socket={folder}/database.sock"
    given = ("--no-defaults", "--user=root", data)
    setup = ["mariadb-install-db", *given, "--auth-root-authentication-method=normal"]
    subprocess.run(setup, check=True, capture_output=True, timeout=START_SECONDS)
    listens = (f"--port={known['database']}", "--bind-address=127.0.0.1")
    sizes = ("--innodb-buffer-pool-size=256M", "--innodb-lock-wait-timeout=900")
    _start(daemons, folder, env, "mariadbd", *given, sock, *listens, *sizes)
    _until(lambda: _works("mariadb-admin", "--no-defaults", sock, "ping"), "mariadbd")
    subprocess.run(["mariadb", "--no-defaults", sock, "-e", DATABASE], check=True, timeout=START_SECONDS)
    _write(folder / "slurmdbd.conf", SLURMDBD_CONF.format(**known).encode(), 0o600)
    _start(daemons, folder, env, "slurmdbd", "-D")
    _until(lambda: _works("sacctmgr", "-n", "list", "cluster", env=env), "slurmdbd")
    for entry in ("cluster test", "account lab", "user root Account=lab"):
        subprocess.run(["sacctmgr", "-i", "-Q", "add", *entry.split()], env=env, check=True, timeout=START_SECONDS)


def _start(daemons: ExitStack, folder: Path, env: dict[str, str], *command: str) -> subprocess.Popen[bytes]:
    """Start a daemon in the foreground; it ends with the block, and with this process at the latest."""
    log = daemons.enter_context((folder / "daemons.log").open("a"))
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    daemons.callback(_kill, process)
    return process


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _idle(made: Cluster) -> int:
    with suppress(AssertionError):
        return made.call("sinfo", "--noheader", "--Node", "--format=%t", "--partition=gpu").split().count("idle")
    return 0


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _works(*command: str, env: dict[str, str] | None = None) -> bool:
    return subprocess.run(command, env=env, capture_output=True, timeout=START_SECONDS).returncode == 0


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
