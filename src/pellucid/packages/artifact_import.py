"""Import: an open artifact of a package becomes a source of another pipeline, with its origin beside it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import UsageError, suggest
from pellucid.packages.format import as_json, naming_rules, origin_of, quoted


@dataclass(frozen=True)
class ImportedArtifact:
    """What was copied: the file, its origin beside it, and the line that makes it a source."""

    path: Path
    origin: Path
    line: str


def take(package: Path, name: str, folder: Path, *, key: Path | None = None) -> ImportedArtifact:
    """Copy the open artifact `name` of a package into `folder`, with its origin. Checks the package first.

    Raises PackageError for a package that is not whole, UsageError for an artifact that is not there, a collection, or a file in the way.
    """
    from pellucid.packages.checking import package_check
    from pellucid.packages.format import archive
    from pellucid.packages.format import manifest as manifests

    package = package.absolute()
    with tempfile.TemporaryDirectory(prefix="pellucid-import-") as scratch, archive.opened(package, Path(scratch)) as place:
        checked = package_check.checked(place, key=key)
        manifest = manifests.read(place)
        entry = next((entry for entry in manifest.trace if name in entry.outputs), None)
        if entry is None or entry.outputs[name].items is not None:
            there = [one for one, value in manifest.open.items() if value.items is None]
            raise UsageError(f'there is no open artifact "{name:.60}" to take', where=str(package), fix=suggest(name, there))
        value = entry.outputs[name]
        origin = origin_of(manifest, name, checked.digest, None if checked.signed is None else checked.signed.key)
        target, beside = folder / Path(value.path).name, folder / f"{naming_rules.as_file(name)}.origin.json"
        for path in (target, beside):
            if path.exists():
                raise UsageError("it is there already", where=str(path), fix="Name another folder with --to")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place / value.path, target)
        beside.write_bytes(as_json(origin))
    kind = "" if value.kind == "table" else ', format="file"'
    return ImportedArtifact(
        target, beside, f'{name.replace("-", "_")} = pl.source({quoted(target)}, label="open"{kind}, origin={quoted(beside)})'
    )
