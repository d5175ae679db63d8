"""Where data come from that were published before: an artifact of a package as a source of another pipeline, and the chain of packages.

`take` copies an open artifact out of a checked package and writes its origin beside it: which package, which artifact, by digest, under
what licence and guarantee, and the origins of that package in turn. A source that names its origin carries it into what is published
from it; the new package cites the old, and whoever has the old one can check that it is the one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError
from pellucid.packages.format import naming_rules
from pellucid.packages.format.json_text import refuse

if TYPE_CHECKING:
    pass

FORMAT = "pellucid origin 1"
MAX_DEPTH = 20
_SHA256, _DIGEST = re.compile("[0-9a-f]{64}"), re.compile("[a-z]+:[0-9a-f]{64}")
_TEXTS = ("package", "pipeline", "run", "date", "title", "artifact", "kind", "digest", "sha256", "licence")
_PARTS = {*_TEXTS, "format", "creators", "guarantee", "signed", "origins"}


def quoted(path: Path) -> str:
    """A file's name as a text in Python."""
    return json.dumps(path.name)


def read(path: Path) -> dict[str, Any]:
    """An origin from its file, of the right shape. Raises PackageError."""
    from pellucid.packages.format.json_text import read_json

    return checked(read_json(path, path.name), path.name)


def checked(data: Any, where: str, depth: int = 0) -> dict[str, Any]:
    """The same for one that was read already: every part there, and of its kind."""
    if depth > MAX_DEPTH:
        refuse(where, f"its chain is longer than {MAX_DEPTH}")
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.keys() != _PARTS or not _is_shaped(data):
        refuse(where, "it is not the origin of an imported artifact")
    for one in data["origins"]:
        checked(one, where, depth + 1)
    return dict(data)


def _is_shaped(data: Mapping[str, Any]) -> bool:
    guarantee, creators = data["guarantee"], data["creators"]
    return (
        all(isinstance(data[name], str) and len(data[name]) <= 10_000 for name in _TEXTS)
        and all(_SHA256.fullmatch(data[name]) for name in ("package", "sha256"))
        and _DIGEST.fullmatch(data["digest"]) is not None
        and naming_rules.is_pipeline(data["pipeline"])
        and naming_rules.is_run(data["run"])
        and naming_rules.is_date(data["date"])
        and naming_rules.is_step(data["artifact"])
        and naming_rules.is_text(data["licence"])
        and (data["signed"] is None or (isinstance(data["signed"], str) and _SHA256.fullmatch(data["signed"]) is not None))
        and isinstance(creators, list)
        and all(isinstance(one, str) for one in creators)
        and isinstance(data["origins"], list)
        and (guarantee is None or (isinstance(guarantee, dict) and guarantee.keys() == {"epsilon", "delta"}))
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in (guarantee or {}).values())
    )


def refuse_changed(source: str, origin: Mapping[str, Any], digest: str) -> None:
    """Raise PackageError when a source no longer holds the artifact that its origin names."""
    if digest not in (origin["digest"], f"file:{origin['sha256']}"):
        raise PackageError(
            f'the source "{source}" is not what was imported',
            why=f"its origin names {origin['artifact']} of the package {origin['title']!r:.60}",
            fix="Import it again, or remove its origin and say where the data come from",
        )
