"""Getting a package from an address: one zip, within bounds, to a file; nothing else is fetched."""

from __future__ import annotations

import http.client
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from pellucid.errors import PackageError
from pellucid.packages.format import MAX_UNPACKED, parsed, printable, public

TIMEOUT = 60.0
_PORTION = 1 << 20


@contextmanager
def opened(package: Path | str, scratch: Path) -> Iterator[Path]:
    """The folder or file of a package: itself, or what an http(s) address serves. Raises PackageError."""
    if not re.match(r"https?://", str(package)):
        yield Path(package).resolve()
        return
    folder = scratch / "download"
    folder.mkdir(parents=True)
    try:
        yield _fetched(str(package), folder / _name(str(package)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetched(address: str, target: Path) -> Path:
    where = public(address)
    parsed(address, where="PACKAGE", fix="Such as: https://data.example/package.zip")
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, target.open("wb") as file:
            if not re.match(r"https?://", answer.geturl()):
                raise PackageError("it leads to something that is not http", where=where)
            size = 0
            while body := answer.read(_PORTION):
                size += len(body)
                if size > MAX_UNPACKED:
                    raise PackageError(f"it is larger than {MAX_UNPACKED >> 30} GiB", where=where)
                file.write(body)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise PackageError(
            "it cannot be fetched", where=where, why=printable(str(reason))[:200], fix="Check the address"
        ) from None
    return target


def _name(address: str) -> str:
    """What the file is called there, so that messages can name it; else package.zip."""
    found = re.search(r"[\w.-]{1,100}$", unquote(address.partition("?")[0].partition("#")[0].rpartition("/")[2]), re.ASCII)
    return found[0] if found and found[0].strip(".") else "package.zip"
