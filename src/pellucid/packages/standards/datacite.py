"""DataCite 4.5: what a repository asks when it gives a package a DOI (https://schema.datacite.org/meta/kernel-4.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pellucid.packages.format import as_json
from pellucid.packages.standards.description import Description, spdx
from pellucid.pipeline.declaration import Creator

FILE = "datacite.json"


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """The one file."""
    yield FILE, as_json(record(description))


def record(description: Description) -> dict[str, Any]:
    """The record as plain JSON; a DOI is for the repository to add."""
    about = description.about
    licences = sorted({about.licence, *(description.licence_of(entry) for _, entry, _ in description.leaves())})
    from pellucid.packages.format import chain

    origins = sorted({f"urn:sha256:{origin['package']}" for depth, origin in chain(description.manifest) if depth == 1})
    record = {
        "schemaVersion": "http://datacite.org/schema/kernel-4",
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Reproducible run package"},
        "creators": [_creator(person) for person in about.people],
        "titles": [{"title": about.title, "lang": "en"}],
        "publisher": {"name": about.people[0].name},
        "publicationYear": description.date[:4],
        "dates": [{"date": description.date, "dateType": "Created"}],
        "descriptions": [{"description": about.description, "descriptionType": "Abstract", "lang": "en"}],
        "subjects": [{"subject": word} for word in about.keywords],
        "rightsList": [
            {"rights": licence, "rightsUri": uri, "rightsIdentifier": licence, "rightsIdentifierScheme": "SPDX"}
            for licence in licences
            for uri in spdx(licence)[:1]
        ],
        "alternateIdentifiers": [{"alternateIdentifier": description.identifier, "alternateIdentifierType": "Pellucid package"}],
        "version": about.version,
        "language": "en",
        "formats": sorted({leaf.path.rpartition(".")[2] for _, _, leaf in description.leaves()}),
    }
    if origins:
        record["relatedIdentifiers"] = [
            {"relatedIdentifier": urn, "relatedIdentifierType": "URN", "relationType": "IsDerivedFrom"} for urn in origins
        ]
    return record


def _creator(person: Creator) -> dict[str, Any]:
    if not person.is_person:
        return {"name": person.name, "nameType": "Organizational"}
    found: dict[str, Any] = {"name": person.name, "nameType": "Personal", "givenName": person.given, "familyName": person.family}
    if person.orcid:
        found["nameIdentifiers"] = [
            {
                "nameIdentifier": f"https://orcid.org/{person.orcid}",
                "nameIdentifierScheme": "ORCID",
                "schemeUri": "https://orcid.org",
            }
        ]
    return found
