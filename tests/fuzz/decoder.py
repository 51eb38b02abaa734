"""A process that decodes what it is sent, within limits, and is started anew when a file was too much for it."""

import multiprocessing
import resource
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from medtransfer.imaging.decode import decode_noting
from medtransfer.imaging.errors import DecodeError

MEMORY = 6 * 2**30  # bytes of address space, as the workers of the image store have
SECONDS = 20
KILLED, HUNG, RAISED = "killed its process", "hung", "raised something else"
HARM = (KILLED, HUNG, RAISED)


class Decoder:
    """The process; `stop` it in the end."""

    def __init__(self) -> None:
        self._start()

    def outcome(self, content: bytes) -> str:
        """What came of decoding a file: decoded, refused, or one of `HARM`."""
        try:
            self.connection.send_bytes(content)
            if self.connection.poll(SECONDS):
                return self.connection.recv_bytes().decode()
        except (EOFError, ConnectionError):
            self.stop()
            self._start()
            return KILLED
        self.stop()
        self._start()
        return HUNG

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.connection.recv_bytes()  # it is there; EOFError where it could not start


def _serve(connection: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send_bytes(b"ready")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        while True:
            file.write_bytes(connection.recv_bytes())
            connection.send_bytes(_outcome(file).encode())


def _outcome(file: Path) -> str:
    try:
        decoded = decode_noting(file.parent, file.name, 1)
    except DecodeError:
        return "refused with a reason"
    except MemoryError:
        return "out of memory"
    except Exception as error:
        print(repr(error), file=sys.stderr)
        return RAISED
    return "decoded with notes" if decoded.notes else "decoded"
