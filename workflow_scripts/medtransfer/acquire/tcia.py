"""The Cancer Imaging Archive: series of an open collection, by NBIA's public API, which asks for no login.

`getSeries` lists a collection. `getImageWithMD5Hash` sends the DICOM files of a series as a zip, with their checksums
in md5hashes.csv (Filename, MD5Hash); its source, V1_getImageWithMD5Hash.java of NBIA, ends that zip in good order even
where a file could not be read, so their number is compared as well.
"""

import re
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import quote

from pooch import file_hash
from pydantic import BaseModel, Field, NonNegativeInt, TypeAdapter, ValidationError
from tqdm import tqdm

from medtransfer.acquire.extract import extract
from medtransfer.acquire.fetch import fetch
from medtransfer.errors import UserError

API = "https://services.cancerimagingarchive.net/nbia-api/services/v1"
SUMS = "md5hashes.csv"
CONNECTIONS = 4
TOO_MANY = 10  # series that fail: the network or the server is at fault then

# The server's ids become folders.
PathPart = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class Series(BaseModel):
    """A row of `getSeries`."""

    patient: PathPart = Field(alias="PatientID")
    study: PathPart = Field(alias="StudyInstanceUID")
    uid: PathPart = Field(alias="SeriesInstanceUID")
    n_files: NonNegativeInt = Field(alias="ImageCount")

    @property
    def folder(self) -> str:
        """Where it goes, below its collection's folder."""
        return f"{self.patient}/{self.study}/{self.uid}"


def address(collection: str) -> str:
    """Where the list of a collection's series lies."""
    return f"{API}/getSeries?Collection={quote(collection, safe='')}&format=json"


def list_series(collection: str, patterns: Sequence[str], listing: Path) -> list[Series]:
    """The series of a collection whose files one of `patterns` describes, such as `*_CC/*/*/*.dcm`.

    `listing` is where the server's list is put; what lies there is replaced.

    Raises:
        UserError: The server refuses, its list is none, an id cannot be the name of a folder, or no series fits.
    """
    url = address(collection)
    listing.unlink(missing_ok=True)
    fetch(url, listing, listing.with_name(f"{listing.name}.part"))
    try:
        everything = TypeAdapter(list[Series]).validate_json(listing.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = " of row ".join(map(str, reversed(problem["loc"]))) or "its answer"
        raise UserError(
            f"{url} sends no list of series that can be used: {where} is {str(problem['input'])[:100]!r}. "
            f"{problem['msg']}. Open it in a browser: is the collection's name still right?"
        ) from None
    fitting = [series for series in everything if any(PurePosixPath(series.folder, "1.dcm").match(p) for p in patterns)]
    if not fitting:
        raise UserError(f"{url} lists {len(everything)} series, and the dataset's card describes none of them.")
    return fitting


def fetch_series(wanted: Sequence[Series], folder: Path, scratch: Path) -> None:
    """Fetch series into the folder of their collection, several at a time; `scratch` is on the same disk.

    A series is moved into place when all its files are there with the right checksums and not before, so one that is
    there is whole. Raises UserError, at the end, for those that could not be fetched; after `TOO_MANY` it ends there.
    """
    faults: list[str] = []
    with ThreadPoolExecutor(CONNECTIONS) as pool, tqdm(total=len(wanted), unit="series", mininterval=5) as bar:
        fetched = pool.map(lambda series: _fetch_one(series, folder, scratch), wanted)
        for series, fault in zip(wanted, fetched, strict=True):
            bar.update()
            if fault:
                faults.append(f"{series.patient}, series {series.uid}: {fault}")
            if len(faults) == TOO_MANY:
                pool.shutdown(cancel_futures=True)
                break
    if faults:
        raise UserError(
            "\n  ".join([f"{len(faults)} series could not be fetched whole, and nothing of them was kept:", *faults])
            + "\nRun the same command again later: it fetches what is missing."
        )


def _fetch_one(series: Series, folder: Path, scratch: Path) -> str:
    """Fetch a series and move it into place; what is wrong if that fails, otherwise nothing."""
    archive = scratch / f"{series.uid}.zip"
    with tempfile.TemporaryDirectory(dir=scratch) as inside:
        unpacked = Path(inside) / series.uid
        try:
            url = f"{API}/getImageWithMD5Hash?SeriesInstanceUID={series.uid}"
            fetch(url, archive, archive.with_name(f"{archive.name}.part"))
            extract(archive, unpacked, scratch)
        except UserError as error:
            return str(error)
        finally:
            archive.unlink(missing_ok=True)
        fault = _fault(series, unpacked)
        if not fault:
            (folder / series.folder).parent.mkdir(parents=True, exist_ok=True)
            unpacked.replace(folder / series.folder)
        return fault


def _fault(series: Series, unpacked: Path) -> str:
    """What a series lacks, compared with the list and its checksums; nothing for a whole one."""
    images = sorted(unpacked.glob("*.dcm"))
    if len(images) != series.n_files:
        return f"{len(images)} files instead of {series.n_files}"
    sums = unpacked / SUMS
    known = re.findall("[0-9a-f]{32}", sums.read_text(errors="replace").lower()) if sums.is_file() else []
    strange = [image.name for image in images if file_hash(str(image), alg="md5") not in known]
    return f"{SUMS} does not state the checksum of {', '.join(strange)}" if strange else ""
