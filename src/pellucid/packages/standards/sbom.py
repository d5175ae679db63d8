"""A bill of materials: CycloneDX 1.6 with an ML-BOM (https://cyclonedx.org/docs/1.6/json): libraries, data, models and their cards."""

from __future__ import annotations

import re
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from pellucid.packages.format import as_json
from pellucid.packages.standards import model_cards
from pellucid.packages.standards.description import Description

FILE = "sbom.cdx.json"


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """The one file."""
    yield FILE, as_json(bom(description))


def bom(description: Description) -> dict[str, Any]:
    """The bill as plain JSON."""
    about = description.about
    data = [_data(description, name, entry, leaf) for name, entry, leaf in description.leaves() if leaf.kind != "model"]
    trained = [_model(description, name, entry.step, leaf) for name, entry, leaf in description.leaves("model")]
    files, licences = _distributions(description), _licences(description)
    libraries = [_library(name, version, files, licences) for name, version in locked(description)]
    root = {
        "type": "application",
        "bom-ref": "package",
        "name": description.manifest.pipeline,
        "version": about.version,
        "description": about.description,
        "licenses": [{"expression": about.licence}],
        "authors": [{"name": name.name} for name in about.people],
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, description.identifier)}",
        "version": 1,
        "metadata": {"timestamp": f"{description.date}T00:00:00Z", "component": root},
        "components": [*trained, *data, *libraries],
        "dependencies": [
            {"ref": "package", "dependsOn": [part["bom-ref"] for part in (*trained, *data, *libraries)]},
            *(
                {"ref": f"model:{name}", "dependsOn": _sources(description, entry.step)}
                for name, entry, _ in description.leaves("model")
            ),
        ],
    }


def locked(description: Description) -> list[tuple[str, str]]:
    """Name and version of every locked distribution, sorted."""
    from pellucid.packages.format import lock_file

    text = (description.folder / lock_file.FILE).read_text()
    return sorted(set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE)))


def _distributions(description: Description) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(Name, version) -> the files that may be installed, each by its name and SHA-256, as pylock.toml has them."""
    from pellucid.packages.format import lock_file, pylock

    found = {}
    for package in tomllib.loads((description.folder / pylock.FILE).read_text())["packages"]:
        files = [
            {
                "type": "distribution",
                "url": str(wheel.get("path") or wheel["url"].rpartition("/")[2]),
                "hashes": [{"alg": "SHA-256", "content": wheel["hashes"]["sha256"]}],
            }
            for wheel in package.get("wheels", [])
        ]
        found[lock_file.normal(package["name"]), package["version"]] = files
    return found


def _licences(description: Description) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(Name, version) -> the licence that the installed distribution stated: an SPDX expression, or its words."""
    from pellucid.errors import PellucidError
    from pellucid.pipeline.declaration import checked_licence

    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in description.manifest.environment.get("libraries", []):
        try:
            known: dict[str, Any] = {"expression": checked_licence(one["licence"], one["name"])}
        except PellucidError:
            known = {"license": {"name": one["licence"]}}
        found[one["name"], one["version"]] = [known]
    return found


def _library(
    name: str,
    version: str,
    files: Mapping[tuple[str, str], list[dict[str, Any]]],
    licences: Mapping[tuple[str, str], list[dict[str, Any]]],
) -> dict[str, Any]:
    from pellucid.packages.format import lock_file

    at = lock_file.normal(name), version
    known: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name.lower()}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower()}@{version}",
    }
    one_file = len(files.get(at, [])) == 1
    known |= {"hashes": files[at][0]["hashes"]} if one_file else {}
    known |= {"licenses": licences[at]} if at in licences else {}
    return known | ({"externalReferences": files[at]} if files.get(at) else {})


def _data(description: Description, name: str, entry: Any, leaf: Any) -> dict[str, Any]:
    kind = "a release under differential privacy" if entry.kind == "release" else f"{leaf.kind} of step {entry.step}"
    return {
        "type": "data",
        "bom-ref": f"data:{leaf.path}",
        "name": leaf.path,
        "hashes": [{"alg": "SHA-256", "content": leaf.sha256}],
        "licenses": [{"expression": description.licence_of(entry)}],
        "data": [{"type": "dataset", "name": name, "description": kind, "contents": {"url": leaf.path}}],
    }


def _model(description: Description, name: str, step: str, leaf: Any) -> dict[str, Any]:
    kind, _, _ = model_cards.settings_of(description, leaf.path)
    metrics = [
        {"type": f"{of}.{key}", "value": f"{value:.9g}" if isinstance(value, float) else str(value)}
        for of, values in description.metrics()
        for key, value in values.items()
    ]
    card: dict[str, Any] = {
        "modelParameters": {
            "modelArchitecture": kind,
            "datasets": [{"ref": ref} for ref in _sources(description, step)],
        },
        "considerations": {"technicalLimitations": ["Trained on what was released: rare items are missing."]},
    }
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{name}",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": leaf.sha256}],
        "licenses": [{"expression": description.about.data_licence}],
        "modelCard": card,
    }


def _sources(description: Description, step: str) -> list[str]:
    """The releases and open sources a step's result comes from, as references."""
    given = [description.entry(one) for one in model_cards.ancestry(description, step)]
    leaves = [
        leaf
        for entry in given
        if entry.kind in ("source", "release")
        for value in entry.outputs.values()
        for leaf in value.leaves
    ]
    return sorted({f"data:{leaf.path}" for leaf in leaves})
