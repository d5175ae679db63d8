"""Where data come from that were published before: an artifact of a package as a source of another pipeline, and the chain of packages.

`take` copies an open artifact out of a checked package and writes its origin beside it: which package, which artifact, by digest, under
what licence and guarantee, and the origins of that package in turn. A source that names its origin carries it into what is published
from it; the new package cites the old, and whoever has the old one can check that it is the one.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pellucid.errors import PackageError, UsageError
from pellucid.packages import naming
from pellucid.packages.untrusted import printable, refuse

if TYPE_CHECKING:
    from pellucid.packages.manifest import Manifest

FORMAT = "pellucid origin 1"
MAX_DEPTH = 20
_SHA256, _DIGEST = re.compile("[0-9a-f]{64}"), re.compile("[a-z]+:[0-9a-f]{64}")
_TEXTS = ("package", "pipeline", "run", "date", "title", "artifact", "kind", "digest", "sha256", "licence")
_PARTS = {*_TEXTS, "format", "creators", "guarantee", "signed", "origins"}


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
        origin = origin_of(manifest, name, checked.digest, None if checked.signed is None else checked.signed.key)
        target, beside = folder / Path(value.path).name, folder / f"{naming.as_file(name)}.origin.json"
        for path in (target, beside):
            if path.exists():
                raise UsageError("it is there already", where=str(path), fix="Name another folder with --to")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place / value.path, target)
        beside.write_bytes(as_json(origin))
    kind = "" if value.kind == "table" else ', format="file"'
    return Taken(
        target, beside, f'{name.replace("-", "_")} = pl.source({quoted(target)}, label="open"{kind}, origin={quoted(beside)})'
    )


def quoted(path: Path) -> str:
    """A file's name as a text in Python."""
    return json.dumps(path.name)


def origin_of(manifest: Manifest, name: str, package: str, signed: str | None) -> dict[str, Any]:
    """The origin of the open artifact `name`, as it is written beside what is taken; `package` is the SHA-256 of the list of files,
    `signed` the key that signed it."""
    entry = next(entry for entry in manifest.trace if name in entry.outputs)
    value = entry.outputs[name]
    return {
        "format": FORMAT,
        "package": package,
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
        "signed": signed,
        "origins": [known["origin"] for known in manifest.licences.values() if known.get("origin")],
    }


def _licence(manifest: Manifest, step: str, kind: str) -> str:
    return str(manifest.licences[step]["licence"] if kind == "source" else manifest.about["data_licence"])


def read(path: Path) -> dict[str, Any]:
    """An origin from its file, of the right shape. Raises PackageError."""
    from pellucid.packages.untrusted import read_json

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
        and naming.is_pipeline(data["pipeline"])
        and naming.is_run(data["run"])
        and naming.is_date(data["date"])
        and naming.is_step(data["artifact"])
        and naming.is_text(data["licence"])
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


def chain(manifest: Manifest) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every origin a package builds on, with its depth, nearest first."""
    waiting = [(1, known["origin"]) for known in manifest.licences.values() if known.get("origin")]
    while waiting:
        depth, origin = waiting.pop(0)
        yield depth, origin
        waiting += [(depth + 1, one) for one in origin["origins"]]


def follow(manifest: Manifest, packages: Iterable[Path]) -> list[tuple[int, Mapping[str, Any], str]]:
    """Each origin with what came of looking for it among `packages`: "found", or why not.

    Raises PackageError when a package that is the one named is not what is said of it: the origin is made anew from it, and compared.
    (Who signed is compared where a signer is cited: the same package may be signed later.)
    """
    from pellucid.packages import archive, checking
    from pellucid.packages import manifest as manifests

    known: dict[str, tuple[Manifest, str | None]] = {}
    for package in packages:
        with (
            tempfile.TemporaryDirectory(prefix="pellucid-chain-") as scratch,
            archive.opened(package.absolute(), Path(scratch)) as place,
        ):
            found = checking.checked(place)
            known[found.digest] = manifests.read(place), None if found.signed is None else found.signed.key
    followed = []
    for depth, origin in chain(manifest):
        if origin["package"] not in known:
            followed.append((depth, origin, "not looked at: name its package with --origin"))
            continue
        there, signed = known[origin["package"]]
        if origin["artifact"] not in there.open:
            _refuse_false(origin, f"it has no artifact {origin['artifact']!r:.60}")
        own = origin_of(there, origin["artifact"], origin["package"], signed if origin["signed"] else None)
        for part in own:
            if origin[part] != own[part]:
                _refuse_false(origin, f"the {part} that is cited is not its own")
        followed.append((depth, origin, "found"))
    return followed


def _refuse_false(origin: Mapping[str, Any], why: str) -> NoReturn:
    raise PackageError(f"the package {printable(origin['title'])!r:.60} is not what it is cited for", where="origins", why=why)
