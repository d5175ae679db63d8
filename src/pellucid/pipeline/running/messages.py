"""Messages between the main process, the zygote and its workers: length-prefixed JSON, with descriptors beside it where needed."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

MOST = 256 << 20  # bytes of a message that is taken from a worker


def send(sock: socket.socket, message: Any, fds: Sequence[int] = ()) -> None:
    """One message: its length, with the descriptors, then its JSON."""
    body = json.dumps(message).encode()
    head = struct.pack("<I", len(body))
    if fds:
        socket.send_fds(sock, [head], list(fds))
        sock.sendall(body)
    else:
        sock.sendall(head + body)


def receive(sock: socket.socket) -> Any | None:
    """The next message; None when the other side has gone."""
    message, _ = receive_with_fds(sock, 0)
    return message


def receive_with_fds(sock: socket.socket, most: int) -> tuple[Any | None, list[int]]:
    """The next message and the descriptors that came with it, at most `most`; (None, []) when the other side has gone."""
    fds: list[int] = []
    if most:
        head, fds, _, _ = socket.recv_fds(sock, 4, most)
        while head and len(head) < 4:
            more = sock.recv(4 - len(head))
            head = head + more if more else b""
    else:
        head = _exactly(sock, 4) or b""
    body = _exactly(sock, struct.unpack("<I", head)[0]) if head else None
    return (json.loads(body), fds) if body is not None else (None, [])


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    parts, left = [], size
    while left:
        part = sock.recv(min(left, 1 << 20))
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


class Inbox:
    """What a worker sends, read as it comes and bounded: a worker may send anything, or nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.body, self.open = sock, bytearray(), True
        sock.setblocking(False)

    def fileno(self) -> int:
        return self.sock.fileno()

    def drain(self) -> None:
        """Take what there is; `open` is false once no more can come, or more than `MOST` bytes came."""
        while self.open:
            try:
                part = self.sock.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError:
                part = b""
            self.body += part
            self.open = bool(part) and len(self.body) <= MOST

    def message(self) -> Any | None:
        """The JSON that came; None where it is none."""
        try:
            (size,) = struct.unpack_from("<I", self.body)
            return json.loads(self.body[4 : 4 + size].decode()) if len(self.body) == 4 + size else None
        except (struct.error, ValueError, RecursionError):
            return None
