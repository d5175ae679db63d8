"""Serving a catalogue: its files as any file server does, and OAI-PMH at /oai. Reads only; binds to this machine unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pellucid.errors import UsageError

MAX_ASKED = 1 << 14  # bytes of a question
_MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".jsonld": "application/ld+json",
    ".atom": "application/atom+xml",
    ".rss": "application/rss+xml",
    ".xml": "application/xml",
    ".parquet": "application/vnd.apache.parquet",
}
NOBODY = "unattended@localhost.localdomain"  # the protocol wants an address of whoever runs it


def serve(
    site: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    email: str = NOBODY,
    page: int = 100,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve the catalogue in the folder `site` until interrupted. `started` is told the address; port 0 takes a free one.

    Raises UsageError for a folder that is no catalogue and a port that cannot be had.
    """
    with bound(site, host=host, port=port, email=email, page=page) as server:
        if started is not None:
            started(address_of(server))
        server.serve_forever()


def bound(site: Path, *, host: str, port: int, email: str, page: int = 100) -> ThreadingHTTPServer:
    """The server, bound and not yet answering."""
    from pellucid.packages.catalogue.site_folder import state_of

    state_of(site)
    if email.count("@") != 1 or not email.isprintable() or " " in email or "." not in email.partition("@")[2]:
        raise UsageError(f"{email!r:.80} is no address", where="--email", fix="Such as: --email data@example.org")

    class Bound(_Handler):
        folder, contact, size = site.absolute(), email, page

    try:
        return ThreadingHTTPServer((host, port), Bound)
    except (OSError, OverflowError) as error:
        raise UsageError(
            "it cannot be served there", where=f"{host}:{port}", why=str(error)[:200], fix="Name another with --port"
        ) from None


def address_of(server: ThreadingHTTPServer) -> str:
    """Where it answers."""
    host, port = str(server.server_address[0]), server.server_address[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Handler(SimpleHTTPRequestHandler):
    folder: Path
    contact: str
    size: int
    timeout = 30  # a client that says nothing does not keep a thread
    server_version, sys_version = "pellucid", ""

    def __init__(self, *arguments: Any) -> None:
        self.extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **_MEDIA}
        super().__init__(*arguments, directory=str(self.folder))

    def do_GET(self) -> None:
        if self._is_oai():
            self._oai(urlsplit(self.path).query.encode())
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_oai():
            self._oai(urlsplit(self.path).query.encode(), body=False)
        else:
            super().do_HEAD()

    def send_head(self) -> Any:
        try:
            return super().send_head()
        except ValueError:  # a name no file can have: with a zero byte, or no address at all
            self.send_error(404)
            return None

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get_content_type()
        if not self._is_oai():
            self.send_error(405)
        elif kind != "application/x-www-form-urlencoded":
            self.send_error(415)
        elif not length.isdecimal() or int(length) > MAX_ASKED:
            self.send_error(413)
        else:
            self._oai(self.rfile.read(int(length)))

    def _is_oai(self) -> bool:
        try:
            return urlsplit(self.path).path == "/oai"
        except ValueError:
            return False

    def _oai(self, asked: bytes, *, body: bool = True) -> None:
        from pellucid.packages.catalogue import oai_pmh
        from pellucid.packages.catalogue.site_folder import state_of

        try:
            state = state_of(self.folder)  # read each time: a rebuilt catalogue is served as it now is
        except UsageError:
            self.send_error(503)
            return
        try:
            words = parse_qsl(asked.decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
        except ValueError:  # not text, or endless
            words = []
        told = oai_pmh.answer(state, words, base=self._base(state["url"]), email=self.contact, page=self.size)
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        if body:
            self.wfile.write(told)

    def _base(self, url: str) -> str:
        return f"{url or address_of(self.server)}oai"  # type: ignore[arg-type]

    def list_directory(self, path: Any) -> None:
        """A folder is not listed: the index is the list."""
        self.send_error(404)

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Who asked for what is not kept."""
