"""Reports and batches as bytes.

A report, all numbers little-endian:

    0   2  "PR"
    2   1  version, 1
    3   1  0
    4   16 the collection's id
    20  4  epsilon of one report in millionths, rounded up
    24  4  the domain's size
    28  4  period, a number the application chooses (such as the day)
    32  16 the client's token, random and kept by the client
    48  8  nonce, random, new for each report
    56  .. the oracle's report; its length follows from the collection

A batch: "PB", version 1, 0, the number of reports in 4 bytes, then each as its length in 2 bytes and its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pellucid.errors import PrivacyError
from pellucid.privacy.local.collection import Collection

VERSION = 1
HEAD = struct.Struct("<2sBB16sIII16s8s")
BATCH = struct.Struct("<2sBBI")
LENGTH = struct.Struct("<H")


@dataclass(frozen=True)
class Report:
    """A report taken apart; nothing in it was checked but its version and shape."""

    collection: bytes
    epsilon: int
    size: int
    period: int
    client: bytes
    nonce: bytes
    payload: bytes


def encoded(collection: Collection, payload: bytes, *, client: bytes, nonce: bytes, period: int) -> bytes:
    """The bytes of one report."""
    if len(client) != 16 or len(nonce) != 8 or not 0 <= period < 1 << 32 or len(payload) != collection.oracle.width:
        raise PrivacyError(
            "a report cannot be written", why="a token has 16 bytes, a nonce 8, a period 32 bits, the payload the oracle's width"
        )
    head = (collection.millionths, collection.oracle.size, period)
    return HEAD.pack(b"PR", VERSION, 0, collection.id, *head, client, nonce) + payload


def decoded(data: bytes) -> Report | str:
    """A report taken apart, or why it is none: "another version" or "malformed"."""
    if len(data) < 4 or data[:2] != b"PR":
        return "malformed"
    if data[2] != VERSION:
        return "another version"
    if len(data) <= HEAD.size or data[3]:
        return "malformed"
    _, _, _, collection, epsilon, size, period, client, nonce = HEAD.unpack_from(data)
    return Report(collection, epsilon, size, period, client, nonce, data[HEAD.size :])


def batch(reports: Iterable[bytes]) -> bytes:
    """Reports as one batch."""
    listed = list(reports)
    return BATCH.pack(b"PB", VERSION, 0, len(listed)) + b"".join(LENGTH.pack(len(one)) + one for one in listed)


def unbatched(data: bytes) -> Iterator[bytes | None]:
    """The reports of a batch; None for each that its end cuts off. PrivacyError if it is no batch, or of another version."""
    if len(data) < BATCH.size or data[:2] != b"PB":
        raise PrivacyError(
            "this is not a batch of reports", fix="A batch begins with PB: see pellucid.privacy.local.report_format"
        )
    _, version, zero, count = BATCH.unpack_from(data)
    if version != VERSION or zero:
        raise PrivacyError(f"the batch is of version {version}, this pellucid reads {VERSION}", fix="Upgrade the older side")
    at = BATCH.size
    for number in range(count):
        end = at + LENGTH.size + LENGTH.unpack_from(data, at)[0] if at + LENGTH.size <= len(data) else len(data) + 1
        if end > len(data):  # what is cut off cannot be counted by its claimed number: a few bytes may claim billions
            yield None
            return
        yield data[at + LENGTH.size : end]
        at = end
        if number == count - 1 and at < len(data):
            yield None  # bytes nobody announced
