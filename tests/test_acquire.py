"""Acquisition of whole datasets, against servers on this machine."""

import hashlib
import io
import json
import shutil
import zipfile
from typing import Any

import pytest

import acquire as summary
import acquire_dataset
from medtransfer.acquire import fetch, kaggle, physionet
from medtransfer.acquire.acquire import acquire
from medtransfer.datasets.card import Card
from medtransfer.errors import UserError
from medtransfer.files import write_json
from tests.local_server import serve
from tests.raw_layouts import images, put

TABLE = b"id,label\n1,a\n2,b\n"
SECRET = "p@ss/w:rd#1"


def zip_of(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name in names:
            bundle.writestr(name, TABLE)
    return buffer.getvalue()


def card_of(access="open", **more):
    known = dict.fromkeys(("title", "version", "home", "licence", "citation"), "x")
    unknown: dict[str, Any] = {"n_images": None, "n_patients": None, "labels": [], "quirks": [], "confidence": []}
    files = [{"path": "table.csv", "rows": 2, "columns": ["id"]}, {"path": "images/*.png", "count": 2}]
    facts = {"access": access, "tested": "layout", "files": files, "how": "Ask them"}
    return Card.model_validate({**known, **unknown, **facts, **more})


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without credentials, and an environment without any."""
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "PHYSIONET_USERNAME", "PHYSIONET_PASSWORD", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def site(home, monkeypatch):
    monkeypatch.setattr(fetch, "WAITS", ())
    with serve() as running:
        monkeypatch.setattr(kaggle, "API", f"{running.url}/api")
        monkeypatch.setattr(physionet, "FILES", f"{running.url}/files")
        yield running


@pytest.fixture
def open_card(site):
    table = f"sha256:{hashlib.sha256(TABLE).hexdigest()}"
    return card_of(
        downloads=[
            {"url": site.put("/get?id=1", TABLE), "name": "table.csv", "hash": table},
            {"url": site.put("/1.zip", zip_of("images/1.png")), "unpack": True},
            {"url": site.put("/2.zip", zip_of("2.png")), "unpack": True, "to": "more/images"},
        ]
    )


def test_an_open_dataset_is_fetched_and_another_call_does_nothing(site, raw, open_card):
    result = acquire("x", open_card, raw)
    assert (result.status, result.files) == ("fetched", 3)
    assert result.message.count("not verified") == 2 and "2.zip" in result.message
    record = json.loads((raw / ".acquired.json").read_text())
    assert list(record) == sorted(download.url for download in open_card.downloads)
    assert record[open_card.downloads[0].url] == {
        "sha256": hashlib.sha256(TABLE).hexdigest(),
        "bytes": len(TABLE),
        "verified": True,
        "files": 1,
    }
    before = contents(raw)
    assert set(before) == {".acquired.json", "table.csv", "images/1.png", "more/images/2.png"}
    assert acquire("x", open_card, raw).status == "there"
    assert contents(raw) == before and len(site.asked) == 3


def test_an_interrupted_acquisition_goes_on_where_it_stopped(site, raw, open_card):
    site.resources["/2.zip"].cuts = 1
    with pytest.raises(UserError, match=r"2\.zip could not be fetched"):
        acquire("x", open_card, raw)
    assert acquire("x", open_card, raw).status == "fetched"
    assert [path for path, _ in site.asked] == ["/get?id=1", "/1.zip", "/2.zip", "/2.zip"]


def test_a_folder_that_a_person_filled_is_left_alone(site, raw, open_card):
    put(raw, {"table.csv": "id\n1\n", **images("images/1.png")})
    before = contents(raw)
    result = acquire("x", open_card, raw)
    assert result.status == "there" and "images/*.png: files, expected 2, found 1" in result.message
    assert contents(raw) == before and site.asked == []


def test_what_a_person_has_begun_is_completed_and_not_replaced(site, raw, open_card):
    put(raw, {"table.csv": "id\nmine\n"})
    assert acquire("x", open_card, raw).status == "fetched"
    assert (raw / "table.csv").read_text() == "id\nmine\n"
    assert [path for path, _ in site.asked] == ["/1.zip", "/2.zip"]


def test_content_that_is_not_as_the_card_says_is_an_error(site, raw, open_card):
    site.put("/1.zip", zip_of("1.jpeg"))
    site.put("/2.zip", zip_of("readme"))
    open_card.downloads.pop()
    with pytest.raises(UserError, match=r"(?s)it lacks\n  images/\*\.png: files, expected 2, found 0.*compare x"):
        acquire("x", open_card, raw)


@pytest.mark.parametrize(
    ("card", "advice"),
    [
        (card_of("form"), "Ask them"),
        (card_of("open"), "Ask them"),
        (card_of("kaggle", remote="race"), "KAGGLE_KEY"),
        (card_of("physionet", remote="films/1.0"), "PHYSIONET_PASSWORD"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_without_access_a_person_is_told_what_to_do(site, raw, card, advice, begun):
    if begun:
        put(raw, {"table.csv": "id\n1\n"})
    result = acquire("x", card, raw)
    assert result.status == "by hand"
    for fact in (advice, str(raw), "Home: x", "Licence: x", "images/*.png"):
        assert fact in result.message
    assert ("table.csv: " in result.message) is False and ("images/*.png: files" in result.message) is begun
    assert raw.exists() is begun and site.asked == []


@pytest.mark.parametrize(
    ("remote", "path"),
    [("race", "/api/competitions/data/download-all/race"), ("them/data", "/api/datasets/download/them/data")],
)
@pytest.mark.parametrize("source", ["environment", "file"])
def test_kaggle_is_fetched_with_the_users_key_which_goes_nowhere_else(
    site, raw, home, monkeypatch, capfd, remote, path, source
):
    if source == "file":
        put(home, {".kaggle/kaggle.json": json.dumps({"username": "me", "key": SECRET})})
    else:
        monkeypatch.setenv("KAGGLE_USERNAME", "me")
        monkeypatch.setenv("KAGGLE_KEY", SECRET)
    site.put(path, redirect=f"{site.elsewhere}/store", login=f"me:{SECRET}")
    site.put("/store", zip_of("table.csv", "images/1.png", "images/2.png"))
    assert acquire("x", card_of("kaggle", remote=remote), raw).status == "fetched"
    assert [(path, "Authorization" in headers) for path, headers in site.asked] == [(path, True), ("/store", False)]
    assert_secret_stays_secret(raw, capfd)


def assert_secret_stays_secret(folder, capfd):
    out, err = capfd.readouterr()
    everything = [out.encode(), err.encode(), *contents(folder).values(), *map(str.encode, contents(folder))]
    forms = {SECRET, fetch.requests.utils.quote(SECRET, safe="")}
    assert not any(form.encode() in text for text in everything for form in forms)


wget = pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")


@pytest.fixture
def project(site):
    """A project of PhysioNet: three files and their checksums, behind a login."""
    files = {"table.csv": TABLE, "images/1.png": b"one" * 1000, "images/a b#2.png": b"two" * 1000}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in files.items())
    for name, content in {**files, "SHA256SUMS.txt": sums.encode()}.items():
        path = name.replace(" ", "%20").replace("#", "%23")
        site.put(f"/files/films/1.0/{path}", content, login=f"me@home:{SECRET}")
    return files


def enter(home, monkeypatch, source, password=SECRET):
    if source == "netrc":
        put(home, {".netrc": f'machine 127.0.0.1 login me@home password "{password}"\n'})
    else:
        monkeypatch.setenv("PHYSIONET_USERNAME", "me@home")
        monkeypatch.setenv("PHYSIONET_PASSWORD", password)


@wget
@pytest.mark.parametrize("source", ["netrc", "environment"])
def test_a_physionet_project_is_fetched_and_checked(site, raw, home, monkeypatch, capfd, project, source):
    enter(home, monkeypatch, source)
    card = card_of("physionet", remote="films/1.0")
    result = acquire("x", card, raw)
    assert (result.status, result.files) == ("fetched", 3)
    assert {name: (raw / name).read_bytes() for name in project} == project
    assert all(agent.startswith("Wget/") for agent in site.headers("User-Agent"))
    n_asked = len(site.asked)
    assert acquire("x", card, raw).status == "there" and len(site.asked) == n_asked
    (raw / "images" / "1.png").unlink()
    (raw / "table.csv").unlink()
    assert (acquire("x", card, raw).files, len(site.asked) > n_asked) == (2, True)
    assert_secret_stays_secret(raw, capfd)


@wget
def test_what_lies_there_of_a_project_is_compared_once_and_completed(site, raw, home, monkeypatch, project):
    enter(home, monkeypatch, "netrc")
    put(raw, {"images/1.png": b"one" * 500, "images/a b#2.png": project["images/a b#2.png"]})
    assert acquire("x", card_of("physionet", remote="films/1.0"), raw).files == 2
    assert (raw / "images" / "1.png").read_bytes() == b"one" * 1000
    assert [path for path, _ in site.asked].count("/files/films/1.0/images/a%20b%232.png") == 0
    assert "bytes=1500-" in site.headers("Range")


@wget
def test_a_file_that_differs_from_its_checksum_never_gets_into_place(site, raw, home, monkeypatch, project):
    enter(home, monkeypatch, "netrc")
    site.resources["/files/films/1.0/images/1.png"].content = b"another"
    with pytest.raises(UserError, match=r"films/1\.0: images/1\.png arrived twice with another checksum"):
        acquire("x", card_of("physionet", remote="films/1.0"), raw)
    assert not (raw / "images" / "1.png").exists()


@wget
def test_a_login_that_is_refused_says_so_without_showing_it(site, raw, home, monkeypatch, capfd, project):
    enter(home, monkeypatch, "environment", password="wrong-pass")
    with pytest.raises(UserError, match="The login was not accepted") as error:
        acquire("x", card_of("physionet", remote="films/1.0"), raw)
    site.put("/files/films/1.0/SHA256SUMS.txt", statuses=[403])
    with pytest.raises(UserError, match="signed this project's agreement"):
        acquire("x", card_of("physionet", remote="films/1.0"), raw)
    assert "wrong-pass" not in str(error.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize("line", [f"{'0' * 64} ../evil", f"{'0' * 64} /evil", "<html>", "0 short", "0" * 64])
def test_a_list_of_checksums_that_is_none_is_an_error(tmp_path, line):
    (tmp_path / "sums").write_text(f"{'0' * 64} good.csv\n{line}\n")
    with pytest.raises(UserError, match="line 2, is no checksum and path"):
        physionet.read_sums(tmp_path / "sums")


def test_the_summary_tells_of_all_and_fails_if_one_failed(site, tmp_path, open_card):
    cards = {"a": card_of("form"), "b": open_card, "c": card_of(downloads=[{"url": f"{site.url}/gone.zip"}])}
    paths = [tmp_path / f"{name}.json" for name in cards]
    for (name, card), path in zip(cards.items(), paths, strict=True):
        write_json(card.model_dump(), tmp_path / f"{name}.yaml")  # JSON is YAML
        acquire_dataset.main(name, str(tmp_path / f"{name}.yaml"), str(tmp_path / name), str(path))
    text = summary.main([str(path) for path in paths[:2]])
    assert text.index("== fetched: 1 of 2\nb: ") < text.index("== by hand: 1 of 2\na: ")
    with pytest.raises(UserError, match=r"(?s)== by hand: 1 of 3.*== failed: 1 of 3\nc: .*/gone\.zip answers 404"):
        summary.main([str(path) for path in paths])
    assert not any(path.exists() for path in paths)
