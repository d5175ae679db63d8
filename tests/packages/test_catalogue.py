"""The catalogue: what it lists is whole, its pages and files lead to each other, the same goes in gives the same bytes, and what
strangers wrote stays text."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from package_shop import SHOP, run_file, write_shop
from witnesses import receipt_of

from pellucid.errors import PackageError, UsageError
from pellucid.packages.catalogue import build
from pellucid.packages.catalogue.pages import embedded
from pellucid.packages.format import archive, fixity
from pellucid.packages.publishing import publish
from pellucid.packages.receipts import tally

pytestmark = pytest.mark.timeout(120)
HOSTILE = '</script><script>hit=1</script><img src=x onerror="hit=2">&amp;<!-- \u2028\u202e\x1b[2J '
URL = "https://data.example/open"
ATOM = "{http://www.w3.org/2005/Atom}"


class Page(HTMLParser):
    """Links, scripts and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in: dict[str, str | None] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.elements.append((tag, known))
        if tag == "a":
            self.links.append(known["href"] or "")
        if tag == "script":
            self._in = known
            self.scripts.append((known, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._in = None

    def handle_data(self, data: str) -> None:
        if self._in is not None:
            self.scripts[-1] = (self._in, self.scripts[-1][1] + data)
        else:
            self.text += data

    @property
    def described(self) -> Any:
        (found,) = [text for known, text in self.scripts if known.get("type") == "application/ld+json"]
        return json.loads(found)


def page(path: Path) -> Page:
    return Page(path.read_text())


def bytes_of(site: Path) -> dict[str, bytes]:
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """A package whose publisher writes markup wherever text can be written."""
    folder = tmp_path_factory.mktemp("hostile") / "work"
    file = write_shop(folder)
    text = SHOP.replace('title="What a shop sells"', f"title={'Shop ' + HOSTILE!r}")
    text = text.replace('creators=("Doe, Jane', f'creators=({"Doe" + HOSTILE + ", Jane"!r}, "Doe, Jane')
    text = text.replace('keywords=("shop", "shares")', f"keywords=({HOSTILE!r},), version={HOSTILE!r}")
    text = text.replace('description="Shares of', f'description={HOSTILE!r} + "Shares of').replace(
        'credit="the shop"', f"credit={HOSTILE!r}"
    )
    assert text.count("hit=1") == 6
    file.write_text(text)
    run = run_file(file, keys=keys)
    publish(folder / ".pellucid", run, folder.parent / "package")
    return folder.parent / "package"


@pytest.fixture(scope="module")
def made(published: Path, hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of two packages, one with receipts."""
    place = tmp_path_factory.mktemp("catalogue")
    receipts = place / "receipts"
    receipts.mkdir()
    for name, verdict in (("ann", "bit-identical"), ("bob", "within what another kernel may do"), ("cat", "different")):
        receipt_of(published, receipts, name, verdict=verdict, when=datetime.now(UTC))
    (receipts / "damaged.json").write_text("{")
    other = shutil.copytree(published, place / "other")
    (other / "README.md").write_text("another")
    fixity.write(other)
    receipt_of(other, receipts, "dan", when=datetime.now(UTC))
    receipt_of(published, receipts, "ann", file="ann-again.json", when=datetime(2200, 1, 1, tzinfo=UTC))
    trust = [receipts / "ann.pub.pem"]
    done = build([published, hostile], place / "site", receipts=receipts, url=URL, title="Open data", trust=trust)
    assert (done.packages, done.datasets, done.models, done.receipts) == (2, 6, 0, 3)
    assert [(one.path.name, one.name) for one in done.refused] == [
        ("ann-again.json", "misdated"),
        ("damaged.json", "malformed"),
        ("dan.json", "wrong package"),
    ]
    return place / "site"


def test_every_link_and_address_leads_to_a_file_of_the_site(made: Path, published: Path, tmp_path: Path) -> None:
    build([published], tmp_path / "site")
    for site in (made, tmp_path / "site"):
        found = 0
        for path in site.rglob("*.html"):
            here = "site:/" + path.relative_to(site).as_posix()
            for link in page(path).links:
                target = urljoin(here.replace("site:", "http://site"), link)
                if urlsplit(target).hostname == "site":
                    found += 1
                    assert (site / unquote(urlsplit(target).path).lstrip("/")).is_file(), (path, link)
        assert found > 20
    assert not (tmp_path / "site" / "sitemap.xml").exists()
    locations = [
        one.text or "" for one in ET.parse(made / "sitemap.xml").iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")
    ]
    assert len(locations) == 1 + 2 + 6
    for address in locations:
        assert (made / unquote(address.removeprefix(f"{URL}/"))).is_file(), address


@pytest.mark.slow
def test_the_same_packages_give_the_same_bytes(published: Path, hostile: Path, tmp_path: Path) -> None:
    build([published, hostile], tmp_path / "one")
    archive.write(published, tmp_path / "zipped.zip")
    build([hostile, tmp_path / "zipped.zip", published], tmp_path / "two")
    first = bytes_of(tmp_path / "one")
    assert first == bytes_of(tmp_path / "two")
    build([published, hostile], tmp_path / "one")
    assert first == bytes_of(tmp_path / "one")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_dcat_tells_the_bytes_that_the_site_holds(made: Path) -> None:
    told = json.loads((made / "catalog.jsonld").read_text())
    assert (told["@type"], told["@id"], told["dct:title"]["@value"]) == ("dcat:Catalog", f"{URL}/", "Open data")
    assert isinstance(told["@context"], dict)  # nothing is fetched to read it
    assert told["dct:publisher"]["foaf:name"]
    sets = told["dcat:dataset"]
    assert len(sets) == 8
    known = {one["@id"] for one in sets}
    for one in sets:
        assert one["dct:title"]["@value"] and one["dct:description"]["@value"]
        assert one["dct:provenance"][0]["rdfs:label"]["@value"]
        for part in one.get("dct:hasPart", []) + ([one["dct:isPartOf"]] if "dct:isPartOf" in one else []):
            assert part["@id"] in known
        assert one["dcat:distribution"]
        for file in one["dcat:distribution"]:
            assert file["dcat:accessURL"]["@id"].startswith(URL)
            path = made / unquote(file["dcat:downloadURL"]["@id"].removeprefix(f"{URL}/"))
            assert file["spdx:checksum"]["spdx:checksumValue"]["@value"] == hashlib.sha256(path.read_bytes()).hexdigest()
            assert int(file["dcat:byteSize"]["@value"]) == path.stat().st_size
            assert file["dct:license"][0]["@id"].startswith("https://spdx.org/licenses/")


def test_each_data_set_describes_itself_to_search_engines(made: Path) -> None:
    pages = list((made / "data").glob("*.html"))
    assert len(pages) == 6
    for path in pages:
        told = page(path).described
        assert (told["@context"], told["@type"]) == ("https://schema.org/", "Dataset")
        assert 50 <= len(told["description"]) <= 5100
        assert told["license"] and told["creator"][0]["name"] and told["isPartOf"]["url"].startswith(URL)
        for file in told["distribution"]:
            body = (made / unquote(file["contentUrl"].removeprefix(f"{URL}/"))).read_bytes()
            assert file["sha256"] == hashlib.sha256(body).hexdigest()
    columns = {name: [one["name"] for one in page(path).described["variableMeasured"]] for path in pages for name in [path.name]}
    assert ["item", "price"] in columns.values()


def test_the_feeds_tell_of_the_packages(made: Path) -> None:
    atom = ET.parse(made / "feed.atom").getroot()
    entries = atom.findall(f"{ATOM}entry")
    assert len(entries) == 2
    assert all(entry.findtext(f"{ATOM}id", "").startswith("urn:pellucid:") for entry in entries)
    assert all(one.text is not None and one.text.endswith("T00:00:00Z") for one in atom.iter(f"{ATOM}updated"))
    rss = ET.parse(made / "feed.rss").getroot()
    assert [item.findtext("link", "").startswith(f"{URL}/package/") for item in rss.iter("item")] == [True, True]


def test_what_strangers_wrote_stays_text(made: Path, hostile: Path) -> None:
    (title,) = {json.loads((hostile / "datacite.json").read_text())["titles"][0]["title"]}
    assert "<script>hit=1</script>" in title
    pages = list(made.rglob("*.html"))
    assert len(pages) == 9
    for path in pages:
        found = page(path)
        assert not [known for tag, known in found.elements if tag == "img" or any(name.startswith("on") for name in known)]
        kinds = [known.get("type") for known, _ in found.scripts]
        assert kinds == (["application/json", None] if path.name == "index.html" else ["application/ld+json"])
        (policy,) = [known["content"] for tag, known in found.elements if tag == "meta" and "http-equiv" in known]
        assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy
        assert "\x1b" not in path.read_text() and "\u202e" not in path.read_text()
    shown = [path for path in (made / "package").glob("*.html") if "<script>hit=1</script>" in page(path).text]
    assert len(shown) == 1
    assert "</script><script>hit=1</script>" in page(shown[0]).described["name"]
    assert [text for text in ET.parse(made / "feed.atom").getroot().itertext() if "<script>hit=1</script>" in text]
    assert {path.suffix for path in (made / "files").rglob("*") if path.is_file()} <= {".zip", ".parquet", ".npz", ".npy"}


def test_no_json_inside_of_a_page_can_end_its_element() -> None:
    told = {"a": "</script><!--<script>&\u2028\ud800", "</": [1, None]}
    text = embedded(told)
    assert not set(text) & set("<>&")
    assert text.isascii()
    assert json.loads(text) == told


def test_receipts_are_shown_kept_and_can_be_checked_again(made: Path, published: Path) -> None:
    kept = sorted((made / "receipts").rglob("*.json"))
    assert len(kept) == 3
    again = tally(published, kept)
    assert (again.confirmed, again.within, again.refused) == (1, 1, ())
    found = next(page(path) for path in (made / "package").glob("*.html") if "bit-identical" in page(path).text)
    assert "re-run by 1 other with the same result; 1 within a tolerance of it; 1 came to another" in " ".join(found.text.split())
    assert "(trusted by this catalogue)" in found.text
    assert "not signed" in found.text


def test_a_package_that_is_not_whole_leaves_the_old_site_as_it_was(published: Path, package: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    build([published], site)
    before = bytes_of(site)
    with (package / "artifacts" / "counts.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(PackageError, match="the file was changed") as caught:
        build([published, package], site)
    assert str(package) in str(caught.value)
    assert bytes_of(site) == before
    done = build([package, published], site, keep_going=True)
    assert [(one.path, one.name) for one in done.refused] == [(package, "artifacts/counts.parquet: the file was changed")]
    assert bytes_of(site) == before
    with pytest.raises(PackageError, match=r"no package is left to list: artifacts/counts\.parquet: the file was changed"):
        build([package], tmp_path / "other", keep_going=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package", "site"]


@pytest.mark.slow
def test_any_one_bad_package_is_left_out_and_named_in_one_line(
    published: Path, hostile: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that no check foresaw: a description that is read wrong, and one that cannot be shown."""
    from pellucid.packages.catalogue import pages

    told = json.loads((package / "croissant.json").read_text())
    told["recordSet"][0]["field"] = None
    (package / "croissant.json").write_text(json.dumps(told))
    fixity.write(package)
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    bad = [package, tmp_path / "text.zip", tmp_path / "empty", tmp_path / "missing", tmp_path / "x\n\x1b[2J"]
    done = build([*bad[:2], published, *bad[2:]], tmp_path / "site", keep_going=True)
    assert (done.packages, [one.path for one in done.refused]) == (1, bad)
    assert all(one.name.isprintable() and one.why.isprintable() for one in done.refused)
    build([published], tmp_path / "same")
    assert bytes_of(tmp_path / "site") == bytes_of(tmp_path / "same")
    with pytest.raises(PackageError) as caught:
        build([published, package], tmp_path / "site")
    assert str(package) in str(caught.value)

    shown = pages.record

    def fails(site: Any, shelf: Any, one: Any) -> bytes:
        if shelf.package.digest == fixity.sha256_of(hostile / fixity.FILE):
            raise KeyError("step\n")
        return shown(site, shelf, one)

    monkeypatch.setattr(pages, "record", fails)
    done = build([hostile, published], tmp_path / "third", keep_going=True)
    assert [(one.path, one.name, one.why) for one in done.refused] == [
        (hostile, "it cannot be read or shown", "KeyError: 'step\\n'")
    ]
    assert bytes_of(tmp_path / "third") == bytes_of(tmp_path / "same")


BROKEN: dict[str, Any] = {
    "a title that is a list": lambda told: told["about"].update(title=["x"]),
    "no title": lambda told: told["about"].update(title="  "),
    "creators that are text": lambda told: told["about"].update(creators="Doe"),
    "no creators": lambda told: told["about"].update(creators=[]),
    "a nameless creator": lambda told: told["about"].update(creators=["<https://x.example>"]),
    "an unknown licence": lambda told: told["about"].update(data_licence="Mine-1.0"),
    "a date that is none": lambda told: told.update(date="2026-02-30"),
    "an open source without licence": lambda told: told["licences"]["goods"].update(licence=""),
    "no licences": lambda told: told.update(licences={}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_manifest_of_another_shape_is_refused_in_one_line(
    name: str, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its descriptions agree with it, which is what the first checks look for."""
    path = package / "manifest.json"
    told = json.loads(path.read_text())
    BROKEN[name](told)
    path.write_text(json.dumps(told))
    fixity.write(package)
    for _ in range(2):
        with pytest.raises(PackageError) as caught:
            build([package], tmp_path / "site")
        assert "\n" not in str(caught.value)
        monkeypatch.setattr("pellucid.packages.checking.package_check.look_inside", lambda *_: [])
    assert not (tmp_path / "site").exists()


def test_nothing_but_a_catalogue_is_written_over(published: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is no catalogue"):
        build([published], mine)
    assert (mine / "thesis.txt").read_text() == "years of work"
    for words, said in (
        ({"url": "javascript:alert(1)"}, "no address"),
        ({"url": "http://[::1"}, "no address"),
        ({"url": "https://x.example:99999/"}, "no address"),
        ({"url": "https://me:word@x.example/"}, "must not hold a name or password: what is shown of it: 'https://x.example/'"),
        ({"day": "yesterday"}, "no date"),
        ({"receipts": tmp_path / "none"}, "no such folder"),
    ):
        with pytest.raises(UsageError, match=said):
            build([published], tmp_path / "site", **words)
    with pytest.raises(UsageError, match="no such folder"):
        build([published], tmp_path / "no" / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_new_gets_the_date_of_the_build_and_the_rest_keeps_its_own(
    published: Path, hostile: Path, tmp_path: Path
) -> None:
    def stamps() -> dict[str, str]:
        records = json.loads((tmp_path / "site" / "harvest.json").read_text())["records"]
        return {one["id"]: one["datestamp"] for one in records}

    build([published], tmp_path / "site", day="2030-01-01")
    before = stamps()
    assert set(before.values()) == {"2030-01-01"}
    build([published, hostile], tmp_path / "site", day="2030-02-02")
    after = stamps()
    assert {after[name] for name in before} == {"2030-01-01"}
    assert {after[name] for name in after.keys() - before.keys()} == {"2030-02-02"}


def test_an_imported_source_names_the_package_it_is_of(published: Path, tmp_path: Path) -> None:
    from pellucid.packages.catalogue.package_reading import _lineage
    from pellucid.packages.format import manifest as manifests
    from pellucid.packages.format.origin_chain import origin_of

    told = json.loads((published / "manifest.json").read_text())
    origin = origin_of(manifests.read(published), "goods", "0" * 64, None)
    told["licences"]["goods"]["origin"] = origin
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    read = manifests.read(tmp_path)
    (said,) = _lineage(read, ["goods"], {"goods": "CC0-1.0"})
    assert said.endswith(f"It is goods of the package What a shop sells, sha256:{'0' * 64}.")


# in a browser ------------------------------------------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(params=["a file server", "a folder"])
def address(request: pytest.FixtureRequest, made: Path) -> Iterator[str]:
    """The site from a plain file server, and from the folder itself."""
    if request.param == "a folder":
        yield made.as_uri()
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Quiet(*given, directory=str(made)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def seen(driver: Any) -> list[str]:
    script = "return [...document.querySelectorAll('#list > li')].filter((one) => one.offsetParent).map((one) => one.innerText)"
    return list(driver.execute_script(script))


@pytest.mark.quick(1)
def test_the_search_finds_and_no_page_runs_what_strangers_wrote(chromium: Any, address: str, made: Path) -> None:
    chromium.get(f"{address}/index.html")
    assert len(seen(chromium)) == 8
    box = chromium.find_element("id", "q")
    box.send_keys("PRÎCE cc0")  # a column and a licence; accents and case do not matter
    assert len(seen(chromium)) == 2
    assert "2 of 8 entries" in chromium.find_element("id", "count").text
    chromium.find_element("css selector", "#kind option[value=package]").click()
    assert seen(chromium) == []
    box.clear()
    box.send_keys("what a shop sells")
    (found,) = seen(chromium)
    assert found.startswith("What a shop sells")
    box.send_keys("\n")
    assert seen(chromium) == [found]
    chromium.find_element("link text", "What a shop sells").click()
    assert "/package/" in chromium.current_url
    chromium.get(f"{address}/index.html?q=nothing+of+the+kind")
    assert seen(chromium) == []
    for path in sorted(made.rglob("*.html")):
        chromium.get(f"{address}/{path.relative_to(made).as_posix()}")
        assert chromium.execute_script("return typeof hit") == "undefined"
    assert [line for line in chromium.get_log("browser") if line["level"] != "INFO"] == []


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> tuple[Path, Path]:
    """A package whose publisher uses no spaces, and a catalogue of it."""
    folder = tmp_path_factory.mktemp("endless") / "work"
    file = write_shop(folder)
    text = SHOP.replace('f"top_{at}"', f'f"{"m" * 300}_{{at}}"').replace('credit="the shop"', f'credit="{"c" * 300}"')
    text = text.replace('title="What a shop sells"', f'title="{"T" * 250}", version="{"0" * 100}"')
    text = text.replace('description="Shares', f'description="{"D" * 900}').replace(
        'creators=("Doe, ', f'creators=("{"N" * 150}, '
    )
    text = text.replace('keywords=("shop"', f'keywords=("{"k" * 90}"')
    assert [text.count(letter * 90) > 0 for letter in "mcTDNk"] == [True] * 6
    file.write_text(text)
    publish(folder / ".pellucid", run_file(file, keys=keys), folder / "package")
    build([folder / "package"], folder / "site", title="S" * 180)
    return folder / "package", folder / "site"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_words_without_an_end_do_not_make_a_page_wider_than_a_phone(chromium: Any, endless: tuple[Path, Path]) -> None:
    package, site = endless
    phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    for path in [package / "ro-crate-preview.html", *sorted(site.rglob("*.html"))]:
        chromium.get(path.as_uri())
        wide = chromium.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 390, (path.name, wide)
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_is_wider_than_the_window(chromium: Any, made: Path, width: int) -> None:
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    shots = os.environ.get("PELLUCID_SHOTS")
    for path in sorted(made.rglob("*.html")):
        chromium.get(path.as_uri())
        assert chromium.execute_script("return window.innerWidth") == width
        wide = chromium.execute_script("return document.documentElement.scrollWidth")
        if shots:
            chromium.save_screenshot(f"{shots}/{width}-{path.stem}.png")
        assert wide <= width, (path.name, wide)
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_with_scripts_off_every_entry_is_on_the_page(made: Path) -> None:
    found = page(made / "index.html")
    assert [known for tag, known in found.elements if tag == "form"] == [{"id": "search", "role": "search", "hidden": None}]
    assert len([link for link in found.links if link.startswith(("package/", "data/", "model/"))]) == 8
