"""OAI-PMH 2.0 (http://www.openarchives.org/OAI/2.0/openarchivesprotocol.htm): a question's arguments in, the answer's XML out.

A resumption token says all that is needed to go on, so the server remembers nothing: where to begin, what was asked, and the state of
the catalogue it was given out for; of another state it is refused, as the specification asks.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from pellucid.packages.catalogue.harvest import FORMATS, SETS

PAGE = 100
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# verb -> (arguments it must have, arguments it may have)
VERBS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Identify": ((), ()),
    "ListMetadataFormats": ((), ("identifier",)),
    "ListSets": ((), ("resumptionToken",)),
    "ListIdentifiers": (("metadataPrefix",), ("from", "until", "set", "resumptionToken")),
    "ListRecords": (("metadataPrefix",), ("from", "until", "set", "resumptionToken")),
    "GetRecord": (("identifier", "metadataPrefix"), ()),
}
_PROBLEMS = {"badVerb", "badArgument"}  # after these the request is not repeated in the answer


class OaiError(Exception):
    """An error of the protocol: its code, and a sentence."""

    def __init__(self, code: str, said: str) -> None:
        self.code = code
        super().__init__(said)


def answer(
    state: Mapping[str, Any],
    asked: Sequence[tuple[str, str]],
    *,
    base: str,
    email: str,
    now: datetime | None = None,
    page: int = PAGE,
) -> bytes:
    """The answer to the arguments of a request. `state` is what the site tells harvesters, `base` the address it was asked at."""
    root = ET.Element(
        "OAI-PMH",
        {
            "xmlns": "http://www.openarchives.org/OAI/2.0/",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": "http://www.openarchives.org/OAI/2.0/ http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd",
        },
    )
    _put(root, "responseDate", (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    request = _put(root, "request", base)
    try:
        verb, arguments = _arguments(asked)
        told = ET.Element(verb)
        _VERBS[verb](told, state, arguments, base, email, page)
        root.append(told)
        request.attrib.update({"verb": verb, **arguments})
    except OaiError as error:
        _put(root, "error", str(error)).set("code", error.code)
        if error.code not in _PROBLEMS:
            request.attrib.update(dict(asked))
    ET.indent(root, " ")
    text: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text + b"\n"


def _arguments(asked: Sequence[tuple[str, str]]) -> tuple[str, dict[str, str]]:
    verbs = [value for name, value in asked if name == "verb"]
    if len(verbs) != 1 or verbs[0] not in VERBS:
        raise OaiError("badVerb", "one verb, of " + ", ".join(VERBS))
    verb = verbs[0]
    required, optional = VERBS[verb]
    found: dict[str, str] = {}
    for name, value in asked:
        if name == "verb":
            continue
        if name not in (*required, *optional):
            raise OaiError("badArgument", f"{verb} has no such argument; it has {', '.join((*required, *optional)) or 'none'}")
        if name in found:
            raise OaiError("badArgument", f"{name} is there twice")
        if not value.isprintable():
            raise OaiError("badArgument", f"{name} cannot be read")
        found[name] = value
    if "resumptionToken" in found:
        if len(found) > 1:
            raise OaiError("badArgument", "resumptionToken goes alone")
    elif missing := [name for name in required if name not in found]:
        raise OaiError("badArgument", f"{verb} needs {missing[0]}")
    return verb, found


def _identify(told: ET.Element, state: Mapping[str, Any], arguments: dict[str, str], base: str, email: str, page: int) -> None:
    _put(told, "repositoryName", state["title"])
    _put(told, "baseURL", base)
    _put(told, "protocolVersion", "2.0")
    _put(told, "adminEmail", email)
    _put(told, "earliestDatestamp", min(one["datestamp"] for one in state["records"]))
    _put(told, "deletedRecord", "no")
    _put(told, "granularity", "YYYY-MM-DD")


def _formats(told: ET.Element, state: Mapping[str, Any], arguments: dict[str, str], base: str, email: str, page: int) -> None:
    if "identifier" in arguments:
        _record(state, arguments["identifier"])
    for one in FORMATS.values():
        kind = ET.SubElement(told, "metadataFormat")
        _put(kind, "metadataPrefix", one.prefix)
        _put(kind, "schema", one.schema)
        _put(kind, "metadataNamespace", one.namespace)


def _sets(told: ET.Element, state: Mapping[str, Any], arguments: dict[str, str], base: str, email: str, page: int) -> None:
    if "resumptionToken" in arguments:
        raise OaiError("badResumptionToken", "the list of sets is complete")
    for name, said in SETS.items():
        one = ET.SubElement(told, "set")
        _put(one, "setSpec", name)
        _put(one, "setName", said)


def _get(told: ET.Element, state: Mapping[str, Any], arguments: dict[str, str], base: str, email: str, page: int) -> None:
    record = _record(state, arguments["identifier"])
    _write(told, record, _format(arguments["metadataPrefix"]))


def _list(told: ET.Element, state: Mapping[str, Any], arguments: dict[str, str], base: str, email: str, page: int) -> None:
    version = _version(state)
    begin, asked = 0, arguments
    if "resumptionToken" in arguments:
        begin, asked = _resumed(arguments["resumptionToken"], told.tag, version)
    form = _format(asked["metadataPrefix"])
    first, last = (_day(asked[name], name) if name in asked else None for name in ("from", "until"))
    if first and last and first > last:
        raise OaiError("badArgument", "from is later than until")
    found = [
        one
        for one in state["records"]
        if (not first or one["datestamp"] >= first)
        and (not last or one["datestamp"] <= last)
        and asked.get("set", one["set"]) == one["set"]
    ]
    if not found or begin >= len(found):
        code = "badResumptionToken" if "resumptionToken" in arguments else "noRecordsMatch"
        raise OaiError(code, "there is no such record")
    for record in found[begin : begin + page]:
        _write(told, record, form, header_only=told.tag == "ListIdentifiers")
    end = begin + page
    if end < len(found) or begin:
        token = _put(told, "resumptionToken", _token(end, asked, told.tag, version) if end < len(found) else "")
        token.attrib.update({"completeListSize": str(len(found)), "cursor": str(begin)})


_VERBS = {
    "Identify": _identify,
    "ListMetadataFormats": _formats,
    "ListSets": _sets,
    "ListIdentifiers": _list,
    "ListRecords": _list,
    "GetRecord": _get,
}


def _write(told: ET.Element, record: Mapping[str, Any], form: Any, *, header_only: bool = False) -> None:
    parent = told if header_only else ET.SubElement(told, "record")
    header = ET.SubElement(parent, "header")
    _put(header, "identifier", record["identifier"])
    _put(header, "datestamp", record["datestamp"])
    _put(header, "setSpec", record["set"])
    if not header_only:
        ET.SubElement(parent, "metadata").append(form.write(record))


def _record(state: Mapping[str, Any], identifier: str) -> Mapping[str, Any]:
    for one in state["records"]:
        if one["identifier"] == identifier:
            return one  # type: ignore[no-any-return]
    raise OaiError("idDoesNotExist", "there is no such record")


def _format(prefix: str) -> Any:
    if prefix not in FORMATS:
        raise OaiError("cannotDisseminateFormat", "there are " + ", ".join(FORMATS))
    return FORMATS[prefix]


def _day(text: str, name: str) -> str:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise OaiError("badArgument", f"{name} is not a day: YYYY-MM-DD")


def _version(state: Mapping[str, Any]) -> str:
    told = [[one["identifier"], one["datestamp"], one["state"]] for one in state["records"]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _token(begin: int, asked: Mapping[str, str], verb: str, version: str) -> str:
    known = {name: asked[name] for name in ("metadataPrefix", "from", "until", "set") if name in asked}
    return base64.urlsafe_b64encode(json.dumps([begin, known, verb, version], separators=(",", ":")).encode()).decode()


def _resumed(token: str, verb: str, version: str) -> tuple[int, dict[str, str]]:
    """Where to go on, and what was asked. Every part is looked at: a token comes from whoever asks."""
    bad = OaiError("badResumptionToken", "it is none of this list, or the catalogue has changed since: begin again")
    if len(token) > 1000:
        raise bad
    try:
        begin, asked, for_verb, of = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError):
        raise bad from None
    texts = isinstance(asked, dict) and all(isinstance(value, str) for value in asked.values())
    if not texts or type(begin) is not int or begin < 1 or (for_verb, of) != (verb, version) or "metadataPrefix" not in asked:
        raise bad
    return begin, asked


def _put(parent: ET.Element, name: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, name)
    child.text = text
    return child
