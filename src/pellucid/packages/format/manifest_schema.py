"""What a manifest says beside its trace: the graph, the environment, who made it and under which licences. Each part of its kind.

Only the kind of each part is checked here, one part at a time; manifest_consistency compares parts with each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pellucid.errors import PackageError, PellucidError
from pellucid.packages.format import naming_rules
from pellucid.packages.format.json_text import refuse

_NODE = {"step", "kind", "label", "inputs", "outputs", "tolerance"}
_SHA256 = re.compile("[0-9a-f]{64}")


def graph(data: list[Any], where: str) -> tuple[Mapping[str, Any], ...]:
    """The nodes of the graph, as `pellucid.pipeline.running.execution.described` writes them. Raises PackageError."""
    if not all(map(_is_node, data)):
        refuse(where, "a node of its graph is none")
    if len({node["step"] for node in data}) < len(data):
        refuse(where, "its graph names a step twice")
    return tuple(data)


def _is_node(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and node.keys() == _NODE
        and all(isinstance(node[name], str) and naming_rules.is_text(node[name], 60) for name in ("kind", "label"))
        and _is_name(node["step"])
        and isinstance(node["inputs"], dict)
        and all(_is_name(parameter) and _is_name(artifact) for parameter, artifact in node["inputs"].items())
        and isinstance(node["outputs"], list)
        and all(map(_is_output, node["outputs"]))
        and not isinstance(node["tolerance"], bool | str | list | dict)
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and naming_rules.is_step(value)


def _is_output(value: Any) -> bool:
    """An artifact's name, its kind, and whether it is a collection."""
    shaped = isinstance(value, list) and len(value) == 3
    return shaped and _is_name(value[0]) and naming_rules.is_text(value[1], 60) and isinstance(value[2], bool)


def names(data: list[Any], where: str) -> tuple[str, ...]:
    """Names of artifacts. Raises PackageError."""
    if not all(map(_is_name, data)):
        refuse(where, "it withholds what has no name")
    return tuple(data)


def environment(data: dict[str, Any], where: str) -> Mapping[str, Any]:
    """What the run saw of its machine: short texts, but for its drift (texts), BLAS libraries, and libraries with their licences (objects).
    Raises PackageError."""
    rest = {name: value for name, value in data.items() if name not in ("drift", "blas", "libraries")}
    if not all(
        naming_rules.is_text(name, 60) and (value is None or naming_rules.is_text(value, 400)) for name, value in rest.items()
    ):
        refuse(where, "a part of its environment is not a short text")
    for name, of in (("lock", "its lock"), ("pellucid_source", "its pellucid")):
        if not isinstance(data.get(name), str) or not _SHA256.fullmatch(data[name]):
            refuse(where, f"its environment has no digest of {of}")
    for name, holds in (("drift", _is_line), ("blas", _is_library)):
        if not isinstance(data.get(name), list) or not all(map(holds, data[name])):
            refuse(where, f"the {name} of its environment is none")
    libraries = data.get("libraries", [])
    if not isinstance(libraries, list) or not all(map(_is_licensed, libraries)):
        refuse(where, "the libraries of its environment are none")
    return data


def _is_licensed(value: Any) -> bool:
    named = isinstance(value, dict) and value.keys() == {"name", "version", "licence"}
    return named and all(naming_rules.is_text(part, 100) for part in value.values())


def _is_line(value: Any) -> bool:
    return naming_rules.is_text(value, 400)


def _is_library(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(part, int) or naming_rules.is_text(part, 100) for part in value.values())


def about(data: dict[str, Any], where: str) -> Mapping[str, Any]:
    """What the pipeline says of itself, as `About` writes it. Raises PackageError."""
    from pellucid.pipeline.declaration import About

    where = f"{where}, about"
    texts = ("title", "description", "licence", "data_licence", "version")
    if data.keys() != {*texts, "creators", "keywords"} or not all(isinstance(data[name], str) for name in texts):
        refuse(where, "it does not say what the package is, who made it and under which licences")
    for name in ("creators", "keywords"):
        if not isinstance(data[name], list) or len(data[name]) > 1000 or not all(isinstance(text, str) for text in data[name]):
            refuse(where, f"its {name} are not a list of texts")
    try:
        made = About(**{**data, "creators": tuple(data["creators"]), "keywords": tuple(data["keywords"])})
    except PellucidError as error:
        refuse(where, error.what, error.why)
    if made.to_json() != data or not all(person.name for person in made.people):
        refuse(where, "its licences or creators are not written as they should be")
    return data


def licences(data: dict[str, Any], where: str) -> Mapping[str, Mapping[str, Any]]:
    """The licence, credit and origin of each open source. Raises PackageError."""
    from pellucid.packages.format import origin
    from pellucid.pipeline.declaration import checked_licence

    for source, known in data.items():
        place = f"{where}, source {source!r:.60}"
        if not isinstance(known, dict) or not {"licence", "credit"} <= known.keys() <= {"licence", "credit", "origin"}:
            refuse(place, "it has no licence and credit")
        try:
            if checked_licence(known["licence"], place) != known["licence"]:
                refuse(place, f"its licence {known['licence']!r:.60} is not written as it should be")
        except PackageError:
            raise
        except PellucidError as error:
            refuse(place, error.what, error.why)
        if known["credit"] is not None and not isinstance(known["credit"], str):
            refuse(place, "its credit is not text")
        if "origin" in known:
            origin.checked(known["origin"], place)
    return data
