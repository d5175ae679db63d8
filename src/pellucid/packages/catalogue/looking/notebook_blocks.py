"""What the cells of an adopted notebook showed, taken out of its page as headings, text, tables and pictures.

Nothing of the markup is kept, so no script, style, link or request can come along: a block is text, rows of text, or the bytes of a PNG.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zlib
from html.parser import HTMLParser
from typing import Any

MARK = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>'  # how a page of shown cells begins
BLOCKS, TEXT, ROWS, COLUMNS, CELL = 400, 20_000, 60, 40, 200
PICTURE, PICTURES = 2 << 20, 20  # bytes of one, and how many
_SILENT = frozenset({"script", "style", "head", "template", "noscript", "iframe", "object", "svg", "math"})
_PNG = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_WIDEST = 10_000  # pixels


def blocks(page: str) -> list[list[Any]]:
    """["h2" | "p" | "pre", text], ["table", rows] and ["picture", base64 of a PNG] of a page that `adopt` wrote; [] for any other file."""
    if not page.startswith(MARK) or "<h2>Cell 1</h2>" not in page:
        return []
    reader = _Reader()
    reader.feed(page)
    reader.close()
    reader.end()
    return reader.found[:BLOCKS]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[Any]] = []
        self.silent: list[str] = []
        self.element, self.text = "p", ""
        self.rows: list[list[str]] | None = None
        self.pictures = 0

    def end(self) -> None:
        """Keep the text so far."""
        text = self.text if self.element == "pre" else " ".join(self.text.split())
        self.text = ""
        if text.strip():
            self.found.append([self.element, _plain(text, TEXT)])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self.silent.append(tag)
        elif self.silent:
            return
        elif tag in ("h2", "pre", "p", "div", "li", "h1", "h3"):
            if self.rows is None:
                self.end()
                self.element = tag if tag in ("h2", "pre") else "p"
        elif tag == "table":
            self.end()
            self.rows = []
        elif tag == "tr" and self.rows is not None:
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        elif tag == "img":
            self._picture(dict(attrs).get("src") or "")

    def handle_endtag(self, tag: str) -> None:
        if self.silent:
            if tag == self.silent[-1]:
                self.silent.pop()
        elif tag == "table" and self.rows is not None:
            rows = [[_plain(" ".join(cell.split()), CELL) for cell in row[:COLUMNS]] for row in self.rows[:ROWS] if row]
            if rows:
                self.found.append(["table", rows])
            self.rows = None
        elif tag in ("h2", "pre", "p", "div", "li", "h1", "h3") and self.rows is None:
            self.end()
            self.element = "p"

    def handle_data(self, data: str) -> None:
        if self.silent:
            return
        if self.rows is None:
            self.text += data
        elif self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def _picture(self, source: str) -> None:
        kept = re.fullmatch(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", source)
        if kept is None or self.pictures >= PICTURES:
            return
        body = b""
        try:
            body = base64.b64decode(kept[1])
        except binascii.Error:
            return
        if clean := png(body):
            self.end()
            self.pictures += 1
            self.found.append(["picture", base64.b64encode(clean).decode()])


def _plain(text: str, most: int) -> str:
    kept = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    return kept if len(kept) <= most else f"{kept[: most - 1]}…"


def png(body: bytes) -> bytes:
    """A PNG with the parts that are its picture and no others (W3C PNG, third edition, 5); b"" where it is none."""
    if len(body) > PICTURE or not body.startswith(_PNG):
        return b""
    kept, at, last = [_PNG], len(_PNG), b""
    while at + 12 <= len(body) and last != b"IEND":
        (length,), last = struct.unpack(">I", body[at : at + 4]), body[at + 4 : at + 8]
        data, check = body[at + 8 : at + 8 + length], body[at + 8 + length : at + 12 + length]
        if len(data) < length or check != struct.pack(">I", zlib.crc32(last + data)):
            return b""
        if len(kept) == 1 and (last != b"IHDR" or length != 13 or max(struct.unpack(">II", data[:8])) > _WIDEST):
            return b""
        if last in _KEPT:
            kept.append(body[at : at + 12 + length])
        elif not last[:1].islower():
            return b""
        at += 12 + length
    return b"".join(kept) if last == b"IEND" else b""
