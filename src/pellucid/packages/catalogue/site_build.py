"""Building the site: every package checked, every page and file written beside, then put in place of the old site at once.

The same packages, receipts and options give the same bytes: no time of day is in it. What was in the site before keeps its datestamp
for harvesters; what is new or changed gets the date of the build.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, PellucidError, UsageError
from pellucid.packages.format import parsed, printable, public
from pellucid.packages.receipts import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.packages.catalogue.entries import Shelf, Site

FORMAT = "pellucid catalogue 1"
STATE = "harvest.json"  # what OAI-PMH is answered from, and how a site is known for one
_URL = re.compile(r"https?://[^\s<>\"'?#]+")


@dataclass(frozen=True)
class Built:
    """A site that was built: where, how many of what, which packages and receipts were refused, and notes for its owner."""

    site: Path
    packages: int
    datasets: int
    models: int
    receipts: int
    refused: tuple[Refused, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        refused = [{"path": str(one.path), "reason": one.name, "why": one.why} for one in self.refused]
        return {**vars(self), "site": str(self.site), "refused": refused, "notes": list(self.notes)}


def build(
    packages: Sequence[Path],
    site: Path,
    *,
    receipts: Path | None = None,
    trust: Iterable[Path] = (),
    url: str = "",
    title: str = "Open packages",
    publisher: str = "",
    day: str = "",
    keep_going: bool = False,
) -> Built:
    """Build the catalogue of the packages (folders or zips) in the folder `site`, which must be new or an earlier catalogue.

    `receipts` is a folder of receipts (*.json), `trust` public keys (PEM) to mark as trusted; `url` the address the site will have, for
    what needs absolute ones; `day` (YYYY-MM-DD) the date of the build, else the newest date in it. A package that `check` refuses stops
    the build, or with `keep_going` is left out and named. Raises UsageError and PackageError; the earlier site is then as it was.
    """
    from pellucid.packages.catalogue.entries import DATASET, MODEL, Site
    from pellucid.packages.catalogue.package_reading import shown
    from pellucid.packages.format import signature

    site = site.absolute()
    address = _address(url)
    earlier = _earlier(site)
    given, unfit = _receipts(receipts)
    trusted = {signature.public_key(path).keyid for path in trust}
    name = shown(title, 200) or "Open packages"
    about = Site(name, shown(publisher, 200) or name, address)
    with _beside(site) as draft:
        shelves, refused = _shelves(packages, draft, given, trusted, about, keep_going)
        days = [shelf.package.date for shelf in shelves] + [one.when[:10] for shelf in shelves for one, _ in shelf.tally.counted]
        today = _day(day) or max(days)
        _write(draft, _written(about, shelves, earlier, today))
        _put_in_place(draft, site)
    left_out = (*refused, *sorted([*unfit, *_unused(given, shelves)], key=lambda one: str(one.path)))
    used = sum(len(shelf.receipts) for shelf in shelves)
    notes = [] if address else ["without --url there is no feed.rss and no sitemap.xml: both need absolute addresses"]
    kinds = [record.kind for shelf in shelves for record in shelf.records]
    return Built(site, len(shelves), kinds.count(DATASET), kinds.count(MODEL), used, left_out, tuple(notes))


def _shelves(
    packages: Sequence[Path], draft: Path, receipts: Mapping[str, list[Path]], trusted: set[str], about: Site, keep_going: bool
) -> tuple[list[Shelf], list[Refused]]:
    """Each package checked, its pages tried, and its files in the draft. Two of the same bytes are one."""
    from pellucid.packages.format import archive

    found: dict[str, Shelf] = {}
    refused: list[Refused] = []
    for package in packages:
        with tempfile.TemporaryDirectory(prefix="pellucid-catalogue-") as scratch:
            try:
                with archive.opened(package.resolve(), Path(scratch)) as folder:
                    shelf = _one(folder, draft, receipts, trusted, about)
                    found.setdefault(shelf.package.id, shelf)
            except Exception as error:  # noqa: BLE001 (a stranger wrote it: the others are shown all the same)
                what, at, why = _said(error, package)
                if not keep_going:
                    where = f"{package}: {at}" if at else str(package)
                    raise PackageError(what, where=where, why=why, fix="Leave it out, or --keep-going") from None
                refused.append(Refused(package, f"{at}: {what}" if at else what, why))
    if not found:
        first, why = str(packages[0]) if packages else "", refused[0].name if refused else ""
        raise PackageError("no package is left to list", where=first, why=why, fix="Name a whole package")
    return sorted(found.values(), key=lambda shelf: shelf.package.id), refused


def _said(error: Exception, package: Path) -> tuple[str, str, str]:
    """What is wrong with a package, where in it, and why, each on one line."""
    if isinstance(error, PellucidError):
        parts = (error.what, "" if error.where == str(package.resolve()) else error.where, error.why)
    else:
        parts = ("it cannot be read or shown", "", f"{type(error).__name__}: {error}")
    what, where, why = (" ".join(printable(part).split())[:300] for part in parts)
    return what, where, why


def _one(folder: Path, draft: Path, receipts: Mapping[str, list[Path]], trusted: set[str], about: Site) -> Shelf:
    """A package as it will be listed, once everything that is written of it can be; only then are its files in the draft."""
    from pellucid.packages.catalogue import package_reading
    from pellucid.packages.catalogue.entries import File
    from pellucid.store import sha256_of

    shelf = package_reading.shelf(folder, receipts, trusted)
    record = shelf.package
    tried = replace(record, files=(File(f"files/{record.id}.zip", f"{record.id}.zip", 0, "0" * 64, "application/zip"),))
    _written(about, [replace(shelf, package=tried)], {}, record.date)
    whole = draft / "files" / f"{record.id}.zip"
    if not whole.exists():
        try:
            _offer(folder, draft, shelf, whole)
        except BaseException:
            for left in (whole.with_suffix(""), draft / "receipts" / record.id):
                shutil.rmtree(left, ignore_errors=True)
            whole.unlink(missing_ok=True)
            raise
    packed = File(f"files/{whole.name}", whole.name, whole.stat().st_size, sha256_of(whole), "application/zip")
    return replace(shelf, package=replace(record, files=(packed,)))


def _offer(folder: Path, draft: Path, shelf: Shelf, whole: Path) -> None:
    """The files of a package, and its receipts, in the draft."""
    from pellucid.packages.format import archive

    whole.parent.mkdir(exist_ok=True)
    archive.write(folder, whole)
    for part in shelf.parts:
        for file in part.files:
            (draft / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "artifacts" / file.name, draft / file.path)
    for place, path in shelf.receipts:
        (draft / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, draft / place)


def _written(about: Site, shelves: list[Shelf], earlier: Mapping[str, Any], today: str) -> dict[str, bytes]:
    """Path -> bytes of all that is written of the packages."""
    from pellucid.packages.catalogue import harvest, machine_formats, pages
    from pellucid.packages.format import as_json

    stamped = harvest.stamped(about, shelves, earlier, today)
    updated = max(one["datestamp"] for one in stamped["records"])
    written = {
        "index.html": pages.index(about, shelves),
        "catalog.jsonld": as_json(machine_formats.dcat(about, shelves, updated)),
        "feed.atom": machine_formats.atom(about, shelves, updated),
        STATE: as_json({"format": FORMAT, **stamped}),
    }
    if about.url:
        written["feed.rss"] = machine_formats.rss(about, shelves, updated)
        written["sitemap.xml"] = machine_formats.sitemap(about, shelves)
    for shelf in shelves:
        for record in shelf.records:
            written[record.path] = pages.record(about, shelf, record)
    return written


def _write(draft: Path, written: Mapping[str, bytes]) -> None:
    for path, body in written.items():
        (draft / path).parent.mkdir(exist_ok=True)
        (draft / path).write_bytes(body)


def _receipts(folder: Path | None) -> tuple[dict[str, list[Path]], list[Refused]]:
    """The receipts in a folder by the digest of the package they name, and those that cannot be ones. Each is read once."""
    from pellucid.packages.receipts import receipt

    found: dict[str, list[Path]] = {}
    refused: list[Refused] = []
    if folder is None:
        return found, refused
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=str(folder), fix="Name the folder that holds the receipts")
    for path in sorted(path for path in folder.glob("*.json") if path.is_file() and not path.is_symlink()):
        try:
            found.setdefault(receipt.read(path).package, []).append(path)
        except receipt.UnfitError as error:
            refused.append(Refused(path, error.what, error.why))
    return found, refused


def _unused(given: Mapping[str, list[Path]], shelves: list[Shelf]) -> list[Refused]:
    """The receipts that count for no package here, with the reason."""
    from pellucid.packages.receipts import WRONG_PACKAGE

    listed = {shelf.package.digest for shelf in shelves}
    far = [path for digest, paths in given.items() if digest not in listed for path in paths]
    near = [one for shelf in shelves for one in shelf.tally.refused]
    return near + [Refused(path, WRONG_PACKAGE, "it is of no package in this catalogue") for path in far]


def _address(url: str) -> str:
    if not url:
        return ""
    fix = "Such as: --url https://data.example/"
    parsed(url, where="--url", fix=fix)
    if not _URL.fullmatch(url):
        raise UsageError(f"{public(url)!r:.80} is no address of a site", where="--url", fix=fix)
    return url.rstrip("/") + "/"


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise UsageError(f"{text!r:.40} is no date", where="--date", fix="Such as: --date 2026-11-24") from None


def _earlier(site: Path) -> Mapping[str, Any]:
    """What the site that is there told harvesters. Raises UsageError for a folder that is something else."""
    from pellucid.packages.format import read_json

    if not site.exists() and not site.is_symlink():
        if not site.parent.is_dir():
            raise UsageError("there is no such folder", where=str(site.parent), fix="Make it first")
        return {}
    try:
        found = read_json(site / STATE, STATE)
    except PackageError:
        found = {}
    if found.get("format") != FORMAT or site.is_symlink():
        raise UsageError("it is there already and is no catalogue", where=str(site), fix="Name a new folder with --out")
    return found


@contextmanager
def _beside(site: Path) -> Iterator[Path]:
    """A folder beside the site to build in; gone when the build fails."""
    draft = Path(tempfile.mkdtemp(prefix=f".{site.name}.", suffix=".partial", dir=site.parent))
    draft.chmod(0o755)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, site: Path) -> None:
    if not site.exists():
        draft.rename(site)
        return
    old = site.with_name(f".{site.name}.{os.getpid()}.old")
    site.rename(old)
    try:
        draft.rename(site)
    except OSError:
        old.rename(site)
        raise
    shutil.rmtree(old)


def state_of(site: Path) -> dict[str, Any]:
    """What a site tells harvesters. Raises UsageError for a folder that is no catalogue."""
    from pellucid.packages.format import read_json

    try:
        found = read_json(site / STATE, STATE)
    except PackageError as error:
        raise UsageError("it is no catalogue", where=str(site), why=error.what, fix="Build one: pellucid catalogue") from None
    if found.get("format") != FORMAT:
        raise UsageError("it is no catalogue of this version", where=str(site), fix="Build it again: pellucid catalogue")
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]
