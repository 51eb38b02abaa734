"""Acquisition of published weights, against a server on this machine."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import acquire_weights as script
from medtransfer.acquire import fetch
from medtransfer.acquire.weights import acquire_weights
from medtransfer.config import load
from medtransfer.errors import UserError
from tests.conftest import ROOT
from tests.local_server import serve
from tests.test_workflow import TINY, clone, snakemake

CONTENT = bytes(range(250)) * 400
HOME = "https://example.org/weights"


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "WAITS", ())
    monkeypatch.setattr(fetch, "PIECE", 1000)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with serve() as running:
        yield running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights" / "BiT-S R50x1.npz"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_weights_are_fetched_once_with_their_checksum_beside_them(site, path):
    site.put("/models/BiT-S%20R50x1.npz", CONTENT)
    first = acquire_weights(path, f"{site.url}/models/{{name}}", HOME)
    assert (first.status, first.files) == ("fetched", 1)
    assert path.read_bytes() == CONTENT and hashlib.sha256(CONTENT).hexdigest() in first.message
    subprocess.run(["sha256sum", "--check", "--strict", f"{path.name}.sha256"], cwd=path.parent, check=True)
    assert names(path.parent) == [path.name, f"{path.name}.sha256"]
    assert acquire_weights(path, f"{site.url}/models/{{name}}", HOME).status == "there"
    assert len(site.asked) == 1


def test_a_broken_transfer_leaves_nothing_in_place_and_is_gone_on_with(site, path):
    site.put("/BiT-S%20R50x1.npz", CONTENT, cuts=1)
    with pytest.raises(UserError, match="goes on from where it stopped"):
        acquire_weights(path, f"{site.url}/{{name}}", HOME)
    assert not path.exists()
    assert acquire_weights(path, f"{site.url}/{{name}}", HOME).status == "fetched"
    assert path.read_bytes() == CONTENT and site.headers("Range") == [None, f"bytes={len(CONTENT) // 2}-"]
    assert names(path.parent) == [path.name, f"{path.name}.sha256"]


def test_weights_that_a_person_has_put_there_are_left_alone(site, path):
    path.parent.mkdir()
    path.write_bytes(b"mine")
    result = acquire_weights(path, f"{site.url}/{{name}}", HOME)
    assert result.status == "there" and str(path) in result.message
    assert path.read_bytes() == b"mine" and names(path.parent) == [path.name] and site.asked == []


def test_without_an_address_it_says_where_they_are_published(path):
    result = acquire_weights(path, None, HOME)
    assert result.status == "by hand" and HOME in result.message and str(path) in result.message
    assert not path.parent.exists()


def test_a_failure_is_written_down_for_the_summary(site, path, tmp_path):
    script.main("in1k/r50x1", str(path), f"{site.url}/{{name}}", HOME, str(tmp_path / "a.json"))
    told = json.loads((tmp_path / "a.json").read_text())
    assert (told["dataset"], told["status"]) == ("in1k/r50x1", "failed")
    assert "BiT-S%20R50x1.npz answers 404" in told["message"]


def released(**more: Any) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / TINY).read_text())
    facts = {"home": HOME, "images": 100, "epochs": 1.0, "crop": 28}
    weights = {backbone: f"raw/weights/{backbone}.npz" for backbone in ("r14w16", "r14w32", "r50x1")}
    content["upstreams"]["own"] = {"source": "released", "weights": weights, **facts, **more}
    content["studies"]["scale"]["arms"]["scale"].append(
        {"tasks": ["chest5"], "backbones": ["r14w16", "r14w32"], "upstreams": ["own"], "seeds": [0]}
    )
    return content


@pytest.mark.parametrize("url", ["https://example.org/a.npz", "/local/{name}", "ftp://example.org/{name}"])
def test_an_address_that_fits_one_file_or_no_download_is_an_error(url):
    load(released(url="https://example.org/{name}?raw=1"), TINY)
    with pytest.raises(UserError, match=r"upstreams\.own.*url"):
        load(released(url=url), TINY)


def test_the_workflow_fetches_what_its_runs_need_and_looks_again_at_each_call(site, tmp_path):
    folder = clone(tmp_path)
    weights = folder / "raw" / "weights"
    weights.mkdir(parents=True)
    (weights / "r14w32.npz").write_bytes(b"mine")
    (folder / "own.yaml").write_text(yaml.safe_dump(released(url=f"{site.url}/{{name}}")))
    site.put("/r14w16.npz", CONTENT)
    told = snakemake(folder, config="own.yaml", targets=["acquire"])
    assert "== there: 1 of 2\nown/r14w32: raw/weights/r14w32.npz is there." in told
    assert "== fetched: 1 of 2\nown/r14w16: raw/weights/r14w16.npz was fetched" in told
    assert (weights / "r14w16.npz").read_bytes() == CONTENT
    assert "== there: 2 of 2" in snakemake(folder, config="own.yaml", targets=["acquire"])
    assert [asked for asked, _ in site.asked] == ["/r14w16.npz"]
