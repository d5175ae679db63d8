"""Building the site: every package checked, every page and file written beside, then put in place of the old site at once.

The same packages, receipts and options give the same bytes: no time of day is in it. What was in the site before keeps its datestamp
for harvesters; what is new or changed gets the date of the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.packages.format import parsed, public
from pellucid.packages.receipts import Refused

if TYPE_CHECKING:
    from pellucid.packages.catalogue.entries import Shelf

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
    from pellucid.packages.catalogue import package_listing, site_folder, site_text
    from pellucid.packages.catalogue.entries import DATASET, MODEL, Site
    from pellucid.packages.catalogue.package_reading import shown
    from pellucid.packages.format import signature

    site = site.absolute()
    address = _address(url)
    earlier = site_folder.earlier(site)
    given, unfit = _receipts(receipts)
    trusted = {signature.public_key(path).keyid for path in trust}
    name = shown(title, 200) or "Open packages"
    about = Site(name, shown(publisher, 200) or name, address)
    with site_folder.beside(site) as draft:
        shelves, refused = package_listing.shelves(packages, draft, given, trusted, about, keep_going)
        days = [shelf.package.date for shelf in shelves] + [one.when[:10] for shelf in shelves for one, _ in shelf.tally.counted]
        today = _day(day) or max(days)
        _write(draft, site_text.lists(about, shelves, earlier, today))
        site_folder.put_in_place(draft, site)
    left_out = (*refused, *sorted([*unfit, *_unused(given, shelves)], key=lambda one: str(one.path)))
    used = sum(len(shelf.receipts) for shelf in shelves)
    notes = [] if address else ["without --url there is no feed.rss and no sitemap.xml: both need absolute addresses"]
    kinds = [record.kind for shelf in shelves for record in shelf.records]
    return Built(site, len(shelves), kinds.count(DATASET), kinds.count(MODEL), used, left_out, tuple(notes))


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
