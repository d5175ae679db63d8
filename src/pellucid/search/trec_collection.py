"""Test collections as TREC distributes them: documents between `<DOC>` tags, topics between `<top>` tags.

The files are SGML without a declared grammar; what research tools agree on is read: `<DOCNO>`, a title in `<TITLE>`, `<HEADLINE>`, `<HL>`
or `<TI>`, and all other text of the document with its tags taken out. A topic has `<num>` and `<title>`, closed or not.
"""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from pellucid.errors import DataError

LONGEST = 50_000_000  # characters of one document with its tags

_NUMBER = re.compile(r"<docno>(.*?)</docno>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<(title|headline|hl|ti)>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]{1,200}>")
_FIELD = re.compile(r"<(num|title|desc|narr)>([^<]*)", re.IGNORECASE)
_LABEL = re.compile(r"^\s*(Number|Topic|Description|Narrative)\s*:", re.IGNORECASE)


def documents(path: Path) -> Iterator[dict[str, str]]:
    """`id`, `title` and `text` of each document. Raises DataError for one without a number, and for a file that ends inside one."""
    for at, body in _entries(path, "doc"):
        number = _NUMBER.search(body)
        if number is None:
            raise DataError(f"line {at}: a document without <DOCNO>", where=str(path))
        rest = body[: number.start()] + body[number.end() :]
        title = _TITLE.search(rest)
        if title is not None:
            rest = rest[: title.start()] + rest[title.end() :]
        yield {"id": _plain(number[1]), "title": _plain(title[2]) if title else "", "text": _plain(rest)}


def topics(path: Path) -> Iterator[tuple[str, str]]:
    """The number and the title of each topic."""
    for at, body in _entries(path, "top"):
        fields = {name.lower(): _plain(_LABEL.sub("", text)) for name, text in _FIELD.findall(body)}
        if not fields.get("num") or "title" not in fields:
            raise DataError(f"line {at}: a topic without <num> or <title>", where=str(path))
        number = fields["num"]
        yield (number.lstrip("0") or "0") if number.isdecimal() else number, fields["title"]


def _entries(path: Path, tag: str) -> Iterator[tuple[int, str]]:
    """The line where each entry begins, and what is between its tags."""
    begin, end = f"<{tag}>", f"</{tag}>"
    held: list[str] | None = None
    size = started = 0
    with _opened(path) as file:
        try:
            for at, line in enumerate(file, 1):
                mark = line.strip().lower()
                if mark == begin and held is None:
                    held, size, started = [], 0, at
                elif mark == end and held is not None:
                    yield started, "".join(held)
                    held = None
                elif held is not None:
                    size += len(line)
                    if size > LONGEST:
                        raise DataError(f"line {started}: a document of more than {LONGEST:,} characters", where=str(path))
                    held.append(line)
                elif mark:
                    raise DataError(
                        f"line {at}: text outside {begin}", where=str(path), fix=f"Entries stand between {begin} and {end}"
                    )
        except (OSError, EOFError) as error:
            raise DataError("cannot be read to its end", where=str(path), why=str(error)) from error
        except UnicodeDecodeError as error:
            raise DataError("is not UTF-8 text", where=str(path), why=str(error)) from error
    if held is not None:
        raise DataError(
            f"line {started}: the file ends inside this entry", where=str(path), fix=f"{end} is missing: is it cut off?"
        )


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8"))
    return path.open(encoding="utf-8")


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())
