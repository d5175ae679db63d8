"""Where data come from that were published before: an artifact of a package as a source of another pipeline, and the chain of packages.

`take` copies an open artifact out of a checked package and writes its origin beside it: which package, which artifact, by digest, under
what licence and guarantee, and the origins of that package in turn. A source that names its origin carries it into what is published
from it; the new package cites the old, and whoever has the old one can check that it is the one.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, UsageError
from pellucid.packages.untrusted import printable, refuse

if TYPE_CHECKING:
    from pellucid.packages.manifest import Manifest

FORMAT = "pellucid origin 1"
MAX_DEPTH = 20


@dataclass(frozen=True)
class Taken:
    """What was copied: the file, its origin beside it, and the line that makes it a source."""

    path: Path
    origin: Path
    line: str


def take(package: Path, name: str, folder: Path, *, key: Path | None = None) -> Taken:
    """Copy the open artifact `name` of a package into `folder`, with its origin. Checks the package first.

    Raises PackageError for a package that is not whole, UsageError for an artifact that is not there, a collection, or a file in the way.
    """
    from pellucid.packages import archive, checking
    from pellucid.packages import manifest as manifests
    from pellucid.packages.standards.description import as_json

    package = package.absolute()
    with tempfile.TemporaryDirectory(prefix="pellucid-import-") as scratch, archive.opened(package, Path(scratch)) as place:
        checked = checking.checked(place, key=key)
        manifest = manifests.read(place)
        entry = next((entry for entry in manifest.trace if name in entry.outputs), None)
        if entry is None or entry.outputs[name].items is not None:
            there = ", ".join(one for one, value in manifest.open.items() if value.items is None)
            raise UsageError(f'there is no open artifact "{name:.60}" to take', where=str(package), fix=f"There are: {there}")
        value = entry.outputs[name]
        origin = {
            "format": FORMAT,
            "package": checked.digest,
            "pipeline": manifest.pipeline,
            "run": manifest.run,
            "date": manifest.date,
            "title": str(manifest.about["title"]),
            "creators": list(manifest.about["creators"]),
            "artifact": name,
            "kind": value.kind,
            "digest": value.digest,
            "sha256": value.sha256,
            "licence": _licence(manifest, entry.step, entry.kind),
            "guarantee": None if entry.guarantee is None else {n: entry.guarantee[n] for n in ("epsilon", "delta")},
            "signed": None if checked.signed is None else checked.signed.key,
            "origins": [known["origin"] for known in manifest.licences.values() if known.get("origin")],
        }
        target, beside = folder / Path(value.path).name, folder / f"{name}.origin.json"
        for path in (target, beside):
            if path.exists():
                raise UsageError("it is there already", where=str(path), fix="Name another folder with --to")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place / value.path, target)
        beside.write_bytes(as_json(origin))
    kind = "" if value.kind == "table" else ', format="file"'
    return Taken(target, beside, f'{name} = pl.source("{target.name}", label="open"{kind}, origin="{beside.name}")')


def _licence(manifest: Manifest, step: str, kind: str) -> str:
    return str(manifest.licences[step]["licence"] if kind == "source" else manifest.about["data_licence"])


def read(path: Path) -> dict[str, Any]:
    """An origin from its file, of the right shape. Raises PackageError."""
    from pellucid.packages.untrusted import read_json

    return checked(read_json(path, path.name), path.name)


def checked(data: Mapping[str, Any], where: str, depth: int = 0) -> dict[str, Any]:
    """The same for one that was read already."""
    if depth > MAX_DEPTH:
        refuse(where, f"its chain is longer than {MAX_DEPTH}")
    texts = ("package", "pipeline", "run", "date", "title", "artifact", "kind", "digest", "sha256", "licence")
    if data.get("format") != FORMAT or not all(isinstance(data.get(name), str) for name in texts):
        refuse(where, "it is not the origin of an imported artifact")
    if not isinstance(data.get("origins"), list) or not isinstance(data.get("creators"), list):
        refuse(where, "it is not the origin of an imported artifact")
    for one in data["origins"]:
        if not isinstance(one, dict):
            refuse(where, "it is not the origin of an imported artifact")
        checked(one, where, depth + 1)
    return dict(data)


def refuse_changed(source: str, origin: Mapping[str, Any], digest: str) -> None:
    """Raise PackageError when a source no longer holds the artifact that its origin names."""
    if digest not in (origin["digest"], f"file:{origin['sha256']}"):
        raise PackageError(
            f'the source "{source}" is not what was imported',
            why=f"its origin names {origin['artifact']} of the package {origin['title']!r:.60}",
            fix="Import it again, or remove its origin and say where the data come from",
        )


def chain(manifest: Manifest) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every origin a package builds on, with its depth, nearest first."""
    waiting = [(1, known["origin"]) for known in manifest.licences.values() if known.get("origin")]
    while waiting:
        depth, origin = waiting.pop(0)
        yield depth, origin
        waiting += [(depth + 1, one) for one in origin["origins"]]


def follow(manifest: Manifest, packages: Iterable[Path]) -> list[tuple[int, Mapping[str, Any], str]]:
    """Each origin with what came of looking for it among `packages`: "found", or why not.

    Raises PackageError when a package that is the one named does not hold the artifact it is cited for.
    """
    from pellucid.packages import archive, checking, fixity
    from pellucid.packages import manifest as manifests

    known: dict[str, Manifest] = {}
    for package in packages:
        with (
            tempfile.TemporaryDirectory(prefix="pellucid-chain-") as scratch,
            archive.opened(package.absolute(), Path(scratch)) as place,
        ):
            checking.checked(place)
            digest = hashlib.sha256((place / fixity.FILE).read_bytes()).hexdigest()
            known[digest] = manifests.read(place)
    found = []
    for depth, origin in chain(manifest):
        there = known.get(origin["package"])
        if there is None:
            found.append((depth, origin, "not looked at: name its package with --origin"))
            continue
        value = there.open.get(origin["artifact"])
        if value is None or value.digest != origin["digest"]:
            raise PackageError(
                f"the package {printable(origin['title'])!r:.60} does not hold the {origin['artifact']!r:.60} it is cited for",
                where="origins",
            )
        if list(origin["origins"]) != [one["origin"] for one in there.licences.values() if one.get("origin")]:
            raise PackageError(
                f"the package {printable(origin['title'])!r:.60} builds on others than is said here", where="origins"
            )
        found.append((depth, origin, "found"))
    return found
