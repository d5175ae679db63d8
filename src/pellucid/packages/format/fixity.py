"""Fixity: every file of a package with its SHA-256, in a list that `sha256sum -c` reads too."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from pellucid.errors import PackageError, UsageError
from pellucid.packages.format import naming_rules
from pellucid.packages.format.json_text import MAX_BYTES, printable, refuse
from pellucid.store import sha256_of

FILE = "MANIFEST.sha256"
UNLISTED = frozenset({FILE, "attestation.dsse.json", "attestation.pub.pem"})  # the list, and the signature over it
MAX_FILES = 100_000
_LINE = re.compile(r"([0-9a-f]{64})  ([^\x00-\x1f\x7f\\]+)")


def write(package: Path) -> int:
    """List every file below `package` but the list itself; return how many there are with it.

    Raises UsageError for a name that a package cannot hold.
    """
    paths = sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    paths = [path for path in paths if path not in UNLISTED]
    for path in paths:
        if why := naming_rules.unfit(path):
            raise UsageError(f"{path!r:.120} cannot be a path in a package", why=why, fix="Rename it")
    if pair := naming_rules.twins(paths):
        raise UsageError(f"{pair[0]!r:.120} and {pair[1]!r:.120} would be one file on some systems", fix="Rename one of them")
    (package / FILE).write_text("".join(f"{sha256_of(package / path)}  {path}\n" for path in paths))
    return len(paths) + 1


def check(package: Path) -> dict[str, str]:
    """Path -> SHA-256 of every file, once the folder holds exactly the listed files with the listed bytes.

    Raises PackageError naming the first file that is missing, changed, undeclared or not a plain file, or a listed path that
    could lead out of the package. Nothing in the package is executed, and no link is followed.
    """
    if not package.is_dir():
        raise PackageError("there is no such folder", where=str(package), fix="Name a folder written by pellucid publish")
    listed = _listed(package)
    found = _found(package)
    for path in sorted(listed.keys() - found):
        why = (
            "A catalogue keeps wheels once: name the zip's address there, or put the wheel beside the zip"
            if path.endswith(".whl")
            else ""
        )
        refuse(path, "the file is missing from the package", why)
    for path in sorted(found - listed.keys()):
        raise PackageError(f"the file is not listed in {FILE}", where=printable(path), fix="Remove it, or get the package again")
    for path, sha256 in listed.items():
        if sha256_of(package / path) != sha256:
            refuse(path, "the file was changed", f"its bytes do not have the SHA-256 that {FILE} lists")
    return listed


def _listed(package: Path) -> dict[str, str]:
    source = package / FILE
    try:
        if not stat.S_ISREG(source.lstat().st_mode):
            refuse(FILE, "it is not a plain file")
        with source.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PackageError(
            f"there is no {FILE} in it",
            where=str(package),
            why=error.strerror or "",
            fix="Name a folder written by pellucid publish",
        ) from error
    if len(text) > MAX_BYTES:
        refuse(FILE, f"it is larger than {MAX_BYTES:,} bytes")
    listed: dict[str, str] = {}
    try:
        lines = text.decode().splitlines()
    except UnicodeDecodeError:
        refuse(FILE, "it is not text")
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if not match:
            refuse(f"{FILE}, line {number}", "it is not a SHA-256, two spaces and a path")
        sha256, path = match.groups()
        if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            refuse(f"{FILE}, line {number}", f"the path {path!r:.120} leads out of the package")
        if why := naming_rules.unfit(path):
            refuse(f"{FILE}, line {number}", f"{path!r:.120} cannot be a path in a package", why)
        if path in listed or path in UNLISTED:
            refuse(f"{FILE}, line {number}", f"{path!r:.120} is listed twice, or lists itself")
        listed[path] = sha256
    if not listed or len(listed) > MAX_FILES:
        refuse(FILE, f"it lists {len(listed):,} files")
    if pair := naming_rules.twins(listed):
        refuse(FILE, f"it lists {pair[0]!r:.120} and {pair[1]!r:.120}, which are one file on some systems")
    return listed


def _found(package: Path) -> set[str]:
    """Every file in the folder but the list. Raises PackageError for a link, a device, or too many."""
    found: set[str] = set()
    top = os.fspath(package)
    for folder, folders, files in os.walk(top, followlinks=False):
        inside = os.path.relpath(folder, top)
        for name in [*folders, *files]:
            shown = name if inside == "." else f"{inside}/{name}"
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if stat.S_ISLNK(mode):
                refuse(shown, "it is a link: a package holds files only")
            if shown.count("/") > naming_rules.DEEPEST:
                refuse(str(package), f"it holds folders more than {naming_rules.DEEPEST} deep")
            if name in folders and naming_rules.unfit(name):
                refuse(shown, "it cannot be the name of a folder in a package")
            if name in files and not stat.S_ISREG(mode):
                refuse(shown, "it is not a plain file")
            if name in files:
                found.add(shown)
        if len(found) > MAX_FILES + 1:
            refuse(str(package), f"it holds more than {MAX_FILES:,} files")
    return found - UNLISTED
