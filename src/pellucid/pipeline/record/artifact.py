"""Where a value is: its kind, what it is (canonical digest), and the stored bytes that hold it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.store import Objects


@dataclass(frozen=True)
class Artifact:
    """One stored value, or a collection of them (`items`, then `sha256` is empty and `digest` covers names and order)."""

    kind: str
    digest: str
    sha256: str = ""
    suffix: str = ""
    size: int = 0
    items: tuple[tuple[str, Artifact], ...] | None = None

    @property
    def leaves(self) -> tuple[Artifact, ...]:
        return (self,) if self.items is None else tuple(leaf for _, item in self.items for leaf in item.leaves)

    def to_json(self) -> dict[str, Any]:
        if self.items is not None:
            items = [[name, item.to_json()] for name, item in self.items]
            return {"kind": self.kind, "digest": self.digest, "size": self.size, "items": items}
        return {"kind": self.kind, "digest": self.digest, "sha256": self.sha256, "suffix": self.suffix, "size": self.size}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Artifact:
        if "items" in data:
            items = tuple((name, Artifact.from_json(item)) for name, item in data["items"])
            return Artifact(data["kind"], data["digest"], size=data["size"], items=items)
        return Artifact(data["kind"], data["digest"], data["sha256"], data["suffix"], data["size"])


def collection(kind: str, items: list[tuple[str, Artifact]]) -> Artifact:
    """A collection in its fixed order; its digest covers each element's name and digest."""
    h = hashlib.sha256()
    for name, item in items:
        h.update(f"{len(name)}:{name}{item.digest}\n".encode())
    return Artifact(kind, f"list:{h.hexdigest()}", size=sum(item.size for _, item in items), items=tuple(items))


def path_of(objects: Objects, artifact: Artifact) -> Path:
    """The stored file of one artifact, its bytes verified. Raises DamagedError naming it."""
    return objects.open(artifact.sha256, artifact.suffix)
