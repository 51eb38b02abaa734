"""A web server on this machine that behaves, or misbehaves, as told."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Resource:
    """How one address answers."""

    content: bytes = b""
    etag: str = '"1"'
    ranges: bool = True
    cuts: int = 0  # how many answers break off at half
    statuses: list[int] = field(default_factory=list)  # errors to answer with first
    login: str = ""  # user:password
    redirect: str = ""
    kind: str = "application/octet-stream"


class Site:
    """Resources by path, and what was asked for: (path, headers)."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.elsewhere = f"http://localhost:{port}"  # the same machine, by the name of another host
        self.resources: dict[str, Resource] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def put(self, path: str, content: bytes = b"", **how) -> str:
        self.resources[path] = Resource(content, **how)
        return self.url + path

    def headers(self, name: str) -> list[str | None]:
        """One header of every request so far."""
        return [headers.get(name) for _, headers in self.asked]


@contextmanager
def serve() -> Iterator[Site]:
    server = ThreadingHTTPServer(("localhost", 0), Handler)
    server.site = site = Site(server.server_address[1])  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(ConnectionError):  # who has enough hangs up
            super().handle()

    def do_GET(self) -> None:
        site = self.server.site  # type: ignore[attr-defined]
        site.asked.append((self.path, dict(self.headers)))
        resource = site.resources.get(self.path, Resource(statuses=[404]))
        sent = self.headers.get("Authorization", "")
        if resource.statuses:
            # An address that is not there stays so; an error that was announced passes.
            return self.answer(resource.statuses.pop(0))
        if resource.login and base64.b64decode(sent.removeprefix("Basic ")).decode() != resource.login:
            return self.answer(401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        if resource.redirect:
            return self.answer(302, headers={"Location": resource.redirect})
        begin, body = self.part(resource)
        headers = {"Content-Type": resource.kind} | ({"ETag": resource.etag} if resource.etag else {})
        if begin is None:
            return self.answer(416)
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(resource.content) - 1}/{len(resource.content)}"
        half = len(body) // 2 if resource.cuts else len(body)
        resource.cuts = max(0, resource.cuts - 1)
        self.answer(206 if begin else 200, body, headers, half)
        return None

    def part(self, resource: Resource) -> tuple[int | None, bytes]:
        """Where the answer begins, None for a range that the file does not have, and its bytes."""
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range", resource.etag) == resource.etag
        if not (wanted and resource.ranges and same):
            return 0, resource.content
        begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        return (begin, resource.content[begin:]) if begin < len(resource.content) else (None, b"")

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, sent: int = 0) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = sent < len(body)

    def log_message(self, *_: object) -> None:
        """Requests are kept in `Site.asked`."""
