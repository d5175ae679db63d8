"""Check: is a package whole, signed, and what its descriptions say? Without network, and without running anything of it.

In this order: every file has the SHA-256 that the list states and no other is there; the signature is over that list; manifest, locks
and wheel are of the shape they must have, and agree with each other and the files; then, in a sealed process, every artifact has the
canonical digest of its trace, no guarantee is stronger than its noise, and every description is what follows from the manifest.
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
from pellucid.packages.untrusted import printable, reading, refuse

if TYPE_CHECKING:
    from pellucid.packages.manifest import Manifest
    from pellucid.packages.signature import Signed


@dataclass(frozen=True)
class Checked:
    """What was found whole: how many files, which descriptions, whose signature (None: unsigned), and the packages it builds on: (depth,
    title and artifact, what came of looking for it).

    `otherwise` are descriptions that are not as this pellucid writes them, of a package that another wrote (`written_by`): nothing is
    known of them. A package by this very pellucid has none: it is refused.
    """

    pipeline: str
    run: str
    digest: str
    files: int
    descriptions: tuple[str, ...]
    otherwise: tuple[str, ...]
    written_by: str
    signed: Signed | None
    origins: tuple[tuple[int, str, str], ...] = ()

    @property
    def exit_code(self) -> int:
        """0 whole, 1 whole but for its descriptions."""
        return int(bool(self.otherwise))

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
        head = "whole, but for its descriptions" if self.otherwise else "whole"
        lines = [
            f"{head}: {self.pipeline}, run {self.run}",
            f"  files:        {self.files}, each with the SHA-256 of the list",
            f"  signature:    {signed}",
            f"  descriptions: {self._described()}",
            "  digests:      every artifact has the one its trace states",
            f"  package:      sha256:{self.digest}",
            *built,
        ]
        return "\n".join(map(printable, lines))

    def _described(self) -> str:
        if not self.otherwise:
            return f"{len(self.descriptions)}, each what follows from the manifest and the files"
        more = f" and {len(self.otherwise) - 3} more" if len(self.otherwise) > 3 else ""
        return (
            f"{', '.join(self.otherwise[:3])}{more} not as this pellucid writes them: another ({self.written_by}) wrote the package."
            " Believe the manifest, not them"
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
    """The rest of the check of a package that is whole: its artifacts' digests, its guarantees, and what its descriptions say."""
    from pellucid.packages import described
    from pellucid.pipeline.environment import pellucid_digest

    manifest = whole.manifest
    otherwise = look_inside(folder)
    if otherwise and manifest.environment["pellucid_source"] == pellucid_digest():
        refuse(otherwise[0], "it is not what follows from the manifest and the files", "it says something else")
    return Checked(
        pipeline=manifest.pipeline,
        run=manifest.run,
        digest=whole.digest,
        files=len(whole.listed),
        descriptions=tuple(described.paths(manifest)),
        otherwise=tuple(otherwise),
        written_by=f"pellucid {manifest.environment.get('pellucid') or 'of no version'}",
        signed=whole.signed,
    )


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
    from pellucid.packages import agreement, fixity, signature
    from pellucid.store.saved import sha256_of

    if key is not None:
        signature.public_key(key)  # before a large package is read
    with reading("the package"):
        listed = fixity.check(folder)
        signed = signature.check(folder, key)
        manifest, wheel = contents(folder, listed)
        agreement.refuse_disagreement(folder, manifest, listed, wheel)
        if signed is not None:
            _refuse_other_tolerances(signed, manifest)
        return Whole(manifest, wheel, listed, signed, sha256_of(folder / fixity.FILE))


def contents(folder: Path, listed: dict[str, str]) -> tuple[Manifest, str]:
    """The manifest of a package and the path of its wheel, once lock and wheel are as they must be. Executes nothing of it."""
    from pellucid.packages import lock, pylock, wheel
    from pellucid.packages import manifest as manifests

    for path in (manifests.FILE, lock.FILE, pylock.FILE):
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
    locked = lock.parse(text, lock.FILE)
    if locked.text() != text:
        refuse(lock.FILE, "it holds more than names, versions and hashes")
    pylock.refuse_other((folder / pylock.FILE).read_bytes(), locked, listed)
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


def look_inside(folder: Path) -> list[str]:
    """Open every artifact, sealed: each must have its canonical digest, and each guarantee must follow from its noise.

    Returns the descriptions that are not as this pellucid writes them. Raises PackageError.
    """
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
    return [printable(str(path))[:200] for path in found["otherwise"]]
