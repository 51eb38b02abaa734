"""The report: complete, self-contained, accessible, safe whatever the tables say, and quiet in a real browser."""

import base64
import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import report
from medtransfer.errors import UserError
from medtransfer.review import report_facts
from medtransfer.review.captions import read_caption
from medtransfer.review.report_parts import read_markdown
from tests import reported
from tests.invented import STUDY
from tests.reported import COHORTS, HOSTILE, RECORDS, Page, words

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return reported.arguments(tmp_path_factory.mktemp("tier"))


@pytest.fixture(scope="module")
def page(arguments: dict[str, Any]) -> Page:
    report.main(**arguments)
    return Page(Path(arguments["page"]).read_text())


# --- What is there ---------------------------------------------------------------------------------------------------


def test_every_claim_figure_table_and_cohort_appears(page, arguments):
    for name in (*arguments["figures"], *arguments["tables"], "claim-S1", "claim-S2"):
        assert page.by_id(name)
    for name, title in COHORTS.items():
        assert page.by_id(f"cohort-{name}") and title in page.by_id("cohorts")["within"][-1]["text"]
    order = ["summary", "figures-scale", "scale_verdicts", "scale_shift", "tables-scale", "scale_table", "cohorts"]
    order += ["completeness", "compute", "environment", "limitations"]
    ids = [element["id"] for element in page.elements if "id" in element]
    assert [name for name in ids if name in order] == order


def test_a_claim_says_what_was_found_on_what_and_how_sure_it_is(page):
    claim = words(next(each for each in page.all("details") if "S1" in each["text"]))
    assert "✕ contradicted , adjusted p 0.012." in claim and "Supported had it been otherwise." in claim
    assert "-0.125 [-0.250, not reached] above 0.01 AUC, out of distribution, worst sub-group: " in claim
    assert "NIH ChestX-ray14, VinDr-CXR; 1,950 images, seeds: 2 < 0.001 ✕ contradicted" in claim
    for expected in ("below 0.5", "other than 0; within ±0.02 is none", "between 0.3 and 0.6"):
        assert expected in claim
    tally = [words(each) for each in page.all("li") if each["within"][-1].get("class") == "tally"]
    assert tally == ["● supported 0", "✕ contradicted 1", "○ inconclusive 0", "– not asked 1"]


def test_what_was_found_agrees_with_counts_by_hand():
    arms, missing = report_facts.completeness(reported.runs())
    assert arms.to_dict("list") == {
        "arm": ["scale/scale", "scale/depth"],
        "asked": [2, 1],
        "present": [1, 1],
        "missing": [1, 0],
    }
    assert missing == ["chest5/r14w16/none/random/rule/pct100/1"]
    cpu, gpu, upstream = report_facts.spent(RECORDS)
    assert (cpu.networks, cpu.images_seen, cpu.seconds, cpu.nodes) == (2, 12800, 120.0, "other, vm")
    assert (gpu.device, gpu.seconds) == ("NVIDIA H200", 3600.0)
    assert (upstream.what, upstream.of, report_facts.duration(upstream.seconds)) == (
        "pre-training",
        "scenes",
        "1:00:05",
    )
    assert report_facts.duration(4_500_061.4) == "1,250:01:01"
    assert ("torch", "2.12.0, 2.13.0", "–") in report_facts.packages(RECORDS)
    assert report_facts.machines(RECORDS)[0] == ("vm", "cpu", 1, 2)


def test_numbers_and_pictures_are_those_of_the_files(page, arguments):
    links = {each["download"]: each["href"] for each in page.all("a") if "download" in each}
    assert set(links) == {f"{name}.csv" for name in (*arguments["figures"], *arguments["tables"])}
    for kind in ("figures", "tables"):
        for name, path in arguments[kind].items():
            content = base64.b64decode(links[f"{name}.csv"].removeprefix("data:text/csv;base64,"))
            assert content == Path(path).with_suffix(".csv").read_bytes()
    for picture, path in zip(page.all("img"), arguments["figures"].values(), strict=True):
        assert base64.b64decode(picture["src"].removeprefix("data:image/svg+xml;base64,")) == Path(path).read_bytes()


def test_the_same_results_make_the_same_page(page, arguments):
    before = Path(arguments["page"]).read_bytes()
    report.main(**arguments)
    assert Path(arguments["page"]).read_bytes() == before


# --- How it is made --------------------------------------------------------------------------------------------------


def test_nothing_is_fetched_from_elsewhere(page, arguments):
    assert not page.all("script", "link", "iframe", "object", "embed", "base", "form")
    for element in page.elements:
        assert element.get("src", "data:image/svg+xml").startswith("data:image/svg+xml")
        assert not {"srcset", "onclick", "onload", "style"} & set(element)
        href = element.get("href", "data:")
        assert href.startswith("data:") or page.by_id(href.removeprefix("#"))
    assert not re.search(r"url\(|@import", Path(arguments["style"]).read_text())


def test_headings_ids_pictures_and_tables_serve_readers_who_do_not_see(page):
    levels = [int(each["tag"][1]) for each in page.all("h1", "h2", "h3", "h4", "h5")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [each["id"] for each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    alts = [each["alt"] for each in page.all("img")]
    assert len(set(alts)) == len(alts) and all(len(alt) > 80 and "study scale" in alt for alt in alts)
    assert any("Test performance of networks from small to large" in alt for alt in alts)
    regions = [each for each in page.elements if each.get("role") == "region"]
    assert all(each["tabindex"] == "0" for each in regions)
    assert len({each["aria-label"] for each in regions}) == len(regions)
    assert all(each["within"][-1] in regions for each in page.all("table"))
    assert {each.get("scope") for each in page.all("th")} == {"col", "colgroup", "row", "rowgroup"}
    rows = [each for each in page.all("tr") if each["within"][-1]["tag"] == "tbody"]
    headed = {id(each["within"][-1]) for each in page.all("th")}
    assert rows and all(id(row) in headed for row in rows)


def test_hostile_text_stays_text(page, arguments):
    for place in ("summary", "cohorts", "environment"):
        assert HOSTILE in page.by_id(place)["within"][-1]["text"], place
    assert HOSTILE in page.by_id("scale_table")["text"]
    assert HOSTILE in next(each for each in page.all("p") if each.get("role") == "note")["text"]
    caption = read_caption(arguments["captions"]["scale_table"], {**STUDY, "note": HOSTILE}, {})
    assert "<script>" not in caption.html and HOSTILE in Page(f"<div>{caption.html}</div>").elements[0]["text"]


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_contrasts_with_whatever_it_may_stand_on(arguments):
    style = Path(arguments["style"]).read_text()
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", style))
    texts = [value for name, value in colours.items() if name.startswith("text")]
    surfaces = [value for name, value in colours.items() if name.startswith("surface")]
    assert luminance("#ffffff") == 1 and luminance("#000000") == 0 and len(texts) >= 5 and len(surfaces) >= 4
    for text in texts:
        for surface in surfaces:
            assert (luminance(surface) + 0.05) / (luminance(text) + 0.05) >= 4.5, (text, surface)
    used = re.findall(r"[{;\s]color: ([^;]+);", style)
    assert used and all(value.startswith("var(--text") for value in used)


# --- What a person can mend ------------------------------------------------------------------------------------------


def test_a_caption_that_cannot_be_shown_says_why(tmp_path):
    broken = {"unknown.rst": "{{ snakemake.params.stuty }}", "markup.rst": "**Never ends.", "empty.rst": ""}
    for name, source in broken.items():
        (tmp_path / name).write_text(source)
    for name in (*broken, "absent.rst"):
        with pytest.raises(UserError, match=name):
            read_caption(tmp_path / name, STUDY, {})


def test_names_and_tables_that_cannot_be_shown_say_why(arguments, tmp_path):
    facts = arguments["facts"]
    with pytest.raises(UserError, match="scale_"):
        report.main(**{**arguments, "facts": {**facts, "figures": {"nobodys": "Title", **facts["figures"]}}})
    (tmp_path / "bar.md").write_text("| Task | Mean |\n|:--|:--|\n| chest | left | 0.7 |\n\nHow to read it.")
    with pytest.raises(UserError, match=r"bar\.md.*3 cells below 2"):
        read_markdown(tmp_path / "bar.md", "")


# --- In a browser ----------------------------------------------------------------------------------------------------


def browse(source: str, folder: Path) -> tuple[str, str, list[str]]:
    """Open a page without a network: its DOM afterwards, what the console said, and what the page asked for."""
    (folder / "page.html").write_text(source)
    log = folder / "net.json"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom"]
    options += [f"--user-data-dir={folder}/profile", "--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={log}"]
    command = [str(CHROMIUM), *options, f"file://{folder}/page.html"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=60, check=True)
    console = "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE:" in line)
    events = (event.get("params", {}) for event in json.loads(log.read_text())["events"])
    # What the browser asks for on its own belongs to no file.
    asked = [each["url"] for each in events if each.get("network_isolation_key", "").startswith("file:")]
    return done.stdout, console, asked


@browser
def test_a_browser_has_nothing_to_complain_of_and_nothing_to_fetch(page, arguments, tmp_path):
    source = Path(arguments["page"]).read_text()
    dom, console, asked = browse(source, tmp_path)
    assert "Limitations" in dom and not console and not asked
    foreign = source.replace("<main>", '<main><img src="http://example.org/x.png" alt="">')
    assert "Content Security Policy" in browse(foreign, tmp_path)[1]
    assert "http://example.org/x.png" in browse(foreign.replace("Content-Security-Policy", ""), tmp_path)[2]


@browser
@pytest.mark.parametrize("width", [380, 1280])
def test_no_page_is_wider_than_its_window(page, arguments, tmp_path, width):
    framed = Path(arguments["page"]).read_text().replace("&", "&amp;").replace('"', "&quot;")
    measure = "document.title = this.contentDocument.documentElement.scrollWidth"
    dom, _, _ = browse(f'<title></title><iframe width="{width}" srcdoc="{framed}" onload="{measure}">', tmp_path)
    assert 0 < int(re.findall("<title>(\\d+)</title>", dom)[0]) <= width
