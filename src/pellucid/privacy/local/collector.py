"""The collector: takes good reports, refuses bad ones by name, and remembers both in the state file."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.local.collection import Collection, read
from pellucid.privacy.local.directions import Directions, MeanDirection
from pellucid.privacy.local.oracles import Estimate, estimate
from pellucid.privacy.local.report_format import Report, decoded, unbatched
from pellucid.store import connect, transaction

if TYPE_CHECKING:
    from numpy.typing import NDArray

DDL = """
CREATE TABLE IF NOT EXISTS local_collections (id BLOB PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS local_reports (
    collection BLOB NOT NULL REFERENCES local_collections (id),
    client BLOB NOT NULL,
    nonce BLOB NOT NULL,
    period INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (client, collection, nonce)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS local_reports_period ON local_reports (collection, period, client);
CREATE TABLE IF NOT EXISTS local_refused (
    client BLOB NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (client, reason)
) WITHOUT ROWID;
"""
NOBODY = b""  # a report too broken to say whose it is
CHUNK = 50_000


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: how many reports were taken, and how many refused, by reason."""

    taken: int
    refused: dict[str, int] = field(default_factory=dict)


class Collector:
    """Reports of any number of collections, in the state file of `home`. Safe for several processes at once.

    A batch is taken in one transaction, durable when `take` returns: all its good reports, and the trace of every bad one. A
    client is who holds a token, and names the period of its report: within the `periods` that are taken now the cap stops a client that
    sends too much, not someone who makes up tokens, so put the collector behind whatever tells your users from strangers.
    """

    def __init__(self, home: Path) -> None:
        self._db = connect(home, DDL, durable=True)
        self._known: dict[bytes, Collection] = {}

    def close(self) -> None:
        self._db.close()

    def open(self, collection: Collection) -> None:
        """Take reports for this collection from now on."""
        self._db.execute("INSERT OR IGNORE INTO local_collections VALUES (?, ?)", (collection.id, collection.text))

    def collections(self) -> list[Collection]:
        """The open collections, by name."""
        for row in self._db.execute("SELECT id, text FROM local_collections").fetchall():
            if row["id"] not in self._known:
                self._known[row["id"]] = read(row["text"])
        return sorted(self._known.values(), key=lambda one: (one.name, one.id))

    def ingest(self, data: bytes, periods: range | None = None, most: int | None = None) -> Outcome:
        """Take a batch, of the `periods` that are open now (None: of any, each with a cap of its own), the first `most` of it.

        PrivacyError, with a trace, if it is no batch at all; one bad report costs no good one.
        """
        try:
            if most is None:
                return self.take_reports(unbatched(data), periods)
            reports = list(unbatched(data))
            outcome, over = self.take_reports(reports[:most], periods), len(reports) - most
            return replace(outcome, refused={**outcome.refused, "enough were taken": over}) if over > 0 else outcome
        except PrivacyError:
            with transaction(self._db):
                self._refuse(Counter({(NOBODY, "malformed"): 1}))
            raise

    def take_reports(self, reports: Iterable[bytes | None], periods: range | None = None) -> Outcome:
        """The same for single reports; None stands for one that was cut off."""
        self.collections()
        taken, refused = 0, Counter[tuple[bytes, str]]()
        with transaction(self._db):
            waiting: dict[bytes, list[Report]] = {}
            for data in reports:
                report = "malformed" if data is None else decoded(data)
                reason = report if isinstance(report, str) else self._mismatch(report, periods)
                if isinstance(report, str) or reason:
                    refused[NOBODY if isinstance(report, str) else report.client, reason] += 1
                else:
                    waiting.setdefault(report.collection, []).append(report)
            for key in sorted(waiting):
                collection = self._known[key]
                for report, good in zip(waiting[key], _valid(collection, waiting[key]), strict=True):
                    reason = self._insert(collection, report) if good else "malformed"
                    if reason:
                        refused[report.client, reason] += 1
                    else:
                        taken += 1
            self._refuse(refused)
        by_reason: Counter[str] = Counter()
        for (_, reason), count in refused.items():
            by_reason[reason] += count
        return Outcome(taken, dict(sorted(by_reason.items())))

    def _mismatch(self, report: Report, periods: range | None) -> str:
        """Why a report does not fit the collection it names, or any; empty if it fits."""
        named = self._known.get(report.collection)
        others = [named] if named else list(self._known.values())
        epsilons = {one.millionths for one in others if named or one.oracle.size == report.size}
        if named is None:
            if epsilons and report.epsilon not in epsilons:
                return "another epsilon"
            sizes = {one.oracle.size for one in others if one.millionths == report.epsilon}
            return "another domain" if sizes and report.size not in sizes else "another collection"
        if report.epsilon not in epsilons:
            return "another epsilon"
        if report.size != named.oracle.size:
            return "another domain"
        if periods is not None and report.period not in periods:
            return "another period"
        return "" if len(report.payload) == named.oracle.width else "malformed"

    def _insert(self, collection: Collection, report: Report) -> str:
        place = (report.client, collection.id, report.nonce)
        if self._db.execute("SELECT 1 FROM local_reports WHERE client=? AND collection=? AND nonce=?", place).fetchone():
            return "replayed"
        sent = self._db.execute(
            "SELECT COUNT(*) FROM local_reports WHERE collection=? AND period=? AND client=?",
            (collection.id, report.period, report.client),
        ).fetchone()[0]
        if sent >= collection.reports_per_period:
            return "flooded"
        self._db.execute(
            "INSERT INTO local_reports (client, collection, nonce, period, payload) VALUES (?, ?, ?, ?, ?)",
            (*place, report.period, report.payload),
        )
        return ""

    def _refuse(self, refused: Counter[tuple[bytes, str]]) -> None:
        self._db.executemany(
            "INSERT INTO local_refused VALUES (?, ?, ?, ?) ON CONFLICT (client, reason)"
            " DO UPDATE SET count = count + excluded.count, last = excluded.last",
            [(client, reason, count, time.time()) for (client, reason), count in sorted(refused.items())],
        )

    def refused(self) -> list[dict[str, Any]]:
        """The trace: client token (hex, empty if the report did not say), reason, count and time of the last."""
        rows = self._db.execute("SELECT client, reason, count, last FROM local_refused ORDER BY client, reason").fetchall()
        return [{**dict(row), "client": row["client"].hex()} for row in rows]

    def periods(self, collection: Collection) -> list[int]:
        """The periods that reports were taken for."""
        found = self._db.execute(
            "SELECT DISTINCT period FROM local_reports WHERE collection=? ORDER BY period", (collection.id,)
        ).fetchall()
        return [row[0] for row in found]

    def estimate(self, collection: Collection, period: int | None = None) -> Estimate:
        """Frequencies among the reports of one period, or of all; in chunks, so that memory stays bounded.

        Reports of one client by RAPPOR are drawn from the same kept response: their errors do not average out. So of each client one
        report counts, and all periods at once are refused.
        """
        if isinstance(collection.oracle, Directions):
            raise PrivacyError(f"collection {collection.name!r} is of directions", why="they have a mean, not frequencies")
        if period is None and collection.oracle.name == "rappor":
            held = self.periods(collection)
            if len(held) > 1:
                raise PrivacyError(
                    "RAPPOR's reports of several periods are not independent",
                    where=f"collection {collection.name!r}",
                    fix=f"Name one period: {', '.join(map(str, held[:10]))}",
                )
            period = held[0] if held else None
        return estimate(collection.oracle, *self._total(collection, period))

    def mean_direction(self, collection: Collection, period: int) -> MeanDirection:
        """The mean direction of the clients that reported in a period."""
        if not isinstance(collection.oracle, Directions):
            raise PrivacyError(
                f"collection {collection.name!r} is of {collection.oracle.name}", why="only directions have a mean"
            )
        return collection.oracle.mean(*self._total(collection, period))

    def count(self, collection: Collection, period: int) -> int:
        """How many reports were taken for a period."""
        query = "SELECT COUNT(*) FROM local_reports WHERE collection=? AND period=?"
        return int(self._db.execute(query, (collection.id, period)).fetchone()[0])

    def counts(self, collection: Collection, period: int) -> list[int]:
        """How many reports of a period say each value, as they came; of the oracle `grr` only, whose reports are values."""
        if collection.oracle.name != "grr":
            raise PrivacyError(f"reports of {collection.oracle.name} are not values", where=f"collection {collection.name!r}")
        return [int(one) for one in self._total(collection, period)[0]]

    def _total(self, collection: Collection, period: int | None) -> tuple[NDArray[Any], int]:
        """What the oracle adds up over the reports that count, and how many they are."""
        support, reports = None, 0
        for payloads in self._payloads(collection, period):
            counted = collection.oracle.aggregate(payloads)
            support = counted if support is None else support + counted
            reports += len(payloads)
        if support is None:
            raise PrivacyError(
                "there is nothing to estimate from", where=f"collection {collection.name!r}", why="no report was taken"
            )
        return support, reports

    def _payloads(self, collection: Collection, period: int | None) -> Iterator[NDArray[Any]]:
        import numpy as np

        cursor = self._db.execute(*_counted(collection, period))
        while rows := cursor.fetchmany(CHUNK):
            data = b"".join(row["payload"] for row in rows)
            yield np.frombuffer(data, dtype=np.uint8).reshape(len(rows), collection.oracle.width)

    def digest(self, collection: Collection, period: int | None) -> str:
        """SHA-256 over the reports an estimate is made from, in order of client and nonce."""
        found = hashlib.sha256(collection.id)
        for row in self._db.execute(*_counted(collection, period)):
            found.update(row["client"] + row["nonce"] + row["payload"])
        return found.hexdigest()

    def spent(self, client: bytes) -> dict[str, Any]:
        """At most what a client's reports have cost it: `epsilon` over all collections and periods, and each collection's part.

        Epsilons add up. RAPPOR costs its permanent epsilon once for each value the client may have kept, however many reports.
        """
        self.collections()
        rows = self._db.execute("SELECT collection, COUNT(*) FROM local_reports WHERE client=? GROUP BY collection", (client,))
        parts = [{"collection": self._known[row[0]].name, "id": row[0].hex(), "reports": row[1]} for row in rows.fetchall()]
        for part in parts:
            part["epsilon"] = self._known[bytes.fromhex(str(part["id"]))].spent(int(str(part["reports"])))
        parts.sort(key=lambda part: (str(part["collection"]), str(part["id"])))
        return {"epsilon": sum(float(str(part["epsilon"])) for part in parts), "collections": parts}


def _counted(collection: Collection, period: int | None) -> tuple[str, tuple[Any, ...]]:
    """The query for the reports that count, in order: all, or of RAPPOR that with the smallest nonce (drawn by the client) of each."""
    which, values = ("", ()) if period is None else (" AND period=?", (period,))
    nonce, group = ("MIN(nonce) AS nonce", " GROUP BY client") if collection.oracle.name == "rappor" else ("nonce", "")
    query = f"SELECT client, {nonce}, payload FROM local_reports WHERE collection=?{which}{group} ORDER BY client, nonce"
    return query, (collection.id, *values)


def _valid(collection: Collection, reports: list[Report]) -> list[bool]:
    import numpy as np

    payloads = np.frombuffer(b"".join(one.payload for one in reports), dtype=np.uint8)
    return [bool(one) for one in collection.oracle.valid(payloads.reshape(len(reports), collection.oracle.width))]
