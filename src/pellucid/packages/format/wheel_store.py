"""Wheels that a catalogue keeps once for all its packages: which a zip leaves out, and how they come back before it is checked.

A site has its packages in `files/` and their wheels in `wheels/`, each named by its SHA-256. What is missing of a package is taken from
there, or from beside the zip under its own name, and only with the hash that the package's list states.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pellucid.packages.format.fixity import FILE as LIST
from pellucid.packages.format.json_text import MAX_BYTES
from pellucid.store import sha256_of

FOLDER = "wheels"
MOST = 2000  # wheels of a package
_LISTED = re.compile(rb"([0-9a-f]{64})  (environment/(?:wheels/)?[^/\x00-\x1f\\]+\.whl)")


def is_wheel(path: str) -> bool:
    """Whether a path of a package is that of a wheel, which a catalogue keeps once."""
    return re.fullmatch(r"environment/(?:wheels/)?[^/]+\.whl", path) is not None


def name_of(sha256: str) -> str:
    """Where a site keeps a wheel."""
    return f"{FOLDER}/{sha256}.whl"


def listed(text: bytes) -> Iterator[tuple[str, str]]:
    """(path, SHA-256) of each wheel in a list of files, `MOST` at most."""
    count = 0
    for line in text.splitlines():
        if count < MOST and (match := _LISTED.fullmatch(line)):
            count += 1
            with suppress(UnicodeDecodeError):
                yield match[2].decode(), match[1].decode()


def left_out(package: Path) -> list[str]:
    """The SHA-256 of each wheel that a zip lists and does not hold. Nothing is unpacked; of what is no package, none."""
    with suppress(zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, RuntimeError, NotImplementedError, EOFError):
        with zipfile.ZipFile(package) as archive:
            names = set(archive.namelist())
            with archive.open(LIST) as file:
                text = file.read(MAX_BYTES)
        return sorted({sha256 for path, sha256 in listed(text) if path not in names})
    return []


def complete(folder: Path, package: Path) -> None:
    """Put the wheels that the zip `package`, unpacked into `folder`, leaves out where they belong, as far as they are found."""
    try:
        with (folder / LIST).open("rb") as file:
            text = file.read(MAX_BYTES)
    except OSError:
        return
    for path, sha256 in listed(text):
        target = folder / path
        if os.path.lexists(target):
            continue
        for source in (package.parent.parent / name_of(sha256), package.parent / target.name):
            with suppress(OSError):
                if stat.S_ISREG(source.lstat().st_mode) and sha256_of(source) == sha256:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
                    break
