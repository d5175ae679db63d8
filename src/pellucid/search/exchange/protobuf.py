"""The few parts of Protocol Buffers' wire format that CIFF needs: varints, doubles, texts and messages inside messages.

A message is its fields, each a varint of `number << 3 | kind` and its value: kind 0 a varint (base 128, least part first), 1 eight bytes, 2
a length and so many bytes. In a file each message has its length in front. Unknown fields are passed over, as the format asks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from pellucid.errors import DataError

VARINT, DOUBLE, BYTES, FOUR = 0, 1, 2, 5
_MOST = 10  # bytes of a varint


def varint(number: int) -> bytes:
    """A whole number from 0 to 2^63 - 1."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, value: int | float | bytes) -> bytes:
    """A field; nothing for 0, which is what is read where there is none."""
    if isinstance(value, bytes):
        return varint(number << 3 | BYTES) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | DOUBLE) + struct.pack("<d", value)
    return varint(number << 3 | VARINT) + varint(value) if value else b""


def delimited(message: bytes) -> bytes:
    """A message with its length in front."""
    return varint(len(message)) + message


def read_delimited(file: BinaryIO, largest: int) -> bytes | None:
    """The next message of a file; None at its end. Raises DataError for one that is cut off or longer than `largest`."""
    length = shift = 0
    for at in range(_MOST):
        byte = file.read(1)
        if not byte:
            if at:
                raise DataError("a message is cut off")
            return None
        length |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            break
    else:
        raise DataError("a length is no number")
    if length > largest:
        raise DataError("a message is longer than the file")
    data = file.read(length)
    if len(data) != length:
        raise DataError("a message is cut off")
    return data


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """The fields of a message in their order. Raises DataError for bytes that are none."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        value: int | float | bytes
        if kind == VARINT:
            value, at = _varint(message, at)
        elif kind == DOUBLE and at + 8 <= len(message):
            value, at = struct.unpack_from("<d", message, at)[0], at + 8
        elif kind == FOUR and at + 4 <= len(message):
            value, at = message[at : at + 4], at + 4
        elif kind == BYTES:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise DataError("a field is cut off")
            value, at = message[at : at + length], at + length
        else:
            raise DataError("a field is of a kind that there is not, or cut off")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    for _ in range(_MOST):
        if at >= len(data):
            raise DataError("a number is cut off")
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at
    raise DataError("a number has more than 64 bits")
