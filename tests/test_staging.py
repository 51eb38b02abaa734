"""A staged image store is the store, copied once, kept while it is used, and never read in part."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medtransfer.compute import staging
from medtransfer.compute.staging import staged
from medtransfer.errors import UserError
from tests.conftest import ROOT

STAGE = """
import shutil, sys, time
from medtransfer.compute.staging import staged
copyfile = shutil.copyfile
def slow(source, target):
    with open(target, "wb") as begun:
        begun.write(b"half")
    print("begun", flush=True)
    time.sleep(float(sys.argv[3]))
    copyfile(source, target)
shutil.copyfile = slow
with staged(sys.argv[1], sys.argv[2]) as path:
    print(path, flush=True)
    sys.stdin.readline()
"""
KILOBYTE = 1000


def make(path: Path, kilobytes: int = 1, seed: int = 0) -> Path:
    """An image store of about that size, and its JSON."""
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.random.default_rng(seed).integers(0, 255, (kilobytes, KILOBYTE), dtype=np.uint8))
    path.with_suffix(".json").write_text(json.dumps({"sha256": f"{path.stem}, {seed}"}))
    return path


def same(one: Path, other: Path) -> bool:
    return all(one.with_suffix(x).read_bytes() == other.with_suffix(x).read_bytes() for x in (".npy", ".json"))


def start(store: Path, folder: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, str(store), str(folder), str(seconds)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts")},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make(tmp_path / "network" / "chexpert-512.npy")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return tmp_path / "local"


@pytest.fixture
def disk(local: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give the local disk a size in kilobytes. Stores take up to a fifth more than their own."""

    def limit(kilobytes: int) -> None:
        monkeypatch.setattr(staging, "SPARE_BYTES", 0)

        def usage(_: Path) -> SimpleNamespace:
            return SimpleNamespace(free=kilobytes * KILOBYTE - sum(path.stat().st_size for path in files(local)))

        monkeypatch.setattr(shutil, "disk_usage", usage)

    return limit


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def copies(folder: Path) -> set[str]:
    """The names of the stores that are there, without their keys."""
    return {path.stem.rpartition("-")[0] for path in folder.rglob("*.npy")}


def test_without_a_folder_the_store_is_read_where_it_lies(store: Path) -> None:
    with staged(str(store), None) as path:
        assert path == store


def test_a_copy_is_the_store_and_is_made_once(store: Path, local: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SCRATCH", str(local))
    with staged(store, "$SCRATCH/of me") as path:
        assert path.is_relative_to(local / "of me") and same(path, store)
        assert np.array_equal(np.load(path, mmap_mode="r"), np.load(store))
    assert capsys.readouterr().err == f"copying {store} to {path.parent}\n"
    inode = path.stat().st_ino
    with staged(store, "${SCRATCH}/of me") as again:
        assert again == path and again.stat().st_ino == inode
    assert capsys.readouterr().err == ""


def test_stores_of_one_name_and_stores_that_have_changed_are_told_apart(
    store: Path, tmp_path: Path, local: Path
) -> None:
    other = make(tmp_path / "other" / store.name, seed=1)
    with staged(store, str(local)) as first, staged(other, str(local)) as second:
        assert same(first, store) and same(second, other)
    os.utime(make(store, seed=2), ns=(0, 0))
    with staged(store, str(local)) as third:
        assert third not in (first, second) and same(third, store)


def test_jobs_that_start_together_make_one_copy_and_wait_for_it(store: Path, local: Path) -> None:
    workers = [start(store, local, 0.2) for _ in range(4)]
    ends = [worker.communicate("\n", timeout=60) for worker in workers]
    paths = {out.splitlines()[-1] for out, _ in ends}
    assert len(paths) == 1 and same(Path(paths.pop()), store)
    errors = "".join(err for _, err in ends)
    assert errors.count("copying") == 1 and errors.count("waiting until another job has copied") >= 1, errors


def test_a_copy_that_was_killed_is_never_read_and_is_cleared_away(store: Path, local: Path) -> None:
    killed = start(store, local, 60)
    assert killed.stdout is not None and killed.stdout.readline() == "begun\n"
    killed.kill()
    killed.wait()
    assert [path.read_bytes() for path in files(local) if path.name != "lock"] == [b"half"]
    with staged(store, str(local)) as path:
        assert same(path, store)
    assert {found.name for found in files(local)} == {"lock", path.name, path.with_suffix(".json").name}


def test_the_longest_unused_copies_make_room(tmp_path: Path, local: Path, disk) -> None:
    disk(6)
    stores = {name: make(tmp_path / "network" / f"{name}.npy") for name in ("a", "b", "c")}
    for age, name in enumerate(("c", "b", "a")):
        with staged(stores[name], str(local)) as path:
            pass
        os.utime(path, (age, age))
    with staged(stores["c"], str(local)):
        pass  # now the last one used
    with staged(make(tmp_path / "network" / "d.npy", 3), str(local)) as path:
        assert path.is_relative_to(local)
        assert copies(local) == {"a", "c", "d"}
    assert len(list(local.rglob("*.json"))) == 3


def test_a_copy_in_use_stays_also_when_another_process_uses_it(tmp_path: Path, local: Path, disk, capsys) -> None:
    one, other, large = (
        make(tmp_path / "network" / f"{name}.npy", size) for name, size in (("a", 1), ("b", 1), ("c", 4))
    )
    user = start(one, local, 0)
    assert user.stdout is not None
    used = Path([user.stdout.readline() for _ in range(3)][-1].strip())
    with staged(other, str(local)):
        pass
    disk(5)
    with staged(large, str(local)) as path:
        assert path == large  # not for both would it make room; so the other was not removed in vain
    assert copies(local) == {"a", "b"} and same(used, one)
    assert f"has no room for {large}, which is read from where it lies" in capsys.readouterr().err
    user.communicate("\n", timeout=60)
    with staged(large, str(local)) as path:
        assert path != large and copies(local) == {"c"}


def test_a_disk_that_fills_up_is_told_and_leaves_nothing(store: Path, local: Path, monkeypatch, capsys) -> None:
    copyfile = shutil.copyfile

    def fill(source: Path, target: Path) -> Any:
        if source.suffix == ".npy":
            target.write_bytes(b"half")
            raise OSError(errno.EDQUOT, "quota")
        return copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", fill)
    with staged(store, str(local)) as path:
        assert path == store
    assert "has no room for" in capsys.readouterr().err
    assert [found.name for found in files(local)] == ["lock"]


def test_a_store_that_cannot_be_read_is_an_error(store: Path, local: Path) -> None:
    store.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError), staged(store, str(local)):
        pass
    assert [found.name for found in files(local)] == ["lock"]


def test_an_error_of_who_reads_goes_through_and_ends_the_use(store: Path, local: Path, disk) -> None:
    with pytest.raises(OSError, match="of the reader"), staged(store, str(local)) as path:
        raise OSError(errno.ENOSPC, "of the reader")
    disk(2)
    with staged(make(store.with_name("b.npy")), str(local)):
        assert not path.exists()


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("$NO_SUCH/x", "the variable NO_SUCH is not set"),
        ("${EMPTY}", "the variable EMPTY is not set"),
        ("/scratch/$", "write a variable as"),
        ("scratch", "not an absolute path"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_an_error(store: Path, monkeypatch, folder: str, told: str) -> None:
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(UserError, match=told), staged(store, folder):
        pass


def test_a_folder_that_cannot_be_made_is_an_error(store: Path) -> None:
    with pytest.raises(UserError, match="cannot be made"), staged(store, str(store)):
        pass
