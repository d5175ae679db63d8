"""Text out of files that strangers wrote: the program of a child process (`extraction_process` starts it and holds it to its limits).

It says `{"ready": true}`, reads requests as lines of JSON, `{"kind", "path"}`, and answers each with lines of JSON: of a file one,
`{"title", "text", "problem"}`; of a WARC one a page, with `url` and `date` too, then `{"end": true}`. `problem` is "" or one of
`PROBLEMS`. HTML is parsed by selectolax (lexbor), PDF by pypdfium2, WARC by warcio. It runs by its own path, so that it needs nothing of
pellucid and is in no way of the standard library (python -P).
"""

from __future__ import annotations

import codecs
import json
import re
import resource
import sys
from collections.abc import Iterator
from typing import Any

LONGEST = 1_000_000  # characters of a text that are kept
LARGEST = 50_000_000  # bytes of a file or of a record
MEMORY = 1 << 30  # bytes of the child process
MOST_PAGES = 5_000  # of a PDF
KINDS = {
    ".md": "markdown", ".markdown": "markdown", ".txt": "text", ".text": "text", ".html": "html", ".htm": "html", ".xhtml": "html",
    ".pdf": "pdf",
}  # fmt: skip
NEEDS = {"html": "selectolax", "pdf": "pypdfium2", "warc": "warcio"}
PROBLEMS = (
    "larger than 50 MB", "not UTF-8 text", "not readable", "cannot be parsed", "locked by a password", "truncated",
    "took too long or too much memory", "another kind of file", "a link",
)  # fmt: skip
LEFT_OUT = ("script", "style", "noscript", "template", "nav", "iframe", "object", "svg", "head")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)


class Unreadable(Exception):
    """What a file is not; its text is one of `PROBLEMS`."""


def decoded(data: bytes) -> str:
    """Text as UTF-8, or as UTF-16 with its mark. Raises Unreadable."""
    try:
        if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8 text") from None


def of_text(data: bytes) -> tuple[str, str]:
    """Title (none) and text of a plain text."""
    return "", decoded(data)


def of_markdown(data: bytes) -> tuple[str, str]:
    """The `title:` of the front matter or the first heading, and the text without either."""
    text = decoded(data)
    title = ""
    if matter := _MATTER.match(text):
        text = text[matter.end() :]
        named = re.search(r"^title:\s*(.+?)\s*$", matter[1], re.MULTILINE)
        title = named[1].strip("\"'") if named else ""
    heading = _HEADING.search(text)
    if not title and heading:
        title = heading[1]
        text = text[: heading.start()] + text[heading.end() :]
    return title, text


def of_html(data: bytes) -> tuple[str, str]:
    """The title and the words of a page, without scripts, styles and navigation."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(_page_text(data))
    named = tree.css_first("title")
    title = " ".join(named.text().split()) if named is not None else ""
    for tag in LEFT_OUT:
        for node in tree.css(tag):
            node.decompose()
    body = tree.body if tree.body is not None else tree.root
    return title, " ".join((body.text(separator=" ") if body is not None else "").split())


def _page_text(data: bytes) -> str:
    """The characters of a page: by its mark, its `charset`, as UTF-8, and at last as browsers take what is none of these."""
    if data[:3] == codecs.BOM_UTF8 or data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return decoded(data)
    declared = _CHARSET.search(data[:2048])
    for name in ((declared[1].decode("ascii"),) if declared else ()) + ("utf-8",):
        try:
            if getattr(codecs.lookup(name), "_is_text_encoding", True):
                return data.decode(name)
        except (LookupError, UnicodeError, ValueError):
            continue
    return data.decode("cp1252", errors="replace")


def of_pdf(data: bytes) -> tuple[str, str]:
    """The title that a PDF gives itself, and the text of its pages."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise Unreadable("locked by a password" if "password" in str(error).lower() else "cannot be parsed") from None
    parts: list[str] = []
    length = 0
    for at in range(min(len(document), MOST_PAGES)):
        try:
            text = document[at].get_textpage().get_text_bounded()
        except pypdfium2.PdfiumError:
            continue  # a page that is broken costs no other
        parts.append(text)
        length += len(text)
        if length > LONGEST:
            break
    return " ".join(str(document.get_metadata_dict().get("Title", "")).split()), "\n".join(parts)


READ = {"text": of_text, "markdown": of_markdown, "html": of_html, "pdf": of_pdf}


def read_file(kind: str, path: str) -> dict[str, str]:
    """What a file says: title, text, problem."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError:
        return told(problem="not readable")
    return read_bytes(kind, data)


def read_bytes(kind: str, data: bytes) -> dict[str, str]:
    """The same for bytes."""
    if len(data) > LARGEST:
        return told(problem="larger than 50 MB")
    try:
        return told(*READ[kind](data))
    except Unreadable as error:
        return told(problem=str(error))
    except (MemoryError, RecursionError):
        return told(problem="took too long or too much memory")
    except Exception:  # noqa: BLE001 - whatever a parser does with a stranger's file, the other files are read
        return told(problem="cannot be parsed")


def told(title: str = "", text: str = "", problem: str = "", **more: str) -> dict[str, str]:
    """An answer; texts are cut at their limits."""
    return {"title": title[:1000], "text": text[:LONGEST], "problem": problem, **more}


def read_warc(path: str) -> Iterator[dict[str, str]]:
    """The HTML and plain pages that were answered with 200, each with `url` and `date`; what is cut off is "truncated"."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    try:
        with open(path, "rb") as file:
            records = 0
            for record in ArchiveIterator(file):
                records += 1
                if record.rec_type != "response":
                    continue
                url = record.rec_headers.get_header("WARC-Target-URI") or ""
                date = record.rec_headers.get_header("WARC-Date") or ""
                yield from _record(record, {"url": url.strip("<>")[:2000], "date": date[:40]})
            if not records:
                yield told(problem="cannot be parsed")
    except ArchiveLoadFailed:
        yield told(problem="cannot be parsed")
    except OSError:
        yield told(problem="not readable")
    except Exception:  # noqa: BLE001 - as above
        yield told(problem="truncated")


def _record(record: Any, about: dict[str, str]) -> Iterator[dict[str, str]]:
    headers = record.http_headers
    kind = _kind(headers) if headers is not None and headers.get_statuscode() == "200" else None
    data = (record.content_stream() if kind else record.raw_stream).read(LARGEST + 1)
    left: Any = getattr(record.raw_stream, "limit", 0)  # bytes that its header promised and that did not come
    if len(data) <= LARGEST and left:
        yield told(problem="truncated", **about)
    elif kind:
        yield {**read_bytes(kind, data), **about}


def _kind(headers: Any) -> str | None:
    media = (headers.get_header("Content-Type") or "").partition(";")[0].strip().lower()
    return {"text/html": "html", "application/xhtml+xml": "html", "text/plain": "text"}.get(media)


def main() -> None:
    """Answer requests until there are no more, within limits that hold before the first file is opened."""
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (least, least))
    write = sys.stdout.write
    write('{"ready": true}\n')
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["kind"] == "warc":
            for one in read_warc(asked["path"]):
                write(json.dumps(one) + "\n")
            write('{"end": true}\n')
        else:
            write(json.dumps(read_file(asked["kind"], asked["path"])) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
