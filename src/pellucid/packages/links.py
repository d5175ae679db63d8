"""What a package's descriptions say, held against its files and against each other.

Their standards' own validators look at shape; nobody else looks at whether a description tells of these files. Each description must
be of the shape that pellucid writes, name files that are there by the SHA-256 they have, and agree with the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.packages.manifest import Manifest
from pellucid.packages.standards import bom, citation, crate, croissant, datacite, models, preview, privacy
from pellucid.packages.untrusted import read_json, refuse, take

WRITTEN = (bom.FILE, citation.FILE, crate.FILE, croissant.FILE, datacite.FILE, preview.FILE)


def check(package: Path, manifest: Manifest, listed: Mapping[str, str]) -> tuple[str, ...]:
    """The descriptions that were checked. Raises PackageError naming the first that does not fit."""
    leaves = {leaf.path: leaf for value in manifest.open.values() for leaf in value.leaves}
    for path, leaf in leaves.items():
        if listed.get(path) != leaf.sha256:
            refuse(path, "the manifest states another SHA-256 than the list of files")
    cards = [privacy.path_of(entry.step) for entry in manifest.trace if entry.guarantee is not None]
    pages = [models.path_of(name) for name, value in manifest.open.items() if value.kind == "model" and value.items is None]
    for path in (*WRITTEN, *cards, *pages):
        if path not in listed:
            refuse(path, "the file is missing from the package")
    _croissant(read_json(package / croissant.FILE, croissant.FILE), manifest, leaves)
    _datacite(read_json(package / datacite.FILE, datacite.FILE), manifest)
    _citation((package / citation.FILE).read_bytes(), manifest)
    _bom(read_json(package / bom.FILE, bom.FILE), leaves)
    for entry in manifest.trace:
        if entry.guarantee is not None:
            path = privacy.path_of(entry.step)
            found = read_json(package / path, path)
            if found != privacy.card(entry.step, entry.guarantee, [value.path for value in entry.outputs.values()]):
                refuse(path, "it states another guarantee than the manifest")
    _crate(read_json(package / crate.FILE, crate.FILE), manifest, listed)  # last: it covers every file, and would hide the others
    return (*WRITTEN, *cards, *pages)


def _crate(data: Mapping[str, Any], manifest: Manifest, listed: Mapping[str, str]) -> None:
    where = crate.FILE
    if data.get("@context") != crate.CONTEXT:
        refuse(
            where,
            "its context is not that of RO-Crate 1.1 with Workflow Run terms",
            "another context gives the words another meaning",
        )
    graph = take(data, "@graph", list, where)
    entities: dict[str, Mapping[str, Any]] = {}
    for entity in graph:
        if not isinstance(entity, dict) or not isinstance(entity.get("@id"), str) or "@type" not in entity:
            refuse(where, "an entity of it has no @id or @type")
        if entity["@id"] in entities:
            refuse(where, f"two entities are named {entity['@id']!r:.80}")
        entities[entity["@id"]] = entity
    root = entities.get("./")
    if root is None or crate.FILE not in entities:
        refuse(where, "it has no root data entity or no descriptor")
    if (root.get("name"), root.get("datePublished")) != (manifest.about.get("title"), manifest.date):
        refuse(where, "its root has another title or date than the manifest")
    for identifier, entity in entities.items():
        for target in _targets(entity):
            if target not in entities and not re.match(r"[a-z][a-z0-9+.-]*:", target):
                refuse(where, f"{identifier!r:.80} refers to {target!r:.80}, which is not described")
    files = {identifier for identifier, entity in entities.items() if "File" in _types(entity)}
    for path in sorted(files):
        if "sha256" in entities[path] and entities[path]["sha256"] != listed.get(path):
            refuse(where, f"it states another SHA-256 of {path!r:.80} than the list of files")
        if path not in listed and path != "MANIFEST.sha256":
            refuse(where, f"it describes {path!r:.80}, which is not in the package")
    for path in sorted(listed.keys() - files - {crate.FILE, "MANIFEST.sha256"}):
        refuse(where, f"it does not describe {path!r:.80}")


def _targets(value: Any) -> list[str]:
    """The ids that an entity's properties refer to."""
    parts = [one for name, part in value.items() if name != "@id" for one in (part if isinstance(part, list) else [part])]
    return [one["@id"] for one in parts if isinstance(one, dict) and isinstance(one.get("@id"), str)]


def _types(entity: Mapping[str, Any]) -> list[Any]:
    kind = entity["@type"]
    return kind if isinstance(kind, list) else [kind]


def _croissant(data: Mapping[str, Any], manifest: Manifest, leaves: Mapping[str, Any]) -> None:
    where = croissant.FILE
    if data.get("conformsTo") != "http://mlcommons.org/croissant/1.1" or data.get("name") != manifest.pipeline:
        refuse(where, "it is not the Croissant 1.1 description of this pipeline")
    if not data.get("license"):
        refuse(where, "it states no licence")
    found = {}
    for file in take(data, "distribution", list, where):
        if not isinstance(file, dict) or file.get("contentUrl") != file.get("@id"):
            refuse(where, "a file of it is not named by its place in the package")
        found[file["@id"]] = file.get("sha256")
    if found != {path: leaf.sha256 for path, leaf in leaves.items()}:
        refuse(where, "its files are not the artifacts of the package, or have another SHA-256")
    for records in take(data, "recordSet", list, where):
        for field in records.get("field", []) if isinstance(records, dict) else [None]:
            source = field.get("source") if isinstance(field, dict) else None
            target = source.get("fileObject") if isinstance(source, dict) else None
            if not isinstance(target, dict) or target.get("@id") not in found:
                refuse(where, "a column of it is of no file in the package")


def _datacite(data: Mapping[str, Any], manifest: Manifest) -> None:
    where = datacite.FILE
    for name in ("creators", "titles", "rightsList"):
        if not take(data, name, list, where):
            refuse(where, f"its {name} are empty")
    if (
        data["titles"] != [{"title": manifest.about.get("title"), "lang": "en"}]
        or data.get("publicationYear") != manifest.date[:4]
    ):
        refuse(where, "it has another title or year than the manifest")


def _citation(body: bytes, manifest: Manifest) -> None:
    where = citation.FILE
    text = body[: 1 << 20].decode(errors="replace")
    for line in (
        "cff-version: 1.2.0",
        f"title: {citation.text(str(manifest.about.get('title')))}",
        f"date-released: {manifest.date}",
    ):
        if line not in text.splitlines():
            refuse(where, f"it lacks the line {line!r:.120}")


def _bom(data: Mapping[str, Any], leaves: Mapping[str, Any]) -> None:
    where = bom.FILE
    if (data.get("bomFormat"), data.get("specVersion")) != ("CycloneDX", "1.6"):
        refuse(where, "it is not CycloneDX 1.6")
    stated, refs = set(), ["package"]
    for part in take(data, "components", list, where):
        if not isinstance(part, dict) or not isinstance(part.get("bom-ref"), str):
            refuse(where, "a component of it has no bom-ref")
        refs.append(part["bom-ref"])
        hashes = part.get("hashes")
        stated |= {one.get("content") for one in hashes if isinstance(one, dict)} if isinstance(hashes, list) else set()
    if len(set(refs)) < len(refs):
        refuse(where, "two components have one bom-ref")
    if stated != {leaf.sha256 for leaf in leaves.values()}:
        refuse(where, "its data and models are not the artifacts of the package")
    for line in take(data, "dependencies", list, where):
        named = [line.get("ref"), *line.get("dependsOn", [])] if isinstance(line, dict) else [None]
        if not set(named) <= set(refs):
            refuse(where, "a dependency of it is of no component")
