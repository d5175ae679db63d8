"""Check: is a package whole, signed, and what its descriptions say? Without network, and without running anything of it.

In this order: every file has the SHA-256 that the list states and no other is there; the signature is over that list; manifest, locks
and wheel are of the shape they must have, and agree with each other and the files; then, in a sealed process, every artifact has the
canonical digest of its trace, no guarantee is stronger than its noise, and every description is what follows from the manifest.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pellucid.errors import PackageError
from pellucid.packages.format import printable, reading, refuse

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest, Signed


@dataclass(frozen=True)
class CheckReport:
    """What was found whole: how many files, which descriptions, whose signature (None: unsigned), and the packages it builds on: (depth,
    title and artifact, what came of looking for it).

    `otherwise` are descriptions that are not as this pellucid writes them, of a package that another wrote (`written_by`): nothing is
    known of them. A package by this very pellucid has none: it is refused. `code` names the files of code, `libraries` what its lock holds
    beyond what pellucid itself needs.
    """

    pipeline: str
    run: str
    digest: str
    files: int
    descriptions: tuple[str, ...]
    otherwise: tuple[str, ...]
    written_by: str
    signed: Signed | None
    code: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
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
        from pellucid.packages.checking import locked_libraries

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
            f"  code:         {self._code()}",
            f"  libraries:    {locked_libraries.libraries_in_words(self.libraries)}",
            f"  package:      sha256:{self.digest}",
            *built,
        ]
        return "\n".join(map(printable, lines))

    def _code(self) -> str:
        """The files of code by name: all that a package may hold besides what follows from its manifest."""
        more = f" and {len(self.code) - 12} more" if len(self.code) > 12 else ""
        return f"{', '.join(self.code[:12])}{more}; read it before you believe what it computes"

    def _described(self) -> str:
        if not self.otherwise:
            return f"{len(self.descriptions)}, each what follows from the manifest and the files"
        more = f" and {len(self.otherwise) - 3} more" if len(self.otherwise) > 3 else ""
        return (
            f"{', '.join(self.otherwise[:3])}{more} not as this pellucid writes them: another ({self.written_by}) wrote the package."
            " Believe the manifest, not them"
        )


def check(package: Path, *, key: Path | None = None, origins: Iterable[Path] = ()) -> CheckReport:
    """Check the package in the folder or zip `package`; `key` is a public key (PEM) it must be signed with; `origins` are packages that
    it says it builds on, which are checked as well, and held against what it says of them.

    Raises PackageError naming the first thing that is not as it should be.
    """
    from pellucid.packages.format import archive
    from pellucid.packages.format import manifest as manifests

    package = package.resolve()
    with tempfile.TemporaryDirectory(prefix="pellucid-check-") as scratch, archive.opened(package, Path(scratch)) as folder:
        found, manifest = checked(folder, key=key), manifests.read(folder)
    followed = [(depth, f"{one['artifact']} of {one['title']}", said) for depth, one, said in follow(manifest, origins)]
    return replace(found, origins=tuple((depth, printable(what)[:200], said) for depth, what, said in followed))


def checked(folder: Path, *, key: Path | None = None) -> CheckReport:
    """The same for a folder."""
    return told(folder, whole_package(folder, key=key))


def told(folder: Path, whole: WholePackage) -> CheckReport:
    """The rest of the check of a package that is whole: its artifacts' digests, its guarantees, and what its descriptions say."""
    from pellucid.packages.checking import locked_libraries
    from pellucid.packages.standards import generated_metadata

    manifest = whole.manifest
    otherwise = look_inside(folder)
    refuse_otherwise(manifest, otherwise)
    return CheckReport(
        pipeline=manifest.pipeline,
        run=manifest.run,
        digest=whole.digest,
        files=len(whole.listed),
        descriptions=tuple(generated_metadata.paths(manifest)),
        otherwise=tuple(otherwise),
        code=tuple(path.removeprefix("code/") for path in sorted(whole.listed) if path.startswith("code/")),
        libraries=tuple(map(printable, locked_libraries.beyond(folder))),
        written_by=f"pellucid {manifest.environment.get('pellucid') or 'of no version'}",
        signed=whole.signed,
    )


def refuse_otherwise(manifest: Manifest, otherwise: Sequence[str]) -> None:
    """Refuse descriptions that this pellucid would write otherwise, of a package that says to be its own. Raises PackageError."""
    from pellucid.pipeline.keys import pellucid_digest

    if otherwise and manifest.environment["pellucid_source"] == pellucid_digest():
        refuse(otherwise[0], "it is not what follows from the manifest and the files", "it says something else")


@dataclass(frozen=True)
class WholePackage:
    """A package that is as its publisher wrote it: its manifest, the path of its wheel, its files, its signature, and the SHA-256 of
    the list of its files, which names it."""

    manifest: Manifest
    wheel: str
    listed: dict[str, str]
    signed: Signed | None
    digest: str


def whole_package(folder: Path, *, key: Path | None = None, known: Callable[[str], bool] = lambda _: False) -> WholePackage:
    """What must hold before anything of a package is run; what its descriptions say is not looked at. Raises PackageError.

    `known` says of the SHA-256 of a list of files whether a package with this list was found whole by this very pellucid: then its bytes
    are held against the list, and its signature against both; what follows from the bytes alone is not found out again.
    """
    from pellucid.packages.checking import manifest_consistency
    from pellucid.packages.format import fixity, signature
    from pellucid.packages.format import manifest as manifests
    from pellucid.store import sha256_of

    if key is not None:
        signature.public_key(key)  # before a large package is read
    with reading("the package"):
        listed = fixity.check(folder)
        signed = signature.check(folder, key)
        digest = sha256_of(folder / fixity.FILE)
        if known(digest):
            manifest, wheel = manifests.read(folder), _own_wheel(listed)
        else:
            manifest, wheel = contents(folder, listed)
            manifest_consistency.refuse_disagreement(folder, manifest, listed, wheel)
        if signed is not None:
            _refuse_other_tolerances(signed, manifest)
        return WholePackage(manifest, wheel, listed, signed, digest)


def contents(folder: Path, listed: dict[str, str]) -> tuple[Manifest, str]:
    """The manifest of a package and the path of its wheel, once lock and wheel are as they must be. Executes nothing of it."""
    from pellucid.packages.checking import code_names
    from pellucid.packages.format import lock_file, pylock, wheel
    from pellucid.packages.format import manifest as manifests

    for path in (manifests.FILE, lock_file.FILE, pylock.FILE):
        if path not in listed:
            refuse(path, "the file is missing from the package")
    manifest = manifests.read(folder)
    for path in [manifest.file, *(leaf.path for value in manifest.open.values() for leaf in value.leaves)]:
        if path not in listed:
            refuse(path, "the file is missing from the package", f"{manifests.FILE} names it")
    try:
        text = (folder / lock_file.FILE).read_text()
    except UnicodeDecodeError:
        refuse(lock_file.FILE, "it is not text")
    locked = lock_file.parse(text, lock_file.FILE)
    if locked.text() != text:
        refuse(lock_file.FILE, "it holds more than names, versions and hashes")
    code_names.refuse_shadowing(listed, locked.pins)
    pylock.refuse_other((folder / pylock.FILE).read_bytes(), locked, listed)
    own = _own_wheel(listed)
    wheel.check(folder / own, own)
    for path in sorted(path for path in listed if path.startswith(f"{pylock.WHEELS}/")):
        wheel.refuse_other_record(folder / path, path)
    return manifest, own


def _own_wheel(listed: Mapping[str, str]) -> str:
    wheels = [path for path in listed if path.startswith("environment/") and path.endswith(".whl") and path.count("/") == 1]
    if len(wheels) != 1:
        refuse("environment", f"it holds {len(wheels)} wheels, not the one of pellucid")
    return wheels[0]


def _refuse_other_tolerances(signed: Signed, manifest: Manifest) -> None:
    """How far a result may differ was declared before publication: the signature says so, and it is what the manifest says."""
    from pellucid.packages.format import signature

    stated = {entry.step: entry.tolerance for entry in manifest.trace if entry.tolerance is not None}
    predicate = signed.statement.get("predicate")
    known = {"tolerances": stated, "other_kernel": manifest.other_kernel, "run": manifest.run}
    if not isinstance(predicate, dict) or {name: predicate.get(name) for name in known} != known:
        refuse(signature.FILE, "what was signed is not what the manifest says", "another run, or other tolerances")


def look_inside(folder: Path) -> list[str]:
    """Open every artifact, sealed: each must have its canonical digest, and each guarantee must follow from its noise.

    Returns the descriptions that are not as this pellucid writes them. Raises PackageError.
    """
    from pellucid.sandbox import launcher, limits

    command = [sys.executable, "-P", "-m", "pellucid.packages.checking.artifact_verification", str(folder)]
    bound = limits.of_reading((folder / "artifacts").rglob("*"))
    with tempfile.TemporaryDirectory(prefix="pellucid-check-") as work:
        read, scratch = [folder, *launcher.own_folders()], Path(work, "scratch")
        scratch.mkdir()
        env = launcher.own_environment() | {"TMPDIR": str(scratch)}
        ended = launcher.run(command, read=read, write=[scratch], env=env, folder=Path(work), log="digests", limits=bound)
    try:
        found = json.loads("" if ended.stopped else ended.output.splitlines()[-1])
    except (ValueError, IndexError):
        raise PackageError("its artifacts could not be read", why=printable(ended.why)[:300]) from None
    if "error" in found:
        raise PackageError(printable(str(found["error"]))[:500])
    return [printable(str(path))[:200] for path in found["otherwise"]]


def follow(manifest: Manifest, packages: Iterable[Path]) -> list[tuple[int, Mapping[str, Any], str]]:
    """Each origin with what came of looking for it among `packages`: "found", or why not.

    Raises PackageError when a package that is the one named is not what is said of it: the origin is made anew from it, and compared.
    (Who signed is compared where a signer is cited: the same package may be signed later.)
    """
    from pellucid.packages.format import archive, origin_chain
    from pellucid.packages.format import manifest as manifests

    known: dict[str, tuple[Manifest, str | None]] = {}
    for package in packages:
        with (
            tempfile.TemporaryDirectory(prefix="pellucid-chain-") as scratch,
            archive.opened(package.resolve(), Path(scratch)) as place,
        ):
            found = checked(place)
            known[found.digest] = manifests.read(place), None if found.signed is None else found.signed.key
    followed = []
    for depth, cited in origin_chain.chain(manifest):
        if cited["package"] not in known:
            followed.append((depth, cited, "not looked at: name its package with --origin"))
            continue
        there, signed = known[cited["package"]]
        if cited["artifact"] not in there.open:
            _refuse_false(cited, f"it has no artifact {cited['artifact']!r:.60}")
        own = origin_chain.origin_of(there, cited["artifact"], cited["package"], signed if cited["signed"] else None)
        for part in own:
            if cited[part] != own[part]:
                _refuse_false(cited, f"the {part} that is cited is not its own")
        followed.append((depth, cited, "found"))
    return followed


def _refuse_false(origin: Mapping[str, Any], why: str) -> NoReturn:
    raise PackageError(f"the package {printable(origin['title'])!r:.60} is not what it is cited for", where="origins", why=why)
