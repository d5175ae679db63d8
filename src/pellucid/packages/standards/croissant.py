"""Croissant 1.1 (MLCommons, 2026) with the fields of its RAI vocabulary: the data sets of a package, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pellucid.packages.format import as_json
from pellucid.packages.standards.description import Description, made_from, media, spdx

FILE = "croissant.json"
_CR_TERMS = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format", "includes",
    "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace",
    "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _CR_TERMS},
}


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """The one file."""
    yield FILE, as_json(dataset(description))


def dataset(description: Description) -> dict[str, Any]:
    """The description as plain JSON."""
    about = description.about
    licences = sorted({licence for _, entry, _ in description.leaves() for licence in spdx(description.licence_of(entry))})
    released = list(description.releases())
    return {
        "@context": dict(sorted(CONTEXT.items())),
        "@type": "sc:Dataset",
        "name": description.manifest.pipeline,
        "description": about.description,
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "citeAs": f"{'; '.join(person.name for person in about.people)} ({description.date[:4]}). {about.title}.",
        "creator": [{"@type": "sc:Person" if p.is_person else "sc:Organization", "name": p.name} for p in about.people],
        "datePublished": description.date,
        "keywords": list(about.keywords),
        "license": licences,
        "url": description.identifier,
        "version": about.version if about.version.count(".") == 2 else f"{about.version}.0.0"[:20],
        "rai:dataCollection": _collection(description),
        "rai:dataLimitations": "Counts carry noise of a stated size, and what few people hold is not named."
        if released
        else "None stated.",
        "rai:dataBiases": "What is rare among people is under-represented: it falls below the threshold of a release."
        if released
        else "None stated.",
        "rai:personalSensitiveInformation": _personal(released),
        "rai:dataUseCases": about.description,
        "rai:dataReleaseMaintenancePlan": "The package does not change; a new run is a new package.",
        "distribution": [_file(leaf) for _, _, leaf in description.leaves()],
        "recordSet": [
            _records(description, leaf, bool(made_from(description.manifest, entry)))
            for _, entry, leaf in description.leaves("table")
        ],
    }


def _collection(description: Description) -> str:
    sources = [
        f"{entry.step}: {description.manifest.licences[entry.step].get('credit') or 'open data'}"
        for entry in description.manifest.trace
        if entry.kind == "source" and entry.label == "open"
    ]
    released = [
        f"{entry.step}: released from private data by the mechanism {g['mechanism']['mechanism']}"
        for entry, g in description.releases()
    ]
    return ". ".join([*sources, *released]) or "Computed."


def _personal(released: list[Any]) -> str:
    if not released:
        return "None: nothing here was about people."
    return " ".join(
        f"{entry.step}: differentially private for each {g['mechanism']['unit']}, epsilon {g['epsilon']:g}, delta {g['delta']:g};"
        f" see privacy/{entry.step}.json."
        for entry, g in released
    )


def _file(leaf: Any) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": leaf.path,
        "name": leaf.path,
        "contentSize": f"{leaf.size} B",
        "contentUrl": leaf.path,
        "encodingFormat": "application/x-parquet" if leaf.path.endswith(".parquet") else media(leaf.path),
        "sha256": leaf.sha256,
    }


def _records(description: Description, leaf: Any, synthetic: bool) -> dict[str, Any]:
    import pyarrow.parquet as pq

    name = leaf.path.removeprefix("artifacts/").removesuffix(".parquet")
    schema = pq.read_schema(description.folder / leaf.path)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        **({"description": "Synthetic: rows of people who do not exist, made from releases alone"} if synthetic else {}),
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{quote(field.name, safe='')}",  # a column may have any name; an id is a part of an address
                "name": f"{name}/{field.name}",
                "dataType": _type(field.type),
                "source": {"fileObject": {"@id": leaf.path}, "extract": {"column": field.name}},
            }
            for field in schema
        ],
    }


def _type(kind: Any) -> str:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    for test, name in (
        (types.is_boolean, "sc:Boolean"),
        (types.is_integer, "sc:Integer"),
        (types.is_floating, "sc:Float"),
        (types.is_decimal, "sc:Float"),
        (types.is_date, "sc:Date"),
        (types.is_timestamp, "sc:DateTime"),
    ):
        if test(kind):
            return name
    return "sc:Text"
