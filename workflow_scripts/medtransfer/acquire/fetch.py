"""Downloads that resume, are checked against a checksum, and fail with an error a person can act on."""

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pooch
import requests
from tqdm import tqdm

from medtransfer.errors import UserError

TIMEOUT = (30, 120)  # seconds to connect, and between two pieces of an answer
WAITS = (2, 8, 30)  # seconds before each further attempt
PASSING = (429, 500, 502, 503, 504)  # answers that another attempt may better
PIECE = 1 << 16  # bytes; what has arrived of the last one is lost when a transfer breaks off
REFUSED = {
    401: "It asks for a login: see the dataset's page for how to get access.",
    403: "It refuses access: the account may lack an accepted agreement or rules, or the address may have changed.",
    404: "Nothing lies there any more: look for the new address on the dataset's page.",
    410: "Nothing lies there any more: look for the new address on the dataset's page.",
}

# Its advice on checksums is for callers of pooch.
pooch.get_logger().setLevel("WARNING")

Login = tuple[str, str]


class Interrupted(Exception):
    """A transfer that broke off, or an answer that may be better next time."""


class ResumingDownloader:
    """A downloader for pooch that goes on where the last attempt stopped, also in another process.

    What has arrived lies in `part`, with the server's validator beside it, so that pieces of two versions of a file are
    never joined. A server that cannot resume sends the whole file again. `login` goes to the host of the address alone:
    requests drops it when redirected to another one.
    """

    def __init__(self, part: Path, login: Login | None = None) -> None:
        self.part = part
        self.validator = part.with_name(f"{part.name}.validator")
        self.login = login

    def __call__(self, url: str, output_file: Any, _: Any) -> None:
        self.part.parent.mkdir(parents=True, exist_ok=True)
        for wait in (*WAITS, None):
            try:
                self._go_on(url)
                break
            except (Interrupted, requests.RequestException) as error:
                if wait is None:
                    raise UserError(
                        f"{url} could not be fetched, after {len(WAITS) + 1} attempts: {error}. "
                        "Run the same command again later; it goes on from where it stopped."
                    ) from None
                print(f"{url}: {error}; trying again in {wait} s", file=sys.stderr)
                time.sleep(wait)
        self.validator.unlink(missing_ok=True)
        self.part.replace(output_file)

    def _go_on(self, url: str) -> None:
        have = self.part.stat().st_size if self.part.exists() and self.validator.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self.validator.read_text()}
        with requests.get(url, headers=headers, auth=self.login, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                self.part.unlink()
                raise Interrupted("the part that is here does not fit the file that is there")
            _check_answer(url, response)
            if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                have = 0
            self._note_validator(response)
            left = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
            _check_disk(self.part.parent, left or 0)
            with (
                self.part.open("ab" if have else "wb") as file,
                tqdm(
                    desc=url.split("?")[0].rsplit("/", 1)[-1],
                    total=None if left is None else have + left,
                    initial=have,
                    unit="B",
                    unit_scale=True,
                    mininterval=5,
                    delay=5,  # thousands of small files need no bar each
                ) as progress,
            ):
                for piece in response.iter_content(PIECE):
                    file.write(piece)
                    progress.update(len(piece))

    def _note_validator(self, response: requests.Response) -> None:
        """Keep what tells this version of the file; without it a later attempt starts anew."""
        tag = response.headers.get("ETag", "")
        validator = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
        if validator:
            self.validator.write_text(validator)
        else:
            self.validator.unlink(missing_ok=True)


def fetch(url: str, path: Path, part: Path, known_hash: str | None = None, login: Login | None = None) -> None:
    """Fetch one file to `path`, unless it lies there already with the right checksum.

    Args:
        url: Its address.
        path: Where to put it; nothing lies there until the whole file has arrived and fits its checksum.
        part: Where what has arrived is kept until then.
        known_hash: Its checksum, `md5:...` or `sha256:...`; None where none is known.
        login: User name and password, sent to the host of `url` alone. Without it requests looks into ~/.netrc.

    Raises:
        UserError: The server refuses, the transfer broke off too often, or the checksum is another, twice.
    """
    downloader = ResumingDownloader(part, login)
    # A transfer that was resumed may have gone wrong where one in a single piece does not.
    for last in (False, True):
        try:
            pooch.retrieve(url, known_hash, fname=path.name, path=path.parent, downloader=downloader)
            return
        except ValueError:
            if last:
                raise UserError(
                    f"{url} has another checksum than the expected {known_hash}: it has changed, or is damaged. "
                    "Nothing of it was kept. If its publisher tells of a change, put the new checksum into the card."
                ) from None


def _check_answer(url: str, response: requests.Response) -> None:
    code = response.status_code
    if code in PASSING:
        raise Interrupted(f"the server answers {code} {response.reason}")
    if code >= 400:
        raise UserError(f"{url} answers {code} {response.reason}. {REFUSED.get(code, '')}".rstrip())
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise UserError(
            f"{url} answers with a web page instead of a file: it may ask for a login or show an error. Open it in a "
            "browser, and put the file into the dataset's folder by hand if need be."
        )


def _check_disk(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{size / 1e9:.1f} GB are to be fetched, but the disk of {os.fspath(folder)} has {free / 1e9:.1f} GB free."
        )
