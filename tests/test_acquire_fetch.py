"""Downloads: what arrives is whole, broken transfers are gone on with, and refusals say what to do."""

import hashlib
import shutil
from collections import namedtuple

import numpy as np
import pytest

from medtransfer.acquire import fetch as module
from medtransfer.acquire.fetch import fetch
from medtransfer.errors import UserError
from tests.local_server import serve

CONTENT = np.random.default_rng(0).bytes(100_000)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def site(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "WAITS", (0, 0))
    monkeypatch.setattr(module, "PIECE", 1000)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with serve() as running:
        yield running


def get(folder, url, known_hash=None, login=None):
    """Fetch into a folder, and see that only the file itself is left there."""
    fetch(url, folder / "a.bin", folder / "parts" / "a.part", known_hash, login)
    assert sorted(path.name for path in folder.iterdir() if path.name != "home") == ["a.bin", "parts"]
    assert list((folder / "parts").iterdir()) == []
    return (folder / "a.bin").read_bytes()


@pytest.mark.parametrize("known_hash", [None, MD5, SHA256])
def test_a_file_is_fetched_once(site, tmp_path, known_hash):
    url = site.put("/a", CONTENT)
    assert get(tmp_path, url, known_hash) == CONTENT
    assert get(tmp_path, url, known_hash) == CONTENT
    assert len(site.asked) == 1


def test_a_broken_transfer_is_gone_on_with(site, tmp_path):
    url = site.put("/a", CONTENT, cuts=2)
    assert get(tmp_path, url, MD5) == CONTENT
    assert site.headers("Range") == [None, "bytes=50000-", "bytes=75000-"]
    assert site.headers("If-Range") == [None, '"1"', '"1"']


def test_a_transfer_that_ended_with_its_process_is_gone_on_with(site, tmp_path, monkeypatch):
    url = site.put("/a", CONTENT, cuts=1)
    monkeypatch.setattr(module, "WAITS", ())
    with pytest.raises(UserError, match="goes on from where it stopped"):
        get(tmp_path, url, MD5)
    assert not (tmp_path / "a.bin").exists()
    assert get(tmp_path, url, MD5) == CONTENT
    assert site.headers("Range") == [None, "bytes=50000-"]


@pytest.mark.parametrize("how", [{"ranges": False}, {"etag": ""}, {"etag": 'W/"weak"'}])
def test_a_server_that_cannot_resume_sends_the_whole_file_again(site, tmp_path, how):
    assert get(tmp_path, site.put("/a", CONTENT, cuts=1, **how), MD5) == CONTENT
    assert len(site.asked) == 2


def test_pieces_of_two_versions_are_never_joined(site, tmp_path, monkeypatch):
    url = site.put("/a", b"old" * 1000, cuts=1)
    monkeypatch.setattr(module, "WAITS", ())
    with pytest.raises(UserError):
        get(tmp_path, url)
    site.put("/a", CONTENT, etag='"2"')
    assert get(tmp_path, url) == CONTENT


@pytest.mark.parametrize("begun", [b"?" * 10, b"?" * 200_000])
def test_a_damaged_beginning_is_thrown_away(site, tmp_path, begun):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.part").write_bytes(begun)
    (tmp_path / "parts" / "a.part.validator").write_text('"1"')
    assert get(tmp_path, site.put("/a", CONTENT), MD5) == CONTENT


def test_a_wrong_checksum_leaves_nothing_in_place(site, tmp_path):
    url = site.put("/a", CONTENT[::-1])
    with pytest.raises(UserError, match=f"{url} has another checksum than the expected {MD5}"):
        get(tmp_path, url, MD5)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "login"), (403, "agreement"), (404, "new address"), (410, "new address"), (418, "")]
)
def test_a_refusal_says_what_to_do_and_is_not_repeated(site, tmp_path, status, advice):
    url = site.put("/a", CONTENT, statuses=[status])
    with pytest.raises(UserError, match=f"{url} answers {status} .*{advice}"):
        get(tmp_path, url)
    assert len(site.asked) == 1


def test_passing_faults_are_waited_for(site, tmp_path):
    assert get(tmp_path, site.put("/a", CONTENT, statuses=[503, 429]), MD5) == CONTENT
    with pytest.raises(UserError, match="after 3 attempts: the server answers 500"):
        fetch(site.put("/b", CONTENT, statuses=[500] * 3), tmp_path / "b.bin", tmp_path / "b.part")


def test_a_server_that_is_not_there_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WAITS", (0,))
    with serve() as gone:
        pass
    with pytest.raises(UserError, match=f"{gone.url}/a could not be fetched, after 2 attempts"):
        get(tmp_path, f"{gone.url}/a")


def test_a_web_page_in_place_of_a_file_is_an_error(site, tmp_path):
    with pytest.raises(UserError, match="web page instead of a file"):
        get(tmp_path, site.put("/a", b"<html>Sign in", kind="text/html; charset=utf-8"))


def test_a_login_reaches_its_host_and_no_other(site, tmp_path):
    site.put("/far", CONTENT)
    site.put("/near", redirect=f"{site.elsewhere}/far", login="me:secret")
    assert get(tmp_path, site.put("/a", redirect="/near", login="me:secret"), MD5, ("me", "secret")) == CONTENT
    assert [(path, "Authorization" in headers) for path, headers in site.asked] == [
        ("/a", True),
        ("/near", True),
        ("/far", False),
    ]


def test_what_does_not_fit_the_disk_is_not_begun(site, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(99_999))
    with pytest.raises(UserError, match="are to be fetched, but the disk of"):
        get(tmp_path, site.put("/a", CONTENT))
