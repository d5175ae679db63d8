"""A package as one zip file: written so that the same folder gives the same bytes, read so that no file can do harm.

A zip from a stranger is unpacked only after its directory was looked at: names that leave the folder, links, twins, encrypted
members, and sizes beyond the bounds are refused, and what unpacks to more than it declared is stopped while it does.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pellucid.errors import PackageError, StoreError
from pellucid.packages.format import naming_rules, wheel_store
from pellucid.packages.format.fixity import FILE as LIST
from pellucid.packages.format.fixity import MAX_FILES
from pellucid.packages.format.json_text import printable, refuse

MAX_UNPACKED = 8 << 30  # bytes in all
MAX_RATIO = 200  # unpacked to packed, of a member above 1 MiB
_PORTION = 1 << 20


def write(folder: Path, target: Path, *, without: Callable[[str], bool] = lambda _: False) -> None:
    """Write the files below `folder` to the zip `target`, but those whose path `without` says: sorted, stored, dated 1 January 1980.
    Complete or absent."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            paths = ((path, path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())
            for path, name in sorted((path, name) for path, name in paths if not without(name)):
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.create_system, entry.external_attr, entry.file_size = 3, (stat.S_IFREG | 0o644) << 16, path.stat().st_size
                with path.open("rb") as source, archive.open(entry, "w", force_zip64=entry.file_size >= 1 << 31) as member:
                    shutil.copyfileobj(source, member, _PORTION)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def opened(package: Path, scratch: Path) -> Iterator[Path]:
    """The folder of a package: itself, or a zip unpacked into `scratch`. Raises PackageError for a zip that could do harm, and for what
    holds the package one folder further in. Wheels that a catalogue keeps beside a zip are put in their place."""
    if not package.is_file():
        if not package.is_dir():
            what, fix = "there is no such folder or zip", "Name one written by pellucid publish"
            raise PackageError(what, where=printable(str(package)), fix=fix)
        _refuse_further_in(package, package)
        yield package
        return
    folder = scratch / "package"
    folder.mkdir(parents=True)
    try:
        unpack(package, folder)
        _refuse_further_in(folder, package)
        wheel_store.complete(folder, package)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_further_in(folder: Path, package: Path) -> None:
    """Say where the list of files is, where it is not at the top: file managers put a folder into a zip, and unpack one into another."""
    if os.path.lexists(folder / LIST):
        return
    inside = sorted(path.name for path in folder.iterdir() if path.is_dir() and (path / LIST).is_file())
    what, zipped = f"there is no {LIST} in it", package.is_file()
    if len(inside) != 1:
        fix = "Name a folder or zip written by pellucid publish"
        raise PackageError(what, where=printable(str(package)), fix=fix)
    fix = f"Unpack it, and name the folder {inside[0]!r:.100}" if zipped else f"Name {str(package / inside[0])!r:.300}"
    raise PackageError(what, where=printable(str(package)), why="the package is one folder further in", fix=printable(fix))


def unpack(source: Path, folder: Path) -> None:
    """Unpack a zip into an empty folder. Raises PackageError before anything is written for names that cannot be; nothing is ever written
    outside of the folder, and never more than was declared."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            _refuse_harmful(entries, source.stat().st_size)
            free = shutil.disk_usage(folder).free
            if sum(entry.file_size for entry in entries) > free:
                raise StoreError("there is no room to unpack it", where=str(folder), fix="Make room, or set TMPDIR")
            for entry in entries:
                if not entry.is_dir():
                    with archive.open(entry) as member:
                        _put(member, folder / entry.filename, entry.file_size)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        UnicodeError,
    ) as error:
        refuse(source.name, "it is not a zip that can be unpacked", str(error)[:120])
    except OSError as error:
        raise PackageError("it cannot be unpacked", where=source.name, why=error.strerror or str(error)) from None
    except Exception as error:
        if isinstance(error, PackageError | StoreError):
            raise
        refuse(source.name, "it is not a zip that can be unpacked", type(error).__name__)


def _refuse_harmful(entries: list[zipfile.ZipInfo], packed: int) -> None:
    if not entries or len(entries) > 2 * MAX_FILES:
        refuse("the zip", f"it holds {len(entries):,} members")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        refuse("the zip", f"it unpacks to more than {MAX_UNPACKED >> 30} GiB")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        parts = name.removesuffix("/").split("/")
        mode = entry.external_attr >> 16
        if why := naming_rules.unfit("/".join(parts)):
            refuse("the zip", f"the name {printable(name)!r:.120} leads out of it, or cannot be one", why)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            refuse("the zip", f"{name!r:.120} is a link or a device: a package holds files only")
        if entry.flag_bits & 0x1:
            refuse("the zip", f"{name!r:.120} is encrypted")
        if name.casefold() in seen:
            refuse("the zip", f"it holds two files named {name!r:.120}")
        seen.add(name.casefold())
        if entry.file_size > _PORTION and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
            refuse("the zip", f"{name!r:.120} unpacks to more than {MAX_RATIO} times its size")
        if entry.compress_size > packed:
            refuse("the zip", f"{name!r:.120} is declared larger than the file that holds it")
    if pair := naming_rules.twins(sorted(entry.filename.removesuffix("/") for entry in entries)):
        refuse("the zip", f"it holds {pair[0]!r:.120} and {pair[1]!r:.120}, which are one file on some systems")
    folders = {"/".join(name.split("/")[:at]) for name in seen for at in range(1, name.count("/") + 1)}
    if clash := folders & seen:
        refuse("the zip", f"{min(clash)!r:.120} is a file and a folder")


def _put(member: IO[bytes], target: Path, size: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = size
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        while body := member.read(_PORTION):
            left -= len(body)
            if left < 0:
                refuse("the zip", f"{target.name!r:.120} unpacks to more than it declares")
            file.write(body)
