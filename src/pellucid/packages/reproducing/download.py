"""Getting a package from an address: one zip, within bounds, to a file, and of a catalogue the wheels that the zip leaves out.

Wheels are fetched from the site that gave the zip, under names that are hashes; nothing else is fetched.
"""

from __future__ import annotations

import http.client
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urljoin

from pellucid.errors import PackageError
from pellucid.packages.format import MAX_UNPACKED, parsed, printable, public, wheel_store

TIMEOUT = 60.0
_PORTION = 1 << 20


@contextmanager
def opened(package: Path | str, scratch: Path) -> Iterator[Path]:
    """The folder or file of a package: itself, or what an http(s) address serves. Raises PackageError."""
    if not re.match(r"https?://", str(package)):
        yield Path(package).resolve()
        return
    folder = scratch / "download"
    for place in ("files", wheel_store.FOLDER):
        (folder / place).mkdir(parents=True)
    try:
        found, left = _fetched(str(package), folder / "files" / _name(str(package)), MAX_UNPACKED)
        for sha256 in wheel_store.left_out(found):
            with suppress(PackageError):  # that it is missing is said by the check
                name = wheel_store.name_of(sha256)
                left = _fetched(urljoin(str(package), f"../{name}"), folder / name, left)[1]
        yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetched(address: str, target: Path, most: int) -> tuple[Path, int]:
    """The file, and how many of the `most` bytes are left."""
    where = public(address)
    parsed(address, where="PACKAGE", fix="Such as: https://data.example/package.zip")
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, target.open("wb") as file:
            if not re.match(r"https?://", answer.geturl()):
                raise PackageError("it leads to something that is not http", where=where)
            size = 0
            while body := answer.read(_PORTION):
                size += len(body)
                if size > most:
                    raise PackageError(f"it is larger than {MAX_UNPACKED >> 30} GiB", where=where)
                file.write(body)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise PackageError(
            "it cannot be fetched", where=where, why=printable(str(reason))[:200], fix="Check the address"
        ) from None
    return target, most - size


def _name(address: str) -> str:
    """What the file is called there, so that messages can name it; else package.zip."""
    found = re.search(r"[\w.-]{1,100}$", unquote(address.partition("?")[0].partition("#")[0].rpartition("/")[2]), re.ASCII)
    return found[0] if found and found[0].strip(".") else "package.zip"
