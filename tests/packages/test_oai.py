"""OAI-PMH 2.0 from a server that was really started: every verb, every error of the specification, lists in portions."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.packages.catalogue import build, oai_pmh
from pellucid.packages.catalogue.server import address_of, bound
from pellucid.packages.catalogue.site_folder import state_of

pytestmark = pytest.mark.timeout(120)
OAI = "{http://www.openarchives.org/OAI/2.0/}"
DC = "{http://purl.org/dc/elements/1.1/}"
DATACITE = "{http://datacite.org/schema/kernel-4}"
Ask = Callable[..., ET.Element]


@pytest.fixture(scope="module")
def site(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("oai") / "site"
    build([published], place, day="2026-12-01")
    return place


@pytest.fixture(scope="module")
def base(site: Path) -> Iterator[str]:
    """A server that gives lists in portions of two."""
    with bound(site, host="127.0.0.1", port=0, email="data@example.org", page=2) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"{address_of(server)}oai"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def ask(base: str) -> Ask:
    def by(verb: str = "", post: bool = False, **arguments: str) -> ET.Element:
        named = {"from_": "from"}
        words = urllib.parse.urlencode({"verb": verb, **{named.get(name, name): text for name, text in arguments.items()}})
        request = urllib.request.Request(base, words.encode()) if post else f"{base}?{words}"
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
            return valid(answer.read())

    return by


ERRORS = {
    "badArgument", "badResumptionToken", "badVerb", "cannotDisseminateFormat", "idDoesNotExist", "noRecordsMatch",
    "noMetadataFormats", "noSetHierarchy",
}  # fmt: skip
# What the schema asks of each element's children, in order; "?" may be missing, "+" is there once or more.
CHILDREN = {
    "Identify": [
        "repositoryName",
        "baseURL",
        "protocolVersion",
        "adminEmail",
        "earliestDatestamp",
        "deletedRecord",
        "granularity",
    ],
    "ListMetadataFormats": ["metadataFormat+"],
    "metadataFormat": ["metadataPrefix", "schema", "metadataNamespace"],
    "ListSets": ["set+", "resumptionToken?"],
    "set": ["setSpec", "setName"],
    "ListIdentifiers": ["header+", "resumptionToken?"],
    "ListRecords": ["record+", "resumptionToken?"],
    "GetRecord": ["record"],
    "record": ["header", "metadata"],
    "header": ["identifier", "datestamp", "setSpec"],
}


def valid(body: bytes) -> ET.Element:
    """The answer, once its structure is that of the protocol's schema."""
    root = ET.fromstring(body)
    assert root.tag == f"{OAI}OAI-PMH"
    names = [child.tag.removeprefix(OAI) for child in root]
    assert names[:2] == ["responseDate", "request"] and len(names) == 3
    assert names[2] in CHILDREN or root[2].get("code") in ERRORS
    if root[2].get("code") in ("badVerb", "badArgument"):
        assert root[1].attrib == {}
    _follow(root[2])
    return root


def _follow(element: ET.Element) -> None:
    name = element.tag.removeprefix(OAI)
    if name not in CHILDREN:
        return
    left = [child.tag.removeprefix(OAI) for child in element]
    for wanted in CHILDREN[name]:
        plain = wanted.rstrip("?+")
        count = 0
        while left and left[0] == plain:
            left.pop(0)
            count += 1
        assert count == 1 or (count == 0 and wanted.endswith("?")) or (count > 1 and wanted.endswith("+")), (name, wanted)
    assert left == [], (name, left)
    for child in element:
        _follow(child)


def code(root: ET.Element) -> str | None:
    return root[2].get("code")


def every(ask: Ask, verb: str, **arguments: str) -> tuple[list[ET.Element], list[ET.Element]]:
    """All portions of a list: its elements and its tokens."""
    found, tokens = [], []
    root = ask(verb, **arguments)
    while True:
        (told,) = root.findall(f"{OAI}{verb}")
        found += [child for child in told if child.tag != f"{OAI}resumptionToken"]
        token = told.find(f"{OAI}resumptionToken")
        if token is None:
            return found, tokens
        tokens.append(token)
        if not token.text:
            return found, tokens
        root = ask(verb, resumptionToken=token.text)


def test_identify(ask: Ask, base: str) -> None:
    told = ask("Identify")[2]
    assert {child.tag.removeprefix(OAI): child.text for child in told} == {
        "repositoryName": "Open packages",
        "baseURL": base,
        "protocolVersion": "2.0",
        "adminEmail": "data@example.org",
        "earliestDatestamp": "2026-12-01",
        "deletedRecord": "no",
        "granularity": "YYYY-MM-DD",
    }


def test_formats_and_sets(ask: Ask, site: Path) -> None:
    formats = [one.findtext(f"{OAI}metadataPrefix") for one in ask("ListMetadataFormats")[2]]
    assert formats == ["oai_dc", "datacite"]
    name = state_of(site)["records"][0]["identifier"]
    assert len(ask("ListMetadataFormats", identifier=name)[2]) == 2
    assert [one.findtext(f"{OAI}setSpec") for one in ask("ListSets")[2]] == ["package", "dataset", "model"]


def test_a_list_in_portions_is_the_whole_list_once(ask: Ask, site: Path) -> None:
    wanted = [one["identifier"] for one in state_of(site)["records"]]
    assert len(wanted) == 4
    headers, tokens = every(ask, "ListIdentifiers", metadataPrefix="oai_dc")
    assert [one.findtext(f"{OAI}identifier") for one in headers] == wanted
    assert [(one.get("cursor"), one.get("completeListSize"), bool(one.text)) for one in tokens] == [
        ("0", "4", True),
        ("2", "4", False),
    ]
    records, _ = every(ask, "ListRecords", metadataPrefix="datacite", set="dataset")
    assert [one.findtext(f"{OAI}header/{OAI}setSpec") for one in records] == ["dataset"] * 3
    assert len(every(ask, "ListRecords", metadataPrefix="oai_dc", from_="2026-12-01", until="2026-12-01")[0]) == 4


def test_a_record_in_dublin_core_and_datacite(ask: Ask, site: Path) -> None:
    (one,) = [one for one in state_of(site)["records"] if one["title"].startswith("goods")]
    record = ask("GetRecord", identifier=one["identifier"], metadataPrefix="oai_dc")[2][0]
    told = record.find(f"{OAI}metadata")
    assert told is not None
    (dc,) = told
    assert dc.tag == "{http://www.openarchives.org/OAI/2.0/oai_dc/}dc"
    values = {child.tag.removeprefix(DC): child.text for child in dc}
    assert values["title"] == "goods: What a shop sells"
    assert values["rights"] == "https://spdx.org/licenses/CC0-1.0"
    assert values["identifier"] == one["urn"]
    assert [child.text for child in dc.iter(f"{DC}creator")] == ["Doe, Jane", "The Shop"]
    (resource,) = ask("GetRecord", identifier=one["identifier"], metadataPrefix="datacite")[2][0][1]
    assert resource.tag == f"{DATACITE}resource"
    assert resource.findtext(f"{DATACITE}creators/{DATACITE}creator/{DATACITE}nameIdentifier") == "0000-0002-1825-0097"
    assert resource.findtext(f"{DATACITE}publicationYear", "").startswith("20")
    kinds = [child.get("resourceTypeGeneral") for child in resource.iter(f"{DATACITE}resourceType")]
    assert kinds == ["Dataset"]
    for name in ("identifier", "titles", "publisher", "rightsList", "descriptions"):
        assert resource.find(f"{DATACITE}{name}") is not None


def test_each_error_has_the_code_of_the_specification(ask: Ask, base: str, site: Path) -> None:
    name = state_of(site)["records"][0]["identifier"]
    assert code(ask("")) == code(ask("Steal")) == "badVerb"
    with urllib.request.urlopen(f"{base}?verb=Identify&verb=Identify") as answer:
        assert code(valid(answer.read())) == "badVerb"
    with urllib.request.urlopen(base) as answer:
        assert code(valid(answer.read())) == "badVerb"
    assert code(ask("Identify", more="x")) == "badArgument"
    assert code(ask("ListRecords")) == "badArgument"
    assert code(ask("GetRecord", identifier=name)) == "badArgument"
    assert code(ask("ListRecords", metadataPrefix="oai_dc", from_="2026-12-01T00:00:00Z")) == "badArgument"
    assert code(ask("ListRecords", metadataPrefix="oai_dc", from_="2026-02-30")) == "badArgument"
    assert code(ask("ListRecords", metadataPrefix="oai_dc", from_="2026-12-02", until="2026-12-01")) == "badArgument"
    assert code(ask("ListRecords", metadataPrefix="oai_dc", resumptionToken="x")) == "badArgument"
    assert code(ask("GetRecord", identifier=name, metadataPrefix="marc")) == "cannotDisseminateFormat"
    assert code(ask("ListRecords", metadataPrefix="marc")) == "cannotDisseminateFormat"
    assert code(ask("GetRecord", identifier="oai:x:y", metadataPrefix="oai_dc")) == "idDoesNotExist"
    assert code(ask("ListMetadataFormats", identifier="oai:x:y")) == "idDoesNotExist"
    assert code(ask("ListRecords", metadataPrefix="oai_dc", until="1999-01-01")) == "noRecordsMatch"
    assert code(ask("ListRecords", metadataPrefix="oai_dc", set="nothing")) == "noRecordsMatch"
    assert code(ask("ListSets", resumptionToken="x")) == "badResumptionToken"
    repeated = ask("GetRecord", identifier="oai:x:y", metadataPrefix="oai_dc")[1]
    assert repeated.attrib == {"verb": "GetRecord", "identifier": "oai:x:y", "metadataPrefix": "oai_dc"}


def test_tokens_that_were_not_given_out_are_refused(ask: Ask, site: Path) -> None:
    good = ask("ListRecords", metadataPrefix="oai_dc")[2][-1].text or ""
    begin, asked, verb, version = json.loads(base64.urlsafe_b64decode(good))
    assert code(ask("ListIdentifiers", resumptionToken=good)) == "badResumptionToken"
    for token in (
        [10**9, asked, verb, version],
        [-1, asked, verb, version],
        [True, asked, verb, version],
        [begin, [], verb, version],
        [begin, {"metadataPrefix": 1}, verb, version],
        [begin, {}, verb, version],
        [begin, asked, verb, "0" * 16],
        {"a": 1},
        1,
    ):
        text = base64.urlsafe_b64encode(json.dumps(token).encode()).decode()
        assert code(ask("ListRecords", resumptionToken=text)) == "badResumptionToken", token
    for text in ("", "x", "é", "A" * 5000, base64.urlsafe_b64encode(b"[" * 700).decode()):
        assert code(ask("ListRecords", resumptionToken=text)) == "badResumptionToken", text


def test_a_token_ends_with_the_catalogue_it_was_given_out_for(site: Path) -> None:
    state = state_of(site)
    first = oai_pmh.answer(
        state, [("verb", "ListRecords"), ("metadataPrefix", "oai_dc")], base="http://x/oai", email="a@b.c", page=2
    )
    token = valid(first)[2][-1].text or ""
    changed = {**state, "records": [{**one, "datestamp": "2027-01-01"} for one in state["records"]]}
    later = oai_pmh.answer(
        changed, [("verb", "ListRecords"), ("resumptionToken", token)], base="http://x/oai", email="a@b.c", page=2
    )
    assert code(valid(later)) == "badResumptionToken"


WORDS = ["verb", "identifier", "metadataPrefix", "from", "until", "set", "resumptionToken", "x"]
VALUES = [*oai_pmh.VERBS, "oai_dc", "datacite", "2026-12-01", "dataset", "", "<&>\"'", "\x00\x1b", "\ud800"]


@settings(max_examples=200, deadline=None)
@given(asked=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(VALUES) | st.text(max_size=20)), max_size=5))
def test_whatever_is_asked_the_answer_is_of_the_protocol(site: Path, asked: list[tuple[str, str]]) -> None:
    valid(oai_pmh.answer(state_of(site), asked, base="http://127.0.0.1/oai", email="a@b.c"))


def test_post_and_head_and_what_is_not_asked_rightly(ask: Ask, base: str) -> None:
    assert len(ask("ListRecords", post=True, metadataPrefix="oai_dc")[2]) == 3
    with urllib.request.urlopen(urllib.request.Request(f"{base}?verb=Identify", method="HEAD")) as answer:
        assert (answer.status, answer.read()) == (200, b"")

    def status(path: str, body: bytes | None = None, **headers: str) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(base.replace("/oai", path), body, headers)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    form = "application/x-www-form-urlencoded"
    assert status("/oai", b"{}", **{"Content-Type": "application/json"}) == 415
    assert status("/oai", b"a=" + b"x" * 100_000, **{"Content-Type": form}) == 413
    assert status("/index.html", b"x", **{"Content-Type": form}) == 405
    assert status("/index.html") == 200
    assert status("/") == 200
    assert status("/files/") == 404
    assert status("/../../../../etc/passwd") == status("/%2e%2e/%2e%2e/etc/passwd") == 404
    with urllib.request.urlopen(base.replace("/oai", "/catalog.jsonld")) as answer:
        assert answer.headers["Content-Type"] == "application/ld+json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Python" not in answer.headers["Server"]
    with urllib.request.urlopen(f"{base}?verb=%FF%FE") as answer:
        assert code(valid(answer.read())) == "badVerb"
    with urllib.request.urlopen(f"{base}?verb=Identify" + "&x=1" * 50) as answer:
        assert code(valid(answer.read())) == "badVerb"


def test_the_command_serves_on_this_machine_until_interrupted(site: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pellucid", "catalogue", "serve", str(site), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stdout is not None and process.stderr is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("http://127.0.0.1:")
        address = said.split()[2].rstrip(");")
        with urllib.request.urlopen(f"{address}?verb=Identify") as answer:
            assert valid(answer.read())[2].findtext(f"{OAI}baseURL") == address
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("path", ["/index.html%00.x", "/%00", "/%ED%A0%80", "http://[", "http://[/oai", "/" + "x" * 5000])
@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_a_name_no_file_can_have_is_not_found(base: str, verb: str, path: str) -> None:
    known = urllib.parse.urlsplit(base)
    with socket.create_connection((known.hostname, known.port), timeout=10) as connection:
        connection.sendall(f"{verb} {path} HTTP/1.0\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            assert answer.readline().split()[1] == b"404"


def test_what_cannot_be_served_is_said_in_one_line(site: Path, tmp_path: Path) -> None:
    known: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "email": "a@b.example"}
    with pytest.raises(UsageError, match="is no catalogue"):
        bound(tmp_path, **known)
    with pytest.raises(UsageError, match="is no address"):
        bound(site, **{**known, "email": "me"})
    with bound(site, **known) as server, pytest.raises(UsageError, match="cannot be served there"):
        bound(site, **{**known, "port": server.server_port})
    with pytest.raises(UsageError, match="cannot be served there"):
        bound(site, **{**known, "port": 70_000})
