"""PhysioNet: the files of a project, fetched with wget under the user's own login and checked against SHA256SUMS.txt.

PhysioNet takes a login from programs that it knows, of which wget is one and Python's HTTP libraries are none
(HTTP_AUTH_USER_AGENT in MIT-LCP/physionet-build); it asks other programs not to pass for those. Hence wget itself.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from pooch import file_hash
from requests.utils import get_netrc_auth
from tqdm import tqdm

from medtransfer.acquire.fetch import Login
from medtransfer.errors import UserError

FILES = "https://physionet.org/files"
SUMS = "SHA256SUMS.txt"
CONNECTIONS = 4
BATCH = 50  # files that one wget fetches over one connection
HOW = (
    "Then put `machine physionet.org login <user> password <password>` into ~/.netrc, or set PHYSIONET_USERNAME and "
    "PHYSIONET_PASSWORD, and run the same command again (it needs wget)."
)
FAULTS = {
    3: "wget cannot write: is the disk full?",
    4: "The network failed. Run the same command again later; it goes on from where it stopped.",
    5: "The server's certificate is not trusted.",
    6: "The login was not accepted: check user name and password.",
    8: "The server refuses: has the account signed this project's agreement, and is the version right?",
}


def credentials() -> Login | None:
    """User name and password from PHYSIONET_USERNAME and PHYSIONET_PASSWORD or ~/.netrc, None where there are none."""
    name, password = os.environ.get("PHYSIONET_USERNAME"), os.environ.get("PHYSIONET_PASSWORD")
    return (name, password) if name and password else get_netrc_auth(FILES)


def checksums(remote: str, folder: Path, scratch: Path, login: Login) -> dict[str, str]:
    """SHA-256 of every file of a project such as `mimic-cxr-jpg/2.1.0`. Raises UserError as `fetch_files` does."""
    if not (folder / SUMS).exists():
        _wget(remote, [SUMS], scratch, login)
        folder.mkdir(parents=True, exist_ok=True)
        (scratch / SUMS).replace(folder / SUMS)
    return read_sums(folder / SUMS)


def set_damaged_aside(sums: dict[str, str], folder: Path, scratch: Path) -> None:
    """Compare each file that is there with its checksum; one that differs is taken for the beginning of a transfer."""
    for name in tqdm(
        [name for name in sums if (folder / name).is_file()], desc="comparing", unit="file", mininterval=5
    ):
        if file_hash(str(folder / name)) != sums[name]:
            _move(name, folder, scratch)


def fetch_files(
    remote: str, names: Sequence[str], sums: dict[str, str], folder: Path, scratch: Path, login: Login
) -> None:
    """Fetch files of a project, several at a time.

    A file is moved into `folder` when its checksum is right and not before, so one that is there is whole. What a
    broken transfer leaves in `scratch`, on the same disk, is gone on with. `login` is sent to PhysioNet alone.

    Raises:
        UserError: There is no wget, the server refuses, or a file arrives twice with another checksum than stated.
    """
    batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
    with (
        ThreadPoolExecutor(CONNECTIONS) as pool,
        tqdm(total=len(names), desc=remote, unit="file", mininterval=5) as bar,
    ):
        for done in pool.map(lambda batch: _fetch_batch(remote, batch, sums, folder, scratch, login), batches):
            bar.update(done)


def read_sums(path: Path) -> dict[str, str]:
    """Checksums by file, from lines `<sha256>  <path>`. Raises UserError for other lines and for unsafe paths."""
    sums = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        sha256, _, name = line.strip().partition(" ")
        name = name.strip().removeprefix("*")
        parts = PurePosixPath(name).parts
        if len(sha256) != 64 or not parts or ".." in parts or name.startswith("/"):
            raise UserError(
                f"{path}, line {number}, is no checksum and path: {line[:100]!r}. Remove the file and fetch it again."
            )
        sums[name] = sha256
    return sums


def _fetch_batch(
    remote: str, names: Sequence[str], sums: dict[str, str], folder: Path, scratch: Path, login: Login
) -> int:
    """Fetch some files, those that arrive damaged a second time, and move them into place."""
    left = list(names)
    for _ in range(2):
        _wget(remote, left, scratch, login)
        damaged = []
        for name in left:
            if file_hash(str(scratch / name)) == sums[name]:
                _move(name, scratch, folder)
            else:
                (scratch / name).unlink()
                damaged.append(name)
        left = damaged
        if not left:
            return len(names)
    raise UserError(f"{remote}: {', '.join(left[:10])} arrived twice with another checksum than {SUMS} states.")


def _wget(remote: str, names: Sequence[str], scratch: Path, login: Login) -> None:
    """Fetch files below `scratch`, under their own names and folders, going on with those that are there in part."""
    if shutil.which("wget") is None:
        raise UserError(f"Fetching {remote} from PhysioNet needs wget, which is not installed.")
    address = urlsplit(f"{FILES}/{remote}/")
    host = f"{quote(login[0], safe='')}:{quote(login[1], safe='')}@{address.netloc}"
    urls = [address._replace(netloc=host, path=address.path + quote(name)).geturl() for name in names]
    # The login goes in by the standard input, where no list of processes shows it, and wget, whose messages repeat
    # addresses, says nothing: its exit status is enough.
    command = ["wget", "--quiet", "--continue", "--force-directories", "--no-host-directories", "--max-redirect=0"]
    command += ["--tries=5", "--waitretry=10", "--timeout=120", "--input-file=-"]
    command += [f"--cut-dirs={address.path.count('/') - 1}", f"--directory-prefix={scratch}"]
    code = subprocess.run(command, input="\n".join(urls), text=True, check=False).returncode
    if code:
        fault = FAULTS.get(code, f"wget ends with status {code}.")
        name = next((name for name in names if not (scratch / name).exists()), names[0])
        raise UserError(f"{name} of {remote} could not be fetched from PhysioNet. {fault}")


def _move(name: str, source: Path, target: Path) -> None:
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).replace(target / name)
