"""What whoever is handed a crate relies on: that it is valid, whole, the same each time, and tells what was done."""

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest
import yaml
from rocrate.rocrate import ROCrate
from rocrate_validator.models import Severity

from crate import LARGEST, contents, main
from medtransfer.errors import UserError
from medtransfer.review.crate_check import altered, check_crate, issues
from tests import invented
from tests.conftest import ROOT
from tests.invented_records import of_network, of_run, sha, tier, write_provenance

ARMS = {name: invented.ARMS[name] for name in ("schedule", "adaptation")}
RUNS = invented.runs(ARMS)
SOURCES = ["Snakefile", "README.md", "LICENSE", "CITATION.cff", "requirements.lock"]
METADATA = "ro-crate-metadata.json"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    invented.tables(folder, RUNS)
    write_provenance(RUNS, folder / "provenance.parquet")
    (folder / "claims.csv").write_text("claim,verdict\nS1,supported\n")
    for kind, suffixes in {"figures": ("csv", "pdf", "svg"), "tables": ("csv", "md", "tex")}.items():
        (folder / kind).mkdir()
        for suffix in suffixes:
            (folder / kind / f"scale_{kind[:-1]}.{suffix}").write_text(f"{kind} {suffix}\n")
    (folder / "figures" / "scale_performance.svg").write_text("<svg/>\n")
    return folder


@pytest.fixture(scope="module")
def citation(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("citation") / "CITATION.cff"
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    path.write_text(yaml.safe_dump({**content, "date-released": "2026-11-21"}))
    return str(path)


def pack(results: Path, citation: str, folder: Path) -> Path:
    """A crate in that folder, of all of these results."""
    names = ["metrics.parquet", "provenance.parquet", "completeness.csv", "upstreams.csv", "claims.csv"]
    paths = [*(results / name for name in names), *(results / "figures").iterdir(), *(results / "tables").iterdir()]
    main([str(path) for path in paths], SOURCES, {"tier": "demo"}, tier(results), None, citation, str(folder))
    return folder


@pytest.fixture(scope="module")
def crate(results: Path, citation: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(results, citation, tmp_path_factory.mktemp("packed") / "crate")


@pytest.fixture
def copy(crate: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    for path in (path for path in crate.rglob("*") if path.is_file()):
        place = tmp_path / path.relative_to(crate)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(path.read_bytes())
    return tmp_path


def entities(folder: Path) -> dict[str, dict]:
    return {each["@id"]: each for each in json.loads((folder / METADATA).read_text())["@graph"]}


def change(folder: Path, entity: str, **values: object) -> None:
    """Set properties of an entity; None takes one away."""
    metadata = json.loads((folder / METADATA).read_text())
    (found,) = (each for each in metadata["@graph"] if each["@id"] == entity)
    found.update(values)
    for key in (key for key, value in values.items() if value is None):
        del found[key]
    (folder / METADATA).write_text(json.dumps(metadata))


# --- Valid -----------------------------------------------------------------------------------------------------------


def test_a_crate_is_valid_without_the_internet_and_lacks_of_what_is_recommended_but_facts_that_nobody_recorded(
    crate, monkeypatch
):
    def refuse(*_: object) -> None:
        raise AssertionError("The internet was asked.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    unknown = ("endTime", "affiliation", "organization SHOULD have a URL", "Bioschemas", "absolute URI", "have a url")
    recommended = issues(crate, Severity.RECOMMENDED)
    assert [each for each in recommended if not any(fact in each for fact in unknown)] == []


@pytest.mark.parametrize(
    ("entity", "values", "message"),
    [
        ("./", {"mainEntity": None}, "[Mm]ain"),
        ("./", {"datePublished": "yesterday"}, "datePublished"),
        ("Snakefile", {"programmingLanguage": None}, "language"),
        ("#workflow-demo", {"instrument": None}, "instrument"),
    ],
)
def test_what_the_profile_requires_is_missed(entity, values, message, copy):
    change(copy, entity, **values)
    with pytest.raises(UserError, match=f"(?s)no valid RO-Crate.*{message}"):
        check_crate(copy)


def test_a_file_that_was_changed_or_lost_is_named(copy):
    assert altered(copy) == []
    (copy / "claims.csv").write_text("claim,verdict\nS1,contradicted\n")
    (copy / "figures" / "scale_performance.svg").unlink()
    assert altered(copy) == ["claims.csv", "figures/scale_performance.svg"]
    with pytest.raises(UserError, match=r"claims\.csv is not the file that the metadata describe"):
        check_crate(copy)


# --- Whole, and the same each time -----------------------------------------------------------------------------------


def test_every_file_is_there_as_it_was_with_size_and_checksum(crate, results):
    told = {name: each for name, each in entities(crate).items() if "File" in each["@type"]}
    there = {str(path.relative_to(crate)) for path in crate.rglob("*") if path.is_file()} - {METADATA}
    assert set(told) == there == {each["@id"] for each in entities(crate)["./"]["hasPart"]}
    for name, each in told.items():
        content = (crate / name).read_bytes()
        assert each["sha256"] == hashlib.sha256(content).hexdigest()
        assert each["contentSize"] == str(len(content))
        for origin in (results / name, ROOT / name):
            assert not origin.is_file() or origin.read_bytes() == content
    assert told["metrics.parquet"]["encodingFormat"] == "application/vnd.apache.parquet"
    assert told["tables/scale_table.csv"]["encodingFormat"] == "text/csv"


def test_the_same_results_give_the_same_bytes(crate, results, citation, tmp_path):
    for path in results.rglob("*"):
        os.utime(path, (1, 1))
    again = pack(results, citation, tmp_path / "crate")
    assert (again / METADATA).read_bytes() == (crate / METADATA).read_bytes()


def test_captions_describe_figures_and_tables(crate):
    told = entities(crate)
    assert told["figures/scale_performance.svg"]["description"].startswith(
        "Performance against scale. Test performance"
    )
    assert "95 % intervals" in told["figures/scale_performance.svg"]["description"]
    assert invented.STUDY["note"] in told["./"]["description"]


def test_frozen_results_go_with_it_unless_they_are_large(results, tmp_path):
    frozen = tmp_path / "frozen"
    (frozen / "predictions").mkdir(parents=True)
    (frozen / "predictions" / "chest5.parquet").write_bytes(b"logits")
    files = contents([], SOURCES, results, str(frozen))
    assert files["frozen/predictions/chest5.parquet"].read_bytes() == b"logits"
    with (frozen / "large").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert list(contents([], SOURCES, results, str(frozen))) == SOURCES


def test_a_crate_without_a_date_of_release_is_not_made(results, tmp_path):
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    (tmp_path / "CITATION.cff").write_text(yaml.safe_dump({k: v for k, v in content.items() if k != "date-released"}))
    with pytest.raises(UserError, match="date-released"):
        pack(results, str(tmp_path / "CITATION.cff"), tmp_path / "crate")


# --- What it tells ---------------------------------------------------------------------------------------------------


def test_other_libraries_read_who_made_it_and_what_it_re_runs(crate):
    read = ROCrate(crate)
    assert read.root_dataset["datePublished"] == "2026-11-21"
    assert read.root_dataset["license"].id == "https://spdx.org/licenses/Apache-2.0"
    papers = {paper.id: len(paper["author"]) for paper in read.root_dataset["citation"]}
    assert papers == {
        "https://arxiv.org/abs/2101.05913": 15,
        "https://arxiv.org/abs/1902.07208": 4,
        "https://arxiv.org/abs/2106.00116": 2,
    }
    packages = {each["name"]: each["version"] for each in read.mainEntity["softwareRequirements"]}
    assert packages == of_run(RUNS[0])["packages"]


def test_an_arm_of_a_study_names_the_data_and_weights_that_its_runs_used(crate):
    told = entities(crate)
    arm = told["#fine-tuning-scale-adaptation"]
    used = {told[each["@id"]].get("sha256") for each in arm["object"]}
    assert {sha("nih_cxr14"), sha("scenes-large", "r26w64")} <= used and sha("isic_2019") not in used
    runs = [run for run in RUNS if "scale/adaptation" in run.arms]
    seconds = sum(sum(of_run(run)["seconds"].values()) for run in runs)
    assert arm["description"] == f"{len(runs)} records of training, {seconds:,.0f} s together, on cpu."
    assert {"@id": "provenance.parquet"} in arm["result"]


def test_each_network_pre_trained_here_was_made_by_an_action(crate):
    told = entities(crate)
    made = [each for name, each in told.items() if name.startswith("#pre-training-")]
    networks = [
        (upstream, name) for upstream in ("scenes-small", "scenes-large") for name in invented.STUDY["backbones"]
    ]
    weights = {told[each["@id"]].get("sha256") for action in made for each in action["result"]}
    assert {sha(*network) for network in networks} <= weights
    assert len(made) == len(networks)
    assert f"{sum(of_network(*networks[0])['seconds'].values()):.0f} s" in made[0]["description"]
