"""Published weights: a file for each backbone, fetched where its address is known."""

import os
from pathlib import Path
from urllib.parse import quote

from pooch import file_hash

from medtransfer.acquire.acquire import Acquired
from medtransfer.acquire.fetch import fetch
from medtransfer.files import write_text


def acquire_weights(path: Path, url: str | None, home: str) -> Acquired:
    """Fetch a file of weights, unless it is there, or say where a person finds it.

    Nothing lies at `path` until the whole file has arrived; a transfer that broke off is gone on with. The SHA-256 of
    what was fetched is written beside it, to <name>.sha256, as `sha256sum --check` reads it.

    Args:
        path: Where the file should lie.
        url: Its address, in which {name} stands for the file's name; None where it cannot be fetched.
        home: The page that publishes it.

    Raises:
        UserError: The download failed.
    """
    if path.exists():
        return Acquired("there", f"{path} is there.", 0)
    if url is None:
        return Acquired("by hand", f"{path} is not there. Get it from {home} and put it there.", 0)
    address = url.replace("{name}", quote(path.name))
    fetch(address, path, path.with_name(f".{path.name}.part"))
    sha256 = file_hash(os.fspath(path))
    write_text(f"{sha256}  {path.name}\n", path.with_name(f"{path.name}.sha256"))
    return Acquired("fetched", f"{path} was fetched from {address}.\n  SHA-256, not compared with any: {sha256}", 1)
