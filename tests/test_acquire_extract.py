"""Archives: what is good is unpacked whole, what is hostile not at all."""

import io
import shutil
import tarfile
import zipfile
from collections import namedtuple

import numpy as np
import pytest

from medtransfer.acquire.extract import extract
from medtransfer.errors import UserError

FILES = {"a.csv": b"x\n1\n", "images/1.png": b"one", "images/deep/2.png": b"two"}


def zip_of(path, entries, mode=0o100644):
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            bundle.writestr(entry, content)
    return path


def tar_of(path, entries, kind="w:gz"):
    """Entries are (name, content), or (name, type of entry, what it links to)."""
    with tarfile.open(path, kind) as bundle:
        for name, content, *link in entries:
            entry = tarfile.TarInfo(name)
            if link:
                entry.type, entry.linkname = content, link[0]
                bundle.addfile(entry)
            else:
                entry.size = len(content)
                bundle.addfile(entry, io.BytesIO(content))
    return path


def unpack(archive):
    return extract(archive, archive.parent / "raw", archive.parent / "scratch")


def found(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:xz"])
def test_an_archive_is_unpacked_whole_and_twice_is_as_good_as_once(tmp_path, kind):
    archive = tmp_path / "archive"
    zip_of(archive, FILES.items()) if kind == "zip" else tar_of(archive, FILES.items(), kind)
    assert unpack(archive) == unpack(archive) == 3
    assert found(tmp_path / "raw") == FILES
    assert list((tmp_path / "scratch").iterdir()) == []


def test_several_archives_fill_one_folder_and_files_that_are_there_stay(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text("mine")
    unpack(tar_of(tmp_path / "1.tgz", FILES.items()))
    unpack(tar_of(tmp_path / "2.tgz", [("images/3.png", b"three")]))
    assert found(tmp_path / "raw") == {**FILES, "a.csv": b"mine", "images/3.png": b"three"}


def test_a_link_within_the_archive_is_kept(tmp_path):
    assert unpack(tar_of(tmp_path / "a.tgz", [*FILES.items(), ("images/1 again.png", tarfile.SYMTYPE, "1.png")])) == 4
    assert (tmp_path / "raw" / "images" / "1 again.png").read_bytes() == b"one"


HOSTILE = {
    "up": (["../evil"], "leads out of the folder"),
    "up from below": (["a/../../evil"], "leads out of the folder"),
    "up by backslash": (["..\\evil"], "leads out of the folder"),
    "absolute": (["/tmp/evil"], "is no relative path"),
    "drive": (["C:\\evil"], "is no relative path"),
    "case": (["images/A.png", "images/a.png"], "differ in case only"),
}


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(("names", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_are_refused_and_nothing_is_kept(tmp_path, make, names, reason):
    archive = make(tmp_path / "a", [("good.csv", b"1"), *((name, b"evil") for name in names)])
    with pytest.raises(UserError, match=f"was not unpacked: .*{reason}"):
        unpack(archive)
    assert list(found(tmp_path)) == ["a"]


LINKS = {
    "symbolic link out": [("out", tarfile.SYMTYPE, "../../etc/passwd")],
    "absolute link": [("out", tarfile.SYMTYPE, "/etc/passwd")],
    "hard link out": [("out", tarfile.LNKTYPE, "../../etc/passwd")],
    "file through a link": [("out", tarfile.SYMTYPE, ".."), ("out/evil", b"evil")],
    "device": [("device", tarfile.CHRTYPE, "")],
    "pipe": [("pipe", tarfile.FIFOTYPE, "")],
}


@pytest.mark.parametrize("entries", LINKS.values(), ids=LINKS)
def test_links_out_of_a_tar_and_devices_are_refused(tmp_path, entries):
    with pytest.raises(UserError, match="was not unpacked"):
        unpack(tar_of(tmp_path / "a", [("good.csv", b"1"), *entries]))
    assert list(found(tmp_path)) == ["a"]


@pytest.mark.parametrize("mode", [0o120777, 0o020644, 0o010644])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode):
    with pytest.raises(UserError, match="is a link or a device"):
        unpack(zip_of(tmp_path / "a", [("out", b"/etc/passwd")], mode))
    assert list(found(tmp_path)) == ["a"]


def test_an_encrypted_zip_is_refused(tmp_path):
    content = bytearray(zip_of(tmp_path / "a", [("x", b"1")]).read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UserError, match="x is encrypted"):
        unpack(tmp_path / "a")


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_content_that_does_not_fit_the_disk_is_refused(tmp_path, make, monkeypatch):
    archive = make(tmp_path / "a", [("zeros", bytes(10**6)), ("more", bytes(10**6))])
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1_500_000))
    with pytest.raises(UserError, match=r"its content is over 0\.0 GB"):
        unpack(archive)
    assert list(found(tmp_path)) == ["a"]


def damaged(archive):
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    return archive


@pytest.mark.parametrize("kind", ["cut tar", "cut zip", "wrong zip", "text", "empty"])
def test_a_damaged_archive_is_an_error_that_names_it(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "cut tar":
        damaged(tar_of(path, [("x", bytes(range(256)) * 1000)]))
    elif kind == "cut zip":
        damaged(zip_of(path, FILES.items()))
    elif kind == "wrong zip":
        path.write_bytes(zip_of(path, FILES.items()).read_bytes().replace(b"one", b"eno"))
    else:
        path.write_text("<html>Sign in</html>" if kind == "text" else "")
    with pytest.raises(UserError, match=f"{path} cannot be unpacked"):
        unpack(path)
    assert not (tmp_path / "raw").exists()


def test_damage_anywhere_is_an_error_that_says_so_or_does_no_harm(tmp_path):
    rng = np.random.default_rng(0)
    kinds = ("w", "w:gz", "w:xz", "w:bz2")
    good = [zip_of(tmp_path / "a", FILES.items()).read_bytes()]
    good += [tar_of(tmp_path / "a", FILES.items(), kind).read_bytes() for kind in kinds]
    refused = 0
    for number in range(400):
        content = bytearray(good[number % len(good)])
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            content[place] = rng.integers(256)
        (tmp_path / "a").write_bytes(content[: rng.integers(1, 2 * len(content))])
        try:
            unpack(tmp_path / "a")
        except UserError:
            refused += 1
    assert 200 < refused < 400
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "raw", "scratch"}
