"""One dataset: fetched where that is possible, otherwise what a person has to do."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pandas as pd
from pooch import file_hash

from medtransfer.acquire import kaggle, physionet, tcia
from medtransfer.acquire.check import check, in_words
from medtransfer.acquire.extract import extract
from medtransfer.acquire.fetch import Login, fetch
from medtransfer.acquire.record import NAME, Entry, Record, read_record, write_record
from medtransfer.datasets.card import Card, Download, missing_raw_message
from medtransfer.errors import UserError

INCOMING = ".incoming"


@dataclass(frozen=True)
class Acquired:
    """What became of a dataset."""

    status: Literal["there", "fetched", "by hand"]
    message: str
    files: int
    """How many files were fetched or unpacked now."""


def acquire(dataset: str, card: Card, raw: Path) -> Acquired:
    """Fetch what a dataset's folder lacks, or say what a person has to do.

    A folder that holds what the card requires is left alone, unless this function began to fill it: then it goes on.
    Files that are there are never replaced; only a file of a PhysioNet project that differs from its checksum is.

    Args:
        dataset: Its id.
        card: What is known of it.
        raw: Its folder, which need not exist.

    Raises:
        UserError: A download failed, or what was fetched is not what the card describes.
    """
    record = read_record(raw)
    checked = check(card, raw)
    lacks = in_words(checked, "missing")
    downloads, login, how = _sources(card)
    keys = [download.url for download in downloads] or ([card.remote] if card.remote else [])
    keys += [tcia.address(card.collection)] if card.collection else []
    if not lacks and (record is None or all(key in record for key in keys)):
        return Acquired("there", "\n  ".join([f"{card.title} is in {raw}.", *in_words(checked, "differs")]), 0)
    if not keys or (card.access != "open" and login is None):
        return Acquired("by hand", _what_to_do(card, raw, lacks, how), 0)
    raw.mkdir(parents=True, exist_ok=True)
    if card.access == "physionet" and card.remote and login:
        record, files = _fetch_project(card.remote, raw, record, login)
    else:
        record = _begin(card, checked) if record is None else record
        record, files = _fetch_downloads(downloads, raw, record, login)
        if card.collection and (tcia.address(card.collection) not in record or _lacks_images(checked)):
            files += _fetch_collection(card, card.collection, raw, record)
    shutil.rmtree(raw / INCOMING, ignore_errors=True)
    checked = check(card, raw)
    if lacks := in_words(checked, "missing"):
        raise UserError(
            f"{dataset}: everything was fetched into {raw}, but it lacks\n  " + "\n  ".join(lacks) + "\n"
            f"If something was removed since, remove {raw / NAME} and run again. Otherwise its publisher may have "
            f"changed it: compare {card.home} with the dataset's card."
        )
    unverified = [url for url, entry in record.items() if not entry["verified"]]
    message = [
        f"{card.title} was fetched into {raw}. Licence: {card.licence}.",
        *(f"not verified, no or another checksum known: {url}" for url in unverified),
        *in_words(checked, "differs"),
    ]
    return Acquired("fetched", "\n  ".join(message), files)


def _sources(card: Card) -> tuple[list[Download], Login | None, str]:
    """What to fetch one by one, with which login, and how a person gives that."""
    if card.access == "kaggle" and card.remote:
        return [Download(url=kaggle.address(card.remote), unpack=True)], kaggle.credentials(), kaggle.HOW
    if card.access == "physionet" and card.remote:
        return [], physionet.credentials(), physionet.HOW
    return card.downloads, None, ""


def _what_to_do(card: Card, raw: Path, lacks: list[str], how: str) -> str:
    head, rest = missing_raw_message(card, raw).split("\n", 1)
    if raw.is_dir():
        head = "\n  ".join([f"{card.title} in {raw} lacks", *lacks])
    return "\n".join([head, rest, how]).rstrip()


def _lacks_images(checked: pd.DataFrame) -> bool:
    return bool((checked["path"].str.endswith(".dcm") & (checked["verdict"] == "missing")).any())


def _begin(card: Card, checked: pd.DataFrame) -> Record:
    """The record of a folder into which nothing was fetched yet: images of a collection that lie there are left so.

    A person's folders may have other names than those that the archive's ids give, so what lacks cannot be told.
    """
    if card.collection is None or _lacks_images(checked):
        return {}
    return {tcia.address(card.collection): Entry(sha256="", bytes=0, verified=False, files=0)}


def _fetch_downloads(downloads: list[Download], raw: Path, record: Record, login: Login | None) -> tuple[Record, int]:
    write_record(raw, record)  # whoever finds it knows that the folder is being filled
    fetched = 0
    for download in downloads:
        if download.url not in record:
            record[download.url] = _fetch_one(download, raw, login)
            write_record(raw, record)
            fetched += record[download.url]["files"]
    return record, fetched


def _fetch_one(download: Download, raw: Path, login: Login | None) -> Entry:
    """Fetch one file, and unpack it if it is an archive, which is then removed."""
    url = download.url
    name = download.name or urlsplit(url).path.rsplit("/", 1)[-1]
    target = raw / download.to
    begun = raw / INCOMING / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}"
    path = begun if download.unpack else target / name
    there = path.exists()
    if not there:
        fetch(url, path, begun.with_name(f"{begun.name}.part"), download.hash, login)
    sha256 = file_hash(str(path))
    algorithm, _, expected = (download.hash or "sha256:").partition(":")
    verified = file_hash(str(path), alg=algorithm) == expected
    entry = Entry(sha256=sha256, bytes=path.stat().st_size, verified=verified, files=int(not there))
    if download.unpack:
        entry["files"] = extract(path, target, raw / INCOMING)
        path.unlink()
    return entry


def _fetch_project(remote: str, raw: Path, record: Record | None, login: Login) -> tuple[Record, int]:
    scratch = raw / INCOMING
    sums = physionet.checksums(remote, raw, scratch, login)
    if record is None:
        physionet.set_damaged_aside(sums, raw, scratch)
        write_record(raw, {})
    absent = [name for name in sums if not (raw / name).is_file()]
    physionet.fetch_files(remote, absent, sums, raw, scratch, login)
    listing = raw / physionet.SUMS
    entry = Entry(
        sha256=file_hash(str(listing)),
        bytes=sum((raw / name).stat().st_size for name in sums),
        verified=True,
        files=len(sums),
    )
    write_record(raw, {remote: entry})
    return {remote: entry}, len(absent)


def _fetch_collection(card: Card, collection: str, raw: Path, record: Record) -> int:
    """Fetch the series that are not there yet, note the collection in `record`, and count the files fetched."""
    folder, scratch = raw / collection, raw / INCOMING
    listing = scratch / "series.json"
    series = tcia.list_series(collection, [file.path for file in card.files], listing)
    absent = [one for one in series if not (folder / one.folder).is_dir()]
    tcia.fetch_series(absent, folder, scratch)
    record[tcia.address(collection)] = Entry(
        sha256=file_hash(str(listing)),
        bytes=sum(image.stat().st_size for one in series for image in (folder / one.folder).glob("*.dcm")),
        verified=True,
        files=sum(one.n_files for one in series),
    )
    write_record(raw, record)
    return sum(one.n_files for one in absent)
