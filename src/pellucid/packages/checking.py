"""Check: is a package whole, signed, and what its descriptions say? Without network, and without running anything of it.

In this order: every file has the SHA-256 that the list states and no other is there; the signature is over that list; manifest, lock
and wheel are of the shape they must have; the descriptions tell of these files and agree with each other; every artifact has the
canonical digest of its trace, computed in a sealed process.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError
from pellucid.packages.untrusted import printable, refuse

if TYPE_CHECKING:
    from pellucid.packages.manifest import Manifest
    from pellucid.packages.signature import Signed


@dataclass(frozen=True)
class Checked:
    """What was found whole: how many files, which descriptions, whose signature (None: unsigned), how digests were checked, and the
    packages it builds on: (depth, title and artifact, what came of looking for it)."""

    pipeline: str
    run: str
    digest: str
    files: int
    descriptions: tuple[str, ...]
    signed: Signed | None
    digests: str
    origins: tuple[tuple[int, str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        signed = None if self.signed is None else {"key": self.signed.key, "trusted": self.signed.known}
        return {**vars(self), "signed": signed}

    def __str__(self) -> str:
        """A few lines for people."""
        if self.signed is None:
            signed = "not signed"
        elif self.signed.known:
            signed = f"signed by the key you named ({self.signed.key[:16]}...)"
        else:
            signed = f"signed by key {self.signed.key[:16]}..., which came with it: name the publisher's own with --key"
        built = [f"  builds on:    {'  ' * (depth - 1)}{what}: {outcome}" for depth, what, outcome in self.origins]
        return "\n".join(
            [
                f"whole: {self.pipeline}, run {self.run}",
                f"  files:        {self.files}, each with the SHA-256 of the list",
                f"  signature:    {signed}",
                f"  descriptions: {len(self.descriptions)} agree with the files and each other",
                f"  digests:      {self.digests}",
                f"  package:      sha256:{self.digest}",
                *built,
            ]
        )


def check(package: Path, *, key: Path | None = None, origins: Iterable[Path] = ()) -> Checked:
    """Check the package in the folder or zip `package`; `key` is a public key (PEM) it must be signed with; `origins` are packages that
    it says it builds on, which are checked as well, and held against what it says of them.

    Raises PackageError naming the first thing that is not as it should be.
    """
    from pellucid.packages import archive, origin
    from pellucid.packages import manifest as manifests

    package = package.absolute()
    with tempfile.TemporaryDirectory(prefix="pellucid-check-") as scratch, archive.opened(package, Path(scratch)) as folder:
        found, manifest = checked(folder, key=key), manifests.read(folder)
    followed = [(depth, f"{one['artifact']} of {one['title']}", said) for depth, one, said in origin.follow(manifest, origins)]
    return replace(found, origins=tuple((depth, printable(what)[:200], said) for depth, what, said in followed))


def checked(folder: Path, *, key: Path | None = None) -> Checked:
    """The same for a folder."""
    return told(folder, whole_package(folder, key=key))


def told(folder: Path, whole: Whole) -> Checked:
    """The rest of the check of a package that is whole: what its descriptions say, and every artifact's digest."""
    from pellucid.packages import links

    described = links.check(folder, whole.manifest, whole.listed)
    manifest = whole.manifest
    return Checked(manifest.pipeline, manifest.run, whole.digest, len(whole.listed), described, whole.signed, _stated(folder))


@dataclass(frozen=True)
class Whole:
    """A package that is as its publisher wrote it: its manifest, the path of its wheel, its files, its signature, and the SHA-256 of
    the list of its files, which names it."""

    manifest: Manifest
    wheel: str
    listed: dict[str, str]
    signed: Signed | None
    digest: str


def whole_package(folder: Path, *, key: Path | None = None) -> Whole:
    """What must hold before anything of a package is run; what its descriptions say is not looked at. Raises PackageError."""
    from pellucid.packages import fixity, signature
    from pellucid.store.saved import sha256_of

    listed = fixity.check(folder)
    signed = signature.check(folder, key)
    manifest, wheel = contents(folder, listed)
    if signed is not None:
        _refuse_other_tolerances(signed, manifest)
    return Whole(manifest, wheel, listed, signed, sha256_of(folder / fixity.FILE))


def contents(folder: Path, listed: dict[str, str]) -> tuple[Manifest, str]:
    """The manifest of a package and the path of its wheel, once lock and wheel are as they must be. Executes nothing of it."""
    from pellucid.packages import lock, wheel
    from pellucid.packages import manifest as manifests

    for path in (manifests.FILE, lock.FILE):
        if path not in listed:
            refuse(path, "the file is missing from the package")
    manifest = manifests.read(folder)
    for path in [manifest.file, *(leaf.path for value in manifest.open.values() for leaf in value.leaves)]:
        if path not in listed:
            refuse(path, "the file is missing from the package", f"{manifests.FILE} names it")
    try:
        text = (folder / lock.FILE).read_text()
    except UnicodeDecodeError:
        refuse(lock.FILE, "it is not text")
    if lock.parse(text, lock.FILE).text() != text:
        refuse(lock.FILE, "it holds more than names, versions and hashes")
    wheels = [path for path in listed if path.startswith("environment/") and path.endswith(".whl") and path.count("/") == 1]
    if len(wheels) != 1:
        refuse("environment", f"it holds {len(wheels)} wheels, not the one of pellucid")
    wheel.check(folder / wheels[0], wheels[0])
    return manifest, wheels[0]


def _refuse_other_tolerances(signed: Signed, manifest: Manifest) -> None:
    """How far a result may differ was declared before publication: the signature says so, and it is what the manifest says."""
    from pellucid.packages import signature

    stated = {entry.step: entry.tolerance for entry in manifest.trace if entry.tolerance is not None}
    predicate = signed.statement.get("predicate")
    known = {"tolerances": stated, "other_kernel": manifest.other_kernel, "run": manifest.run}
    if not isinstance(predicate, dict) or {name: predicate.get(name) for name in known} != known:
        refuse(signature.FILE, "what was signed is not what the manifest says", "another run, or other tolerances")


def _stated(folder: Path) -> str:
    """Compute every canonical digest anew, sealed. Raises PackageError for one that is not as stated."""
    from pellucid.packages import limits, sealed

    command = [sys.executable, "-P", "-m", "pellucid.packages.stated", str(folder)]
    bound = limits.of_reading((folder / "artifacts").rglob("*"))
    with tempfile.TemporaryDirectory(prefix="pellucid-check-") as work:
        read = [folder, *sealed.own_folders()]
        env = sealed.own_environment()
        ended = sealed.run(command, read=read, write=[], env=env, folder=Path(work), log="digests", limits=bound)
    try:
        found = json.loads("" if ended.stopped else ended.output.splitlines()[-1])
    except (ValueError, IndexError):
        raise PackageError("its artifacts could not be read", why=printable(ended.why)[:300]) from None
    if "error" in found:
        raise PackageError(printable(str(found["error"]))[:500])
    for step, name, why in found.get("wrong", ()):
        refuse(f"step {step}, output {name}", why)
    return printable(str(found["skipped"])) if "skipped" in found else "every artifact has the one its trace states"
