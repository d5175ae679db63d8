"""Taking packages into a site: each checked, its pages tried, its files and pages in the draft; what fails leaves nothing there.

Many packages are opened at once, so that one sealed process can look into them. What an earlier build found by looking is taken from the
index for a package whose every byte is what it was; all else is checked each time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, PellucidError
from pellucid.packages.format import printable
from pellucid.packages.receipts import Refused

if TYPE_CHECKING:
    from pellucid.packages.catalogue.entries import File, Shelf, Site
    from pellucid.packages.checking import WholePackage

_TOGETHER, _BYTES = 128, 1 << 30  # packages that are opened at once, and how much is unpacked of them before it is enough


@dataclass
class _Opened:
    """A package that was opened: its folder once it is whole, else the error."""

    package: Path
    folder: Path | None = None
    whole: WholePackage | None = None
    look: Mapping[str, Any] | None = None
    error: Exception | None = None


def shelves(
    packages: Sequence[Path], draft: Path, receipts: Mapping[str, list[Path]], trusted: set[str], about: Site, keep_going: bool
) -> tuple[list[Shelf], list[Refused]]:
    """Each package as it is listed, and those that were refused. Two of the same bytes are one.

    Raises PackageError for the first that is refused where it does not `keep_going`, and where none is left.
    """
    found: dict[str, Shelf] = {}
    refused: list[Refused] = []
    for one in _looked_into(packages):
        try:
            if one.error is not None:
                raise one.error
            shelf = _one(one, draft, receipts, trusted, about, found)
            found.setdefault(shelf.package.id, shelf)
        except Exception as error:  # noqa: BLE001 (a stranger wrote it: the others are shown all the same)
            what, at, why = _said(error, one.package)
            if not keep_going:
                where = f"{one.package}: {at}" if at else str(one.package)
                raise PackageError(what, where=where, why=why, fix="Leave it out, or --keep-going") from None
            refused.append(Refused(one.package, f"{at}: {what}" if at else what, why))
    if not found:
        first, why = str(packages[0]) if packages else "", refused[0].name if refused else ""
        raise PackageError("no package is left to list", where=first, why=why, fix="Name a whole package")
    return sorted(found.values(), key=lambda shelf: shelf.package.id), refused


def _looked_into(packages: Sequence[Path]) -> Iterator[_Opened]:
    """Each package, opened as long as it is looked at, in the order given."""
    from pellucid.packages.catalogue import looking

    waiting = list(packages)
    while waiting:
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pellucid-catalogue-")))
            batch: list[_Opened] = []
            unpacked = 0
            while waiting and len(batch) < _TOGETHER and unpacked < _BYTES:
                one = _open(waiting.pop(0), scratch / str(len(batch)), stack)
                batch.append(one)
                if one.folder is not None and one.package.is_file():
                    unpacked += sum(path.stat().st_size for path in one.folder.rglob("*"))
            new = [one for one in batch if one.folder is not None and one.look is None]
            for one, look in zip(new, looking.looks([one.folder for one in new if one.folder is not None]), strict=True):
                if one.whole is not None and "error" not in look:
                    looking.keep(one.whole.digest, look)
                    one.look = look
                else:
                    one.error = PackageError(printable(str(look.get("error")))[:500])
            yield from batch


def _open(package: Path, scratch: Path, stack: ExitStack) -> _Opened:
    from pellucid.packages.checking import package_check
    from pellucid.packages.format import archive

    try:
        folder = stack.enter_context(archive.opened(package.resolve(), scratch))
        kept: list[Mapping[str, Any]] = []
        whole = package_check.whole_package(folder, known=lambda digest: _is_known(digest, kept))
        return _Opened(package, folder, whole, kept[0] if kept else None)
    except Exception as error:  # noqa: BLE001 (it is told in the order of the packages)
        return _Opened(package, error=error)


def _is_known(digest: str, kept: list[Mapping[str, Any]]) -> bool:
    from pellucid.packages.catalogue import looking

    if (look := looking.known(digest)) is not None:
        kept.append(look)
    return bool(kept)


def _said(error: Exception, package: Path) -> tuple[str, str, str]:
    """What is wrong with a package, where in it, and why, each on one line."""
    if isinstance(error, PellucidError):
        parts = (error.what, "" if error.where == str(package.resolve()) else error.where, error.why)
    else:
        parts = ("it cannot be read or shown", "", f"{type(error).__name__}: {error}")
    what, where, why = (" ".join(printable(part).split())[:300] for part in parts)
    return what, where, why


def _one(
    one: _Opened, draft: Path, receipts: Mapping[str, list[Path]], trusted: set[str], about: Site, found: Mapping[str, Shelf]
) -> Shelf:
    """A package as it will be listed, its files and pages in the draft once all of them could be made."""
    from pellucid.packages.catalogue import package_reading, site_text

    assert one.folder is not None
    assert one.whole is not None
    assert one.look is not None
    shelf = package_reading.shelf(one.folder, one.whole, one.look, receipts, trusted)
    if shelf.package.id in found:
        return shelf
    before = set(draft.iterdir())
    own = [draft / "files" / shelf.package.id, draft / "files" / f"{shelf.package.id}.zip", draft / "receipts" / shelf.package.id]
    try:
        shelf = replace(shelf, package=replace(shelf.package, files=(_packed(one.folder, draft, shelf),)))
        pages = site_text.of_package(about, shelf)
        site_text.lists(about, [shelf], {}, shelf.package.date)  # whether they can be made
        _offer(one.folder, draft, shelf)
        for path, body in pages.items():
            own.append(draft / path)
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_bytes(body)
    except BaseException:
        for left in own:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        for folder in set(draft.iterdir()) - before:
            with suppress(OSError):
                folder.rmdir()
        raise
    seen = {name: replace(preview, cells=()) for name, preview in shelf.previews.items()}
    return replace(shelf, shown=(), previews=seen)  # they are on its pages: those of many packages are not held in memory


def _packed(folder: Path, draft: Path, shelf: Shelf) -> File:
    """The zip of a package in the draft, without its wheels."""
    from pellucid.packages.catalogue.entries import File
    from pellucid.packages.format import archive, wheel_store
    from pellucid.store import sha256_of

    whole = draft / "files" / f"{shelf.package.id}.zip"
    whole.parent.mkdir(exist_ok=True)
    archive.write(folder, whole, without=wheel_store.is_wheel)
    return File(f"files/{whole.name}", whole.name, whole.stat().st_size, sha256_of(whole), "application/zip")


def _offer(folder: Path, draft: Path, shelf: Shelf) -> None:
    """The artifacts of a package, its receipts, and those of its wheels that no other brought, in the draft."""
    for part in shelf.parts:
        for file in part.files:
            (draft / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "artifacts" / file.name, draft / file.path)
    for place, path in shelf.receipts:
        (draft / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, draft / place)
    for wheel in shelf.wheels:
        target = draft / wheel.path
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            partial = target.with_suffix(f".{os.getpid()}.partial")
            shutil.copyfile(folder / wheel.name, partial)
            partial.replace(target)
