"""Counting receipts: how many others re-ran a package, each by a key of its own, and what came of it.

A key counts once, whatever it signs, and the publisher's own never: who made a package is no second witness of it. Anyone can make as
many keys as they like, so only the keys that the reader trusts say how many people stand behind a count.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, UsageError

if TYPE_CHECKING:
    from pellucid.packages.checking import WholePackage
    from pellucid.packages.receipts.receipt import Receipt


@dataclass(frozen=True)
class Refused:
    """A receipt that does not count: its file, the name of the reason, and more of it."""

    path: Path
    name: str
    why: str


@dataclass(frozen=True)
class ReceiptCounts:
    """The receipts of a package: those that count, one a key, each with whether its key is trusted; and those that do not.

    `publisher` is the id of the key that signed the package or was named as the publisher's, "" where neither is so (then nobody can tell
    a receipt of its publisher from another's).
    """

    package: str
    pipeline: str
    publisher: str
    counted: tuple[tuple[Receipt, bool], ...]
    refused: tuple[Refused, ...]

    def keys(self, *verdicts: str, trusted: bool = False) -> int:
        """How many distinct keys came to one of the verdicts; with `trusted`, how many of those you trust."""
        return sum(receipt.verdict in verdicts and (known or not trusted) for receipt, known in self.counted)

    @property
    def confirmed(self) -> int:
        """How many keys say that it came out the same, bit for bit."""
        from pellucid.packages.reproducing import IDENTICAL

        return self.keys(IDENTICAL)

    @property
    def within(self) -> int:
        """How many say that it came out within a tolerance: the one declared before publication, or what another kernel may do."""
        from pellucid.packages.reproducing import KERNEL, WITHIN

        return self.keys(WITHIN, KERNEL)

    @property
    def confirmed_by_trusted(self) -> int:
        """How many of those you trust."""
        from pellucid.packages.reproducing import IDENTICAL

        return self.keys(IDENTICAL, trusted=True)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "package": self.package,
            "pipeline": self.pipeline,
            "publisher": self.publisher or None,
            "confirmed": self.confirmed,
            "confirmed_by_trusted": self.confirmed_by_trusted,
            "within_tolerance": self.within,
            "verdicts": dict(sorted(Counter(receipt.verdict for receipt, _ in self.counted).items())),
            "receipts": [{**receipt.to_json(), "trusted": known} for receipt, known in self.counted],
            "refused": [{"path": str(one.path), "reason": one.name, "why": one.why} for one in self.refused],
        }


def tally(
    package: Path,
    receipts: Iterable[Path],
    *,
    trust: Iterable[Path] = (),
    key: Path | None = None,
    now: datetime | None = None,
) -> ReceiptCounts:
    """Count the receipts in the files `receipts` for the package in the folder or zip `package`.

    `trust` names public keys (PEM) of people you trust; `key` is the publisher's, whose receipts never count, though the signature was
    taken off the package; `now` is the time by which a receipt may not be of the future. Raises UsageError for a receipt that is not
    there, PackageError for a package that is not whole or signed by another key than `key`, and for a key that cannot be read; a receipt
    that does not count is in `refused`.
    """
    from pellucid.packages.checking import package_check
    from pellucid.packages.format import archive, signature

    trusted = {signature.public_key(path).keyid for path in trust}
    publisher = "" if key is None else signature.public_key(key).keyid
    receipts = list(receipts)
    for path in receipts:
        if not path.is_file():
            raise UsageError("there is no such receipt", where=str(path), fix="Name files written by reproduce --receipt")
    with (
        tempfile.TemporaryDirectory(prefix="pellucid-receipts-") as scratch,
        archive.opened(package.resolve(), Path(scratch)) as folder,
    ):
        whole = package_check.whole_package(folder)
    if key is not None and whole.signed is not None and whole.signed.key != publisher:
        raise PackageError("the package is signed by another key", where=str(package), fix="Name the publisher's own with --key")
    return sorted_out(whole, receipts, trusted, now, publisher=publisher)


def sorted_out(
    whole: WholePackage, receipts: Iterable[Path], trusted: set[str], now: datetime | None = None, *, publisher: str = ""
) -> ReceiptCounts:
    """The same for a package that was checked; `trusted` are ids of keys, and so is `publisher`: whose no receipt may be."""
    from pellucid.packages.receipts import receipt as one
    from pellucid.packages.receipts.receipt import UnfitError

    publisher = publisher if whole.signed is None else whole.signed.key
    until = ((now or datetime.now(UTC)) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found: list[Receipt] = []
    refused: list[Refused] = []
    for path in receipts:
        try:
            read = one.read(path)
            _refuse_unfit(read, whole, until, publisher)
            found.append(read)
        except UnfitError as error:
            refused.append(Refused(path, error.what, error.why))
    latest: dict[str, Receipt] = {}
    for read in found:
        known = latest.get(read.key)
        if known is None or (known.when, known.statement) < (read.when, read.statement):
            latest[read.key] = read
    for read in found:
        kept = latest[read.key]
        if read is kept:
            continue
        if read.statement == kept.statement:
            refused.append(Refused(read.path, one.REPLAYED, f"it is {kept.path.name} once more"))
        else:
            refused.append(Refused(read.path, one.DUPLICATE, f"a key counts once, and this one signed {kept.path.name} too"))
    counted = sorted(latest.values(), key=lambda read: (read.when, read.key))
    pairs = tuple((read, read.key in trusted) for read in counted)
    return ReceiptCounts(
        whole.digest, whole.manifest.pipeline, publisher, pairs, tuple(sorted(refused, key=lambda no: str(no.path)))
    )


def _refuse_unfit(read: Receipt, whole: WholePackage, until: str, publisher: str) -> None:
    """A receipt is of this very package, by somebody else, of a possible time, and of one mind. Raises UnfitError."""
    from pellucid.packages.receipts import receipt as one
    from pellucid.packages.reproducing import KERNEL, WITHIN, kernels

    manifest = whole.manifest
    if read.package != whole.digest:
        one.unfit(one.WRONG_PACKAGE, f"it is of the package sha256:{read.package[:16]}..., not of this one", read.path)
    if publisher and read.key == publisher:
        one.unfit(one.OWN, "it is signed by the key of who published the package: no second witness", read.path)
    if (read.pipeline, read.run) != (manifest.pipeline, manifest.run):
        one.unfit(one.CONTRADICTS, "it names another pipeline or run than the package it is of", read.path)
    if read.when[:10] < manifest.date or read.when > until:
        why = "before the package was made" if read.when[:10] < manifest.date else "in the future"
        one.unfit(one.MISDATED, f"{read.when} is {why}", read.path)
    if [step[:2] for step in read.steps] != [(entry.step, entry.role) for entry in manifest.trace]:
        one.unfit(one.CONTRADICTS, "its steps are not those of the package", read.path)
    _refuse_two_minds(read)
    other_kernel = read.machine["kernel"] != kernels(manifest.environment)
    for entry, (_, _, result) in zip(manifest.trace, read.steps, strict=True):
        if (result == WITHIN and entry.tolerance is None) or (result == KERNEL and not (other_kernel and manifest.other_kernel)):
            one.unfit(one.CONTRADICTS, "it is within a tolerance that nobody declared", read.path)


def _refuse_two_minds(read: Receipt) -> None:
    """The verdict follows from the results of the steps: those re-run, and those given, whose files were held against the trace."""
    from pellucid.packages.format import PRIVATE, RERUN
    from pellucid.packages.receipts import receipt as one
    from pellucid.packages.reproducing import COULD_NOT, DIFFERENT, EXIT, IDENTICAL, KERNEL, WITHIN

    rerun = {result for _, role, result in read.steps if role == RERUN}
    results = {result for _, role, result in read.steps if role != PRIVATE}
    private = {result for _, role, result in read.steps if role == PRIVATE}
    follows = {
        IDENTICAL: bool(rerun) and results == {IDENTICAL},
        WITHIN: WITHIN in rerun and results <= {IDENTICAL, WITHIN},
        KERNEL: KERNEL in rerun and results <= {IDENTICAL, WITHIN, KERNEL},
        DIFFERENT: DIFFERENT in results,
        COULD_NOT: DIFFERENT not in results,
    }[read.verdict]
    if not follows or private - {""} or results - {*EXIT, ""}:
        one.unfit(one.CONTRADICTS, f"its steps do not add up to {read.verdict}", read.path)
