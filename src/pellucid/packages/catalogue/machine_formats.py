"""The catalogue for machines: DCAT-AP as JSON-LD, schema.org for search engines, Atom, RSS and a sitemap.

DCAT-AP 3.0.1 (https://semiceu.github.io/DCAT-AP/releases/3.0.1/), schema.org Dataset, Atom (RFC 4287), RSS 2.0, sitemaps.org 0.9. The
context of the JSON-LD is inside: nothing is fetched to read it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from pellucid.packages.catalogue.entries import MODEL, PACKAGE, Record, Shelf, Site
from pellucid.packages.standards import spdx
from pellucid.pipeline.declaration import Creator

CONTEXT = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_PUBLIC = "http://publications.europa.eu/resource/authority/access-right/PUBLIC"
_ENGLISH = "http://publications.europa.eu/resource/authority/language/ENG"
_IANA = "https://www.iana.org/assignments/media-types/"


def dcat(site: Site, shelves: Sequence[Shelf], updated: str) -> dict[str, Any]:
    """The whole catalogue as a dcat:Catalog."""
    return {
        "@context": CONTEXT,
        "@id": site.url or "./",
        "@type": "dcat:Catalog",
        "dct:title": _english(site.title),
        "dct:description": _english("Packages that anyone can re-run, with their open data sets and models."),
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": site.publisher},
        "dct:language": {"@id": _ENGLISH},
        "dct:modified": _day(updated),
        "foaf:homepage": {"@id": site.address("index.html"), "@type": "foaf:Document"},
        "dcat:dataset": [_dataset(site, shelf, record) for shelf in shelves for record in shelf.records],
    }


def _dataset(site: Site, shelf: Shelf, record: Record) -> dict[str, Any]:
    page = site.address(record.path)
    known: dict[str, Any] = {
        "@id": f"{page}#it",
        "@type": "dcat:Dataset",
        "dct:title": _english(record.title),
        "dct:description": _english(record.description),
        "dct:identifier": record.urn,
        "dct:issued": _day(record.date),
        "dct:creator": [_agent(person) for person in record.creators],
        "dct:publisher": _agent(record.creators[0]),
        "dct:accessRights": {"@id": _PUBLIC, "@type": "dct:RightsStatement"},
        "dct:language": {"@id": _ENGLISH},
        "dcat:version": record.version,
        "dcat:landingPage": {"@id": page, "@type": "foaf:Document"},
        "dct:provenance": [{"@type": "dct:ProvenanceStatement", "rdfs:label": _english(said)} for said in record.lineage],
        "dcat:distribution": [_distribution(site, record, file) for file in record.files],
    }
    if record.keywords:
        known["dcat:keyword"] = [_english(word) for word in record.keywords]
    if record.kind == PACKAGE:
        known["dct:hasPart"] = [{"@id": f"{site.address(part.path)}#it"} for part in shelf.parts]
        known["dct:relation"] = [{"@id": site.address(place)} for place, _ in shelf.receipts]
    else:
        known["dct:isPartOf"] = {"@id": f"{site.address(record.package_path)}#it"}
    return {name: value for name, value in known.items() if value != []}


def _distribution(site: Site, record: Record, file: Any) -> dict[str, Any]:
    where = {"@id": site.address(file.path)}
    return {
        "@type": "dcat:Distribution",
        "dct:title": _english(file.name),
        "dcat:accessURL": {"@id": site.address(record.path)},
        "dcat:downloadURL": where,
        "dcat:mediaType": {"@id": _IANA + file.media, "@type": "dct:MediaType"},
        "dcat:byteSize": {"@value": str(file.size), "@type": "xsd:nonNegativeInteger"},
        "dct:license": [{"@id": address, "@type": "dct:LicenseDocument"} for one in record.licences for address in spdx(one)],
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
            "spdx:checksumValue": {"@value": file.sha256, "@type": "xsd:hexBinary"},
        },
    }


def _agent(person: Creator) -> dict[str, Any]:
    known: dict[str, Any] = {"@type": "foaf:Person" if person.is_person else "foaf:Organization", "foaf:name": person.name}
    return {"@id": person.url, **known} if person.url else known


def _english(text: str) -> dict[str, str]:
    return {"@value": text, "@language": "en"}


def _day(text: str) -> dict[str, str]:
    return {"@value": text, "@type": "xsd:date"}


def schema_org(site: Site, shelf: Shelf, record: Record) -> dict[str, Any]:
    """The record as schema.org's Dataset, for the page it is embedded in (one folder below the root)."""
    known: dict[str, Any] = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": record.title,
        "description": record.description if len(record.description) >= 50 else f"{record.description} Published with a package.",
        "identifier": record.urn,
        "url": site.address(record.path, 1),
        "version": record.version,
        "datePublished": record.date,
        "isAccessibleForFree": True,
        "license": [address for one in record.licences for address in spdx(one)],
        "keywords": list(record.keywords),
        "creator": [
            {"@type": "Person" if p.is_person else "Organization", "name": p.name, **({"url": p.url} if p.url else {})}
            for p in record.creators
        ],
        "citation": record.citation,
        "creditText": record.citation,
        "includedInDataCatalog": {"@type": "DataCatalog", "name": site.title, "url": site.address("index.html", 1)},
        "variableMeasured": [{"@type": "PropertyValue", "name": name} for name, _ in record.columns],
        "distribution": [
            {
                "@type": "DataDownload",
                "name": file.name,
                "contentUrl": site.address(file.path, 1),
                "encodingFormat": file.media,
                "contentSize": f"{file.size} B",
                "sha256": file.sha256,
            }
            for file in record.files
        ],
    }
    if record.kind == PACKAGE:
        known["hasPart"] = [
            {"@type": "Dataset", "name": part.title, "url": site.address(part.path, 1)}
            for part in shelf.parts
            if part.kind != MODEL
        ]
    else:
        known["isPartOf"] = {"@type": "Dataset", "name": shelf.package.title, "url": site.address(record.package_path, 1)}
    return {name: value for name, value in known.items() if value != []}


def atom(site: Site, shelves: Sequence[Shelf], updated: str) -> bytes:
    """The packages, newest first, as Atom. Without an address of the site its links are relative to the feed."""
    feed = ET.Element("feed", {"xmlns": "http://www.w3.org/2005/Atom"})
    _put(feed, "title", site.title)
    _put(feed, "id", f"{site.url}feed.atom" if site.url else "urn:pellucid:catalogue")
    _put(feed, "updated", f"{updated}T00:00:00Z")
    ET.SubElement(feed, "link", {"rel": "self", "href": site.address("feed.atom")})
    ET.SubElement(feed, "link", {"rel": "alternate", "href": site.address("index.html")})
    _put(ET.SubElement(feed, "author"), "name", site.publisher)
    for shelf in _newest(shelves):
        record, entry = shelf.package, ET.SubElement(feed, "entry")
        _put(entry, "title", record.title)
        _put(entry, "id", record.urn)
        _put(entry, "updated", f"{record.date}T00:00:00Z")
        ET.SubElement(entry, "link", {"rel": "alternate", "href": site.address(record.path)})
        for person in record.creators:
            _put(ET.SubElement(entry, "author"), "name", person.name)
        for word in record.keywords:
            ET.SubElement(entry, "category", {"term": word})
        _put(entry, "summary", record.description)
    return _xml(feed)


def rss(site: Site, shelves: Sequence[Shelf], updated: str) -> bytes:
    """The same as RSS 2.0, which knows absolute addresses only."""
    root = ET.Element("rss", {"version": "2.0"})
    channel = ET.SubElement(root, "channel")
    _put(channel, "title", site.title)
    _put(channel, "link", site.address("index.html"))
    _put(channel, "description", "Packages that anyone can re-run.")
    _put(channel, "lastBuildDate", _moment(updated))
    for shelf in _newest(shelves):
        record, item = shelf.package, ET.SubElement(channel, "item")
        _put(item, "title", record.title)
        _put(item, "link", site.address(record.path))
        _put(item, "guid", record.urn).set("isPermaLink", "false")
        _put(item, "pubDate", _moment(record.date))
        _put(item, "description", record.description)
    return _xml(root)


def sitemap(site: Site, shelves: Sequence[Shelf]) -> bytes:
    """Every page, for search engines; absolute addresses only."""
    root = ET.Element("urlset", {"xmlns": "http://www.sitemaps.org/schemas/sitemap/0.9"})
    _put(ET.SubElement(root, "url"), "loc", site.address("index.html"))
    for record in sorted((record for shelf in shelves for record in shelf.records), key=lambda one: one.path):
        entry = ET.SubElement(root, "url")
        _put(entry, "loc", site.address(record.path))
        _put(entry, "lastmod", record.date)
    return _xml(root)


def _newest(shelves: Sequence[Shelf]) -> list[Shelf]:
    return sorted(shelves, key=lambda shelf: (shelf.package.date, shelf.package.id), reverse=True)[:200]


def _moment(day: str) -> str:
    return format_datetime(datetime.fromisoformat(day).replace(tzinfo=UTC), usegmt=True)


def _put(parent: ET.Element, name: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, name)
    child.text = text
    return child


def _xml(root: ET.Element) -> bytes:
    ET.indent(root, " ")
    text: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text + b"\n"
