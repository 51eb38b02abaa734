"""Short jobs without their imports: a call is carried out by a fork of a process that has made them already.

Importing torch, timm and pandas takes longer than many a run trains. The first caller therefore starts a server, which
imports once, forks a child for each call, and ends when it has been idle for a while. It serves those callers alone
from which a new process would inherit the same as from it: user, environment, limits, cgroup; and only while the
package's code stays as it was. A child writes to its caller's standard output and error, and works in its folder.

Nothing outlives what it was done for: SIGTERM to a caller goes on to its child, whose exit status becomes the caller's;
a caller's death is that of its child, and the server's that of all its children. Linux has the means: abstract
sockets, of which no file can be left behind, and signals at a parent's death. Elsewhere, with MEDTRANSFER_WARM=0, or
where no server can be had, the caller does the work itself.
"""

import ctypes
import gc
import hashlib
import multiprocessing
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

from medtransfer.errors import UserError

PACKAGE = Path(__file__).parent
IDLE_SECONDS = 30.0
PR_SET_PDEATHSIG = 1


def call(target: str, arguments: Mapping[str, Any], preload: Sequence[str], fork: bool = True) -> None:
    """Call a function by its name; to be used in the main thread.

    Args:
        target: "package.module:function".
        arguments: Its keyword arguments; they can be pickled.
        preload: Modules that are imported once for many calls, such as the target's own.
        fork: False does the work here: what starts processes of its own runs this process's command again.

    Raises:
        UserError: The function raised one, or the process it ran in was killed.
        SystemExit: The function, or SIGTERM, ended that process with another status than 0.
        RuntimeError: The function raised anything else; the message is its traceback.
    """
    if not fork:
        _function(target)(**arguments)
        return
    # What is printed here and by the child shall stand in the order it was printed.
    sys.stdout.flush()
    sys.stderr.flush()
    # What is asked for, and behind it what went wrong.
    with tempfile.TemporaryFile() as paper:
        pickle.dump((Path.cwd(), target, arguments), paper)
        paper.flush()
        end = paper.tell()
        server = _connect(preload, paper)
        if server is None:
            _function(target)(**arguments)
            return
        with server:
            answer = _answer(server)
        paper.seek(end)
        failure = paper.read()
    if not answer:
        raise UserError(f"{target} was stopped: the process that forks it was killed, or cannot fork. Start again.")
    status = int(answer)
    if status == -signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    if status < 0:
        hint = "; was it out of memory? Give it more, or run fewer at a time" if status == -signal.SIGKILL else ""
        raise UserError(f"{target} was killed by signal {-status}{hint}.")
    if failure:
        raise pickle.loads(failure)
    if status:
        raise SystemExit(status)


def _function(target: str) -> Callable[..., None]:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def identity(preload: Sequence[str], package: Path = PACKAGE) -> str:
    """A digest of what callers must have in common to share a server: what its children inherit, and the code."""
    process = Path("/proc/self")
    states = ("Uid", "Gid", "Groups", "Umask", "Cpus_allowed:", "Mems_allowed:")
    inherited = (
        [line for line in (process / "status").read_text().splitlines() if line.startswith(states)],
        *((process / name).read_text() for name in ("limits", "cgroup")),
        (process / "ns" / "mnt").readlink(),
        (os.nice(0), sorted(os.environ.items()), sys.executable),
    )
    code = sorted((file, file.stat().st_mtime_ns) for file in package.rglob("*.py"))
    return hashlib.sha256(repr((inherited, code, list(preload))).encode()).hexdigest()


def _connect(preload: Sequence[str], paper: IO[bytes]) -> socket.socket | None:
    """A connection to a server that does what the paper asks; None if there is none to be had."""
    if sys.platform != "linux" or os.environ.get("MEDTRANSFER_WARM") == "0":
        return None
    address = f"\0medtransfer-{identity(preload)}"
    for _ in range(2):
        _start(address, preload)
        server = socket.socket(socket.AF_UNIX)
        with suppress(ConnectionError):
            server.connect(address)
            if _is_mine(server):
                socket.send_fds(server, [b"+"], [paper.fileno(), 1, 2])
                if server.recv(1):
                    return server
        server.close()
        # The server was about to listen, or to end.
        time.sleep(0.1)
    print("no process that has made the imports could be started; this one makes them", file=sys.stderr)
    return None


def _start(address: str, preload: Sequence[str]) -> None:
    """Start a server unless there is one: an address can be bound but once. Callers queue while it imports."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(address)
        except OSError:
            return
        listener.listen()
        subprocess.Popen(
            [sys.executable, "-m", "medtransfer.warm", str(listener.fileno()), str(IDLE_SECONDS), *preload],
            cwd=PACKAGE.parent,
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )


def _answer(server: socket.socket) -> bytes:
    """The child's exit status, negative for a signal; nothing if the server is no more. SIGTERM is passed on."""

    def pass_on(*_: Any) -> None:
        with suppress(OSError):
            server.send(b"T")

    previous = signal.signal(signal.SIGTERM, pass_on)
    try:
        return _receive(server)
    except KeyboardInterrupt:
        # The server hangs up when it has killed the child.
        server.shutdown(socket.SHUT_WR)
        _receive(server)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def _is_mine(connection: socket.socket) -> bool:
    """Whether the other end belongs to the same user; anyone can bind an abstract address, and connect to it."""
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return user == os.getuid()


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(16)
    except ConnectionError:
        return b""


def serve(listener: socket.socket, idle: float, preload: Sequence[str]) -> None:
    """Import modules, then fork a child for each caller, until none is left and none has come for `idle` seconds."""
    # A batch system sends SIGTERM to all processes of a job; children that save their state then still need this one.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for name in preload:
        import_module(name)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    # The collector would write to memory that is shared with the children, and so copy it.
    gc.freeze()
    running: dict[socket.socket, BaseProcess] = {}
    while ready := wait([listener, *running, *(c.sentinel for c in running.values())], None if running else idle):
        for connection, child in list(running.items()):
            if connection in ready and _receive(connection):
                child.terminate()
            elif connection in ready or child.sentinel in ready:
                # One of the two is no more. Where it is the caller, the child must not go on.
                child.kill()
                child.join()
                with connection, suppress(ConnectionError):
                    connection.send(str(child.exitcode).encode())
                del running[connection]
        if listener in ready:
            connection, _ = listener.accept()
            try:
                running[connection] = _fork(connection, [listener, connection, *running])
            except OSError:
                connection.close()


def _fork(connection: socket.socket, held: list[socket.socket]) -> BaseProcess:
    """A child that does what a caller asks. OSError: it is no more, or another user's, or nothing can be forked."""
    if not _is_mine(connection):
        raise PermissionError
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    try:
        connection.send(b"+")
        child = multiprocessing.get_context("fork").Process(target=_work, args=(os.getpid(), held, *descriptors))
        child.start()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return child


def _work(server: int, held: list[socket.socket], paper: int, output: int, errors: int) -> None:
    """Do what the paper asks, and add what went wrong."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)
    for connection in held:
        connection.close()
    os.dup2(output, 1)
    os.dup2(errors, 2)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    failure: Exception
    with os.fdopen(paper, "r+b") as file:
        file.seek(0)
        folder, target, arguments = pickle.load(file)
        try:
            os.chdir(folder)
            _function(target)(**arguments)
            return
        except UserError as error:
            failure = UserError(str(error))
        except Exception:
            failure = RuntimeError(f"{target} raised\n{traceback.format_exc()}")
        file.seek(0, os.SEEK_END)
        pickle.dump(failure, file)
    sys.exit(1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), float(sys.argv[2]), sys.argv[3:])
