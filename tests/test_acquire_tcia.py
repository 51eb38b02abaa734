"""Collections of The Cancer Imaging Archive, against a server on this machine."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from medtransfer.acquire import fetch, tcia
from medtransfer.acquire.acquire import acquire
from medtransfer.datasets.card import load_card
from medtransfer.errors import UserError
from tests.local_server import serve
from tests.raw_layouts import put, read
from tests.test_acquire import card_of, contents
from tests.test_readers_breast_findings import CMMD, as_workbook, cbis, lesion, mammogram

CARDS = Path(__file__).parent.parent / "config" / "datasets"
LIST = "/api/getSeries?Collection=Breasts&format=json"
PATHS = [f"Breasts/D1-000{n}/1.2.{n}/1.3.{n}" for n in (1, 2)]


def row(patient, number, n_files=2, **more):
    ids = {"PatientID": patient, "StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.3.{number}"}
    return {**ids, "Modality": "MG", "Collection": "Breasts", "ImageCount": n_files, **more}


def zip_of(files, sums=None):
    """A series as the server sends it."""
    stated = [f"{name},{hashlib.md5((sums or files)[name]).hexdigest()}" for name in files]
    more = {"LICENSE": b"CC", "md5hashes.csv": "\n".join(["Filename,MD5Hash", *stated, ""])}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, content in {**files, **more}.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def at(number):
    return f"/api/getImageWithMD5Hash?SeriesInstanceUID=1.3.{number}"


def two(number):
    return {f"0000000{n}.dcm": f"{number}-{n}".encode() * 100 for n in (1, 2)}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A server with a table and two series of two files, which the card describes, and one that it does not."""
    monkeypatch.setattr(fetch, "WAITS", ())
    with serve() as running:
        monkeypatch.setattr(tcia, "API", f"{running.url}/api")
        running.put("/table.csv", b"id\n1\n")
        rows = [row("D1-0001", 1), row("D1-0002", 2), row("crop_1", 3)]
        running.put(LIST, json.dumps(rows).encode(), kind="application/json")
        for number in (1, 2):
            running.put(at(number), zip_of(two(number)))
        yield running


@pytest.fixture
def card(site):
    files = [{"path": "table.csv", "columns": ["id"]}, {"path": "D*-*/*/*/*.dcm", "count": 4}]
    return card_of(files=files, collection="Breasts", downloads=[{"url": f"{site.url}/table.csv"}])


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def asked(site):
    return sorted(path for path, _ in site.asked)


def images(raw):
    return {path for path in contents(raw) if path.endswith(".dcm")}


def test_a_collection_is_fetched_and_another_call_asks_for_nothing(site, raw, card):
    result = acquire("x", card, raw)
    assert (result.status, result.files) == ("fetched", 5)
    there = contents(raw)
    for number, path in enumerate(PATHS, start=1):
        assert {name: there[f"{path}/{name}"] for name in two(number)} == two(number)
    assert images(raw) == {f"{path}/{name}" for path in PATHS for name in two(1)}
    assert asked(site) == sorted([LIST, at(1), at(2), "/table.csv"])
    record = json.loads(there[".acquired.json"])
    assert record[site.url + LIST] == {
        "sha256": hashlib.sha256(site.resources[LIST].content).hexdigest(),
        "bytes": 4 * 300,
        "verified": True,
        "files": 4,
    }
    assert acquire("x", card, raw).status == "there"
    assert contents(raw) == there and len(site.asked) == 4


def test_a_stopped_acquisition_goes_on_with_the_missing_series(site, raw, card):
    site.resources[at(2)].cuts = 1
    with pytest.raises(UserError, match=r"1 series could not be fetched whole.*\n  D1-0002, series 1\.3\.2: .*again"):
        acquire("x", card, raw)
    assert images(raw) == {f"{PATHS[0]}/{name}" for name in two(1)}
    site.asked.clear()
    assert acquire("x", card, raw).files == 2
    assert asked(site) == sorted([LIST, at(2)])
    assert acquire("x", card, raw).status == "there"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (zip_of({"1.dcm": b"1"}), "1 files instead of 2"),
        (zip_of({}), "0 files instead of 2"),
        (zip_of(two(2), sums={**two(2), "00000002.dcm": b"other"}), r"checksum of 00000002\.dcm"),
        (zip_of(two(2)).replace(b"md5hashes.csv", b"no-hashes.csv"), r"checksum of 00000001\.dcm, 00000002\.dcm"),
        (zip_of({**two(2), "../evil.dcm": b""}), "leads out of the folder"),
        (b"no zip", "neither zip nor tar"),
    ],
)
def test_a_series_that_is_not_whole_is_not_kept_and_keeps_no_other_back(site, raw, card, content, fault):
    site.resources[at(2)].content = content
    with pytest.raises(UserError, match=rf"(?s)\n  D1-0002, series 1\.3\.2: .*{fault}"):
        acquire("x", card, raw)
    assert images(raw) == {f"{PATHS[0]}/{name}" for name in two(1)}
    site.put(at(2), zip_of(two(2)))
    assert acquire("x", card, raw).files == 2
    assert images(raw) == {f"{path}/{name}" for path in PATHS for name in two(1)}


@pytest.mark.parametrize("key", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", ["../../evil", "..", ".hidden", "/etc", "a/b", "a\\b", "a b", "a\n", "", None])
def test_an_id_that_can_be_no_folder_is_refused_before_any_series_is_fetched(site, raw, card, key, value):
    site.resources[LIST].content = json.dumps([row("D1-0001", 1), row("D1-0002", 2, **{key: value})]).encode()
    with pytest.raises(UserError, match=f"no list of series that can be used: {key} of row 1 is "):
        acquire("x", card, raw)
    assert asked(site) == [LIST, "/table.csv"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no list of series"),
        (b"{}", "no list of series"),
        (b'[{"PatientID": "D1-0001"}]', "StudyInstanceUID of row 0 is"),
        (b"[]", "lists 0 series"),
        (json.dumps([row("other", 1)]).encode(), "lists 1 series, and the dataset's card describes none"),
    ],
)
def test_a_list_without_a_series_that_can_be_used_is_an_error(site, raw, card, content, fault):
    site.resources[LIST].content = content
    with pytest.raises(UserError, match=fault):
        acquire("x", card, raw)
    site.put(LIST, json.dumps([row("D1-0001", 1), row("D1-0002", 2)]).encode())
    assert acquire("x", card, raw).status == "fetched"


def test_what_is_not_there_is_named(site, raw, card):
    del site.resources[at(2)]
    with pytest.raises(UserError, match=r"SeriesInstanceUID=1\.3\.2 answers 404"):
        acquire("x", card, raw)
    del site.resources[LIST]
    with pytest.raises(UserError, match=r"getSeries\?Collection=Breasts&format=json answers 404"):
        acquire("x", card, raw)


def test_a_server_that_fails_again_and_again_is_left_alone(site, raw, card):
    rows = [row("D1-0001", number) for number in range(10, 200)]
    site.resources[LIST].content = json.dumps(rows).encode()
    with pytest.raises(UserError, match=r"^10 series could not be fetched"):
        acquire("x", card, raw)
    assert 10 <= sum("getImage" in path for path in asked(site)) < 100


def test_images_that_a_person_put_there_are_left_alone(site, raw, card):
    put(raw, {"D1-0001/a day/a name/1-1.dcm": b"mine", "D1-0002/a day/a name/1-1.dcm": b"mine"})
    result = acquire("x", card, raw)
    assert (result.status, result.files, asked(site)) == ("fetched", 1, ["/table.csv"])
    assert f"not verified, no or another checksum known: {site.url}{LIST}" in result.message
    assert acquire("x", card, raw).status == "there"
    for path in images(raw):
        (raw / path).unlink()
    assert acquire("x", card, raw).files == 4


def fetch_as_its_card_says(site, dataset, raw, table_folder, series):
    """Fetch a dataset of the project from this server, which has its tables and one image of each series."""
    card = load_card(CARDS / f"{dataset}.yaml")
    for download in card.downloads:
        name = download.url.rsplit("/", 1)[-1]
        download.url = site.put(f"/{name}", (table_folder / name).read_bytes())
    rows = [row(patient, number, 1) for number, patient in enumerate(series)]
    site.put(f"/api/getSeries?Collection={card.collection}&format=json", json.dumps(rows).encode())
    for number, content in enumerate(series.values()):
        site.put(at(number), zip_of({"1-1.dcm": content}))
    assert acquire(dataset, card, raw).status == "fetched"
    return read(dataset, raw)


def test_cbis_ddsm_is_fetched_without_its_crops_as_its_reader_finds_it(site, raw, tmp_path):
    first, second = "Mass-Training_P_00001_LEFT_CC", "Calc-Test_P_00002_RIGHT_MLO"
    cbis(tmp_path, mass_train=lesion(first, "MALIGNANT"), calc_test=lesion(second, "BENIGN"))
    series = {first: b"film", f"{first}_1": b"crop", second: b"film"}
    reading = fetch_as_its_card_says(site, "cbis_ddsm", raw, tmp_path / "csv", series)
    assert dict(zip(reading.table["path"], reading.table["cancer"], strict=True)) == {
        f"CBIS-DDSM/{first}/1.2.0/1.3.0/1-1.dcm": 1,
        f"CBIS-DDSM/{second}/1.2.2/1.3.2/1-1.dcm": 0,
    }
    assert len(images(raw)) == 2 and at(1) not in asked(site)


def test_cmmd_is_fetched_as_its_reader_finds_it(site, raw, tmp_path):
    table = "CMMD_clinicaldata_revision.xlsx"
    put(tmp_path, {table: as_workbook(CMMD + "D1-0001,L,44,2,calcification,Benign,\n")})
    reading = fetch_as_its_card_says(site, "cmmd", raw, tmp_path, {"D1-0001": mammogram("D1-0001", "L", view="CC")})
    assert reading.table[["path", "cancer"]].to_numpy().tolist() == [["CMMD/D1-0001/1.2.0/1.3.0/1-1.dcm", 0]]
    assert reading.rejected.empty
