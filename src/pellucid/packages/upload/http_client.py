"""HTTP to a repository: bodies streamed, what passes retried with growing pauses, and the token to nobody but the address that was named.

No redirect is followed and no link of another origin is used: either would hand the token to somebody else. The token is in no message,
also where the server repeats it.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pellucid.errors import PackageError, UploadError, UsageError
from pellucid.packages.format import MAX_BYTES, parse_json, parsed, printable, public

ATTEMPTS = 6
LONGEST = 60.0  # seconds between two attempts of our own accord
ASKED_LONGEST = 3600.0  # and where the server asks to wait
TIMEOUT, SLOWEST = 120.0, 2e6  # seconds for an answer, and bytes a second of what it has to take in (and sum up) first
_HERE = ("localhost", "127.0.0.1", "::1")
Body = Callable[[], Iterable[bytes]]


class _PassingError(Exception):
    """A failure that may not be there the next time. `after` is what the server asks to wait, in seconds; `done`: it may have done it."""

    def __init__(self, said: str, after: float = 0.0, *, done: bool = False) -> None:
        self.after, self.done = after, done
        super().__init__(said)


@dataclass(frozen=True)
class Client:
    """A repository at `url`. `authorization` is the header's value, which holds the token; `pause` the first pause, in seconds."""

    url: str
    authorization: str = field(repr=False)
    token: str = field(repr=False)
    pause: float = 1.0

    def call(
        self,
        method: str,
        path: str,
        *,
        accept: tuple[int, ...] = (200,),
        data: Any = None,
        body: Body | None = None,
        size: int = 0,
        media: str = "application/octet-stream",
        settled: Callable[[], dict[str, Any] | None] | None = None,
        missing: bool = False,
        creates: str = "",
    ) -> dict[str, Any]:
        """One request and the JSON of its answer (a list is under "items"); {} for an answer without body.

        `data` is sent as JSON; `body` gives the portions of a body of `size` bytes, anew for each attempt. A failure that may pass
        (no connection, 429, 5xx) is tried again; for a request that must not be done twice, `settled` is asked before whether the
        earlier one was done after all, and what it gives is the answer. With `missing`, {"missing": True} stands for 404. `creates` says
        what a request makes that cannot be asked for by name: it is not tried again once the server may have made it.
        """
        said, pause = "", self.pause
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(pause)
                pause = min(2 * pause, LONGEST)
                if settled is not None and (found := settled()) is not None:
                    return found
            try:
                return self._once(method, path, accept, data, body, size, media, missing)
            except _PassingError as error:
                if creates and error.done:
                    raise UploadError(
                        f"nobody can tell whether it made {creates}",
                        where=self._shown(path),
                        why=self.safe(str(error)),
                        fix="Look there, and go on with what you find: --draft ID",
                    ) from None
                said, pause = str(error), max(min(pause, LONGEST), error.after)
        raise UploadError(f"it did not answer as it should, {ATTEMPTS} times", where=self._shown(path), why=self.safe(said))

    def _once(
        self,
        method: str,
        path: str,
        accept: tuple[int, ...],
        data: Any,
        body: Body | None,
        size: int,
        media: str,
        missing: bool,
    ) -> dict[str, Any]:
        headers = {"Authorization": self.authorization, "Accept": "application/json", "User-Agent": "pellucid"}
        sent: Any = None
        if data is not None:
            sent = json.dumps(data, ensure_ascii=True, allow_nan=False).encode()
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(sent))}
        elif body is not None:
            sent = body()
            headers |= {"Content-Type": media, "Content-Length": str(size)}
        connection, at = self._connection(TIMEOUT + size / SLOWEST)
        asked = False
        try:
            connection.connect()
            asked = True
            connection.request(method, f"{at}{path}", sent, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read(MAX_BYTES + 1)
            after = _seconds(answer.headers.get("Retry-After", ""))
        except (OSError, http.client.HTTPException) as error:
            raise _PassingError(f"{type(error).__name__}: {error}", done=asked) from None
        finally:
            connection.close()
        if status == 429 or status >= 500:
            raise _PassingError(f"{status} {answer.reason}", after, done=status >= 500)
        if missing and status == 404:
            return {"missing": True}
        if status not in accept:
            self._refused(path, status, text, answer.reason)
        return self._read(path, text)

    def _connection(self, timeout: float) -> tuple[http.client.HTTPConnection, str]:
        """A connection, by the proxy that the environment names where it names one; and what goes before each path."""
        known = urlsplit(self.url)
        host, base = known.hostname or "", known.path.rstrip("/")
        proxy = urlsplit(_proxy(known.scheme, host))
        if known.scheme == "https":
            secure = ssl.create_default_context()
            if not proxy.hostname:
                return http.client.HTTPSConnection(host, known.port, timeout=timeout, context=secure), base
            through = http.client.HTTPSConnection(proxy.hostname, proxy.port or 3128, timeout=timeout, context=secure)
            through.set_tunnel(host, known.port or 443, headers=_sign_in(proxy))
            return through, base
        return http.client.HTTPConnection(host, known.port, timeout=timeout), base  # plain HTTP goes to this machine alone

    def _read(self, path: str, text: bytes) -> dict[str, Any]:
        if not text.strip():
            return {}
        try:
            return parse_json(text if text.lstrip()[:1] == b"{" else b'{"items":' + text + b"}", "its answer")
        except PackageError as error:
            raise UploadError("its answer cannot be read", where=self._shown(path), why=error.what) from None

    def _refused(self, path: str, status: int, text: bytes, reason: str) -> None:
        if 300 <= status < 400:
            raise UploadError(
                "it leads elsewhere, and the token goes nowhere else",
                where=self._shown(path),
                fix="Name the address it leads to with --url",
            )
        said = self.safe(text[:2000].decode(errors="replace"))
        fix = "Check the token and what it may do" if status in (401, 403) else ""
        raise UploadError(f"it refused: {status} {printable(reason)[:60]}", where=self._shown(path), why=said, fix=fix)

    def within(self, link: object) -> str:
        """The path of a link that the repository gave. Raises UploadError for one to another origin."""
        own = urlsplit(self.url)
        try:
            known = urlsplit(str(link))
            same = (known.scheme, known.hostname, known.port) == (own.scheme, own.hostname, own.port)
            path = known.path.removeprefix(own.path.rstrip("/")) if same and known.path.startswith(own.path) else ""
        except ValueError:  # no address at all
            path = ""
        if not path.startswith("/"):
            raise UploadError("it gave a link to another place", where=self.url, why=f"{self.safe(str(link))[:120]!r}")
        return path

    def safe(self, text: str) -> str:
        """What the server said, as it may be shown: on one line, bounded, without the token."""
        return " ".join(printable(text.replace(self.token, "***")).split())[:300]

    def _shown(self, path: str) -> str:
        return f"{self.url}{path.partition('?')[0].removeprefix('/')}"


def connect(url: str, token: str, *, scheme: str, pause: float) -> Client:
    """A client, once address and token can be used. Raises UsageError."""
    fix = "Such as: --url https://zenodo.org"
    known = parsed(url, where="--url", fix=fix)
    if known.query or known.fragment:
        raise UsageError(f"{public(url)!r:.80} goes on with a question or a fragment", where="--url", fix=fix)
    if known.scheme == "http" and known.hostname not in _HERE:
        raise UsageError("the token would go over the network in the clear", where="--url", fix="Name an https address")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("the token is empty, or no token", where="--token-env", fix="Put the token alone into the variable")
    return Client(f"{known.scheme}://{known.netloc}{known.path.rstrip('/')}/", f"{scheme}{token}", token, pause)


def _proxy(scheme: str, host: str) -> str:
    """The proxy that the environment names for a host (HTTPS_PROXY, NO_PROXY), "" for none."""
    from urllib.request import getproxies, proxy_bypass

    return "" if host in _HERE or proxy_bypass(host) else getproxies().get(scheme, "")


def _sign_in(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    word = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(word.encode()).decode()}"}


def multipart(fields: Mapping[str, str], name: str, filename: str, portions: Body, size: int) -> tuple[Body, int, str]:
    """A form with one file as multipart/form-data: its portions, its length and its media type."""
    boundary = "pellucid-5f0c1e7a9b3d4c62"
    text = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()
    )
    text += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    head, tail = (text + "Content-Type: application/zip\r\n\r\n").encode(), f"\r\n--{boundary}--\r\n".encode()

    def body() -> Iterable[bytes]:
        yield head
        yield from portions()
        yield tail

    return body, len(head) + size + len(tail), f"multipart/form-data; boundary={boundary}"


def _seconds(text: str) -> float:
    return min(float(text), ASKED_LONGEST) if text.isdecimal() and len(text) < 9 else 0.0
