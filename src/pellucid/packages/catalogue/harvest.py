"""What harvesters are told: one plain record for each page, with a datestamp, and the two formats it is given in.

oai_dc is simple Dublin Core (http://www.openarchives.org/OAI/2.0/oai_dc/), datacite the kernel 4 of DataCite
(https://schema.datacite.org/meta/kernel-4.5/).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pellucid.packages.catalogue.entries import DATASET, MODEL, PACKAGE, Record, Shelf, Site
from pellucid.packages.standards import spdx

SETS = {
    "package": "Packages that anyone can re-run",
    "dataset": "Open data sets",
    "model": "Open models",
}
_TYPES = {PACKAGE: "Collection", DATASET: "Dataset", MODEL: "Model"}
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def stamped(site: Site, shelves: Sequence[Shelf], earlier: Mapping[str, Any], today: str) -> dict[str, Any]:
    """All that OAI-PMH is answered from, as plain JSON. A record that is as it was keeps the datestamp it had."""
    known = {one["id"]: one for one in earlier.get("records", []) if isinstance(one, dict) and "id" in one}
    host = urlsplit(site.url).hostname or "localhost"
    records = []
    for shelf in shelves:
        for record in shelf.records:
            before = known.get(record.id, {})
            stamp = before.get("datestamp") if before.get("state") == record.state else None
            records.append(_plain(site, record, f"oai:{host}:{record.id}", str(stamp or today)))
    return {
        "title": site.title,
        "publisher": site.publisher,
        "url": site.url,
        "records": sorted(records, key=lambda one: (one["datestamp"], one["id"])),
    }


def _plain(site: Site, record: Record, identifier: str, stamp: str) -> dict[str, Any]:
    return {
        "id": record.id,
        "identifier": identifier,
        "set": record.kind,
        "datestamp": stamp,
        "state": record.state,
        "urn": record.urn,
        "page": site.address(record.path) if site.url else "",
        "title": record.title,
        "description": record.description,
        "creators": [
            {"name": p.name, "family": p.family, "given": p.given, "orcid": p.orcid, "person": p.is_person}
            for p in record.creators
        ],
        "keywords": list(record.keywords),
        "date": record.date,
        "version": record.version,
        "licences": list(record.licences),
        "formats": sorted({file.media for file in record.files}),
        "size": sum(file.size for file in record.files),
        "package": "" if record.kind == PACKAGE else record.urn.rpartition(":")[0],
        "lineage": list(record.lineage),
    }


def dublin_core(record: Mapping[str, Any]) -> ET.Element:
    """Simple Dublin Core."""
    root = ET.Element(
        "oai_dc:dc",
        {
            "xmlns:oai_dc": "http://www.openarchives.org/OAI/2.0/oai_dc/",
            "xmlns:dc": "http://purl.org/dc/elements/1.1/",
            "xmlns:xsi": _XSI,
            "xsi:schemaLocation": "http://www.openarchives.org/OAI/2.0/oai_dc/ http://www.openarchives.org/OAI/2.0/oai_dc.xsd",
        },
    )
    type_ = _TYPES[record["set"]]
    told = [("title", record["title"]), *(("creator", one["name"]) for one in record["creators"])]
    told += [("subject", word) for word in record["keywords"]]
    told += [("description", record["description"]), ("publisher", record["creators"][0]["name"]), ("date", record["date"])]
    told += [("type", type_ if type_ != "Model" else "Dataset"), *(("format", kind) for kind in record["formats"])]
    told += [("identifier", name) for name in (record["page"], record["urn"]) if name]
    told += [("source", said) for said in record["lineage"]]
    told += [("language", "en"), *([("relation", record["package"])] if record["package"] else [])]
    told += [("rights", address) for licence in record["licences"] for address in spdx(licence)]
    for name, text in told:
        ET.SubElement(root, f"dc:{name}").text = text
    return root


def datacite(record: Mapping[str, Any]) -> ET.Element:
    """DataCite kernel 4, without a DOI: the identifier is that of the package's content."""
    space = "http://datacite.org/schema/kernel-4"
    schema = "https://schema.datacite.org/meta/kernel-4.5/metadata.xsd"
    root = ET.Element("resource", {"xmlns": space, "xmlns:xsi": _XSI, "xsi:schemaLocation": f"{space} {schema}"})
    _put(root, "identifier", record["urn"], identifierType="URN")
    creators = ET.SubElement(root, "creators")
    for one in record["creators"]:
        creator = ET.SubElement(creators, "creator")
        _put(creator, "creatorName", one["name"], nameType="Personal" if one["person"] else "Organizational")
        if one["person"]:
            _put(creator, "givenName", one["given"])
            _put(creator, "familyName", one["family"])
        if one["orcid"]:
            _put(creator, "nameIdentifier", one["orcid"], nameIdentifierScheme="ORCID", schemeURI="https://orcid.org")
    _put(ET.SubElement(root, "titles"), "title", record["title"])
    _put(root, "publisher", record["creators"][0]["name"])
    _put(root, "publicationYear", record["date"][:4])
    _put(root, "resourceType", SETS[record["set"]], resourceTypeGeneral=_TYPES[record["set"]])
    subjects = ET.SubElement(root, "subjects")
    for word in record["keywords"]:
        _put(subjects, "subject", word)
    _put(ET.SubElement(root, "dates"), "date", record["date"], dateType="Created")
    _put(root, "language", "en")
    if record["page"]:
        other = ET.SubElement(root, "alternateIdentifiers")
        _put(other, "alternateIdentifier", record["page"], alternateIdentifierType="URL")
    if record["package"]:
        related = ET.SubElement(root, "relatedIdentifiers")
        _put(related, "relatedIdentifier", record["package"], relatedIdentifierType="URN", relationType="IsPartOf")
    _put(ET.SubElement(root, "sizes"), "size", f"{record['size']} bytes")
    formats = ET.SubElement(root, "formats")
    for kind in record["formats"]:
        _put(formats, "format", kind)
    _put(root, "version", record["version"])
    rights = ET.SubElement(root, "rightsList")
    for licence in record["licences"]:
        _put(rights, "rights", licence, rightsURI=spdx(licence)[0], rightsIdentifier=licence, rightsIdentifierScheme="SPDX")
    _put(ET.SubElement(root, "descriptions"), "description", record["description"], descriptionType="Abstract")
    return root


def _put(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = text


@dataclass(frozen=True)
class Format:
    """A metadata format: its prefix, schema, namespace, and how a record is written in it."""

    prefix: str
    schema: str
    namespace: str
    write: Callable[[Mapping[str, Any]], ET.Element]


FORMATS = {
    one.prefix: one
    for one in (
        Format(
            "oai_dc",
            "http://www.openarchives.org/OAI/2.0/oai_dc.xsd",
            "http://www.openarchives.org/OAI/2.0/oai_dc/",
            dublin_core,
        ),
        Format(
            "datacite",
            "https://schema.datacite.org/meta/kernel-4.5/metadata.xsd",
            "http://datacite.org/schema/kernel-4",
            datacite,
        ),
    )
}
