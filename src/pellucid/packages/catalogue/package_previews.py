"""What looking into the artifacts of a package gave, as its pages show it: each part of its kind and bounded, else left out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.packages.catalogue.entries import Block, File, Preview, Record
from pellucid.packages.catalogue.looking import BLOCKS, COLUMNS, ROWS, cut, png

if TYPE_CHECKING:
    from pellucid.packages.checking import WholePackage


def previews(look: Mapping[str, Any], parts: Sequence[Record]) -> dict[str, Preview]:
    """Record -> its first rows. A partitioned data set shows the first of its files."""
    tables = look.get("tables")
    found = {}
    for record in parts:
        known = tables.get(f"artifacts/{record.files[0].name}") if isinstance(tables, Mapping) else None
        if isinstance(known, Mapping) and isinstance(known.get("rows"), int):
            columns = tuple((name, kind) for name, kind in _rows(known.get("columns"), COLUMNS, 2))
            cells = tuple(_rows(known.get("cells"), ROWS, len(columns)))
            more = known.get("more")
            found[record.id] = Preview(known["rows"], columns, cells, more if isinstance(more, int) else 0)
    return found


def _rows(value: Any, most: int, wide: int) -> Iterator[tuple[str, ...]]:
    for row in value[:most] if isinstance(value, list) else []:
        if isinstance(row, list) and len(row) == wide and all(isinstance(cell, str) for cell in row):
            yield tuple(map(cut, row))


def blocks(look: Mapping[str, Any], package: str) -> tuple[Block, ...]:
    """What the cells of its notebooks showed, in order; pictures as files of the site, with nothing in them but the picture."""
    pages = look.get("pages")
    found: list[Block] = []
    for _, page in sorted(pages.items()) if isinstance(pages, Mapping) else []:
        for kind, body in (one for one in page[:BLOCKS] if isinstance(one, list) and len(one) == 2):
            if kind in ("h2", "p", "pre") and isinstance(body, str):
                found.append(Block(kind, text=body))
            elif kind == "table" and isinstance(body, list):
                found.append(Block(kind, rows=tuple(tuple(map(str, row)) for row in body if isinstance(row, list))))
            elif kind == "picture" and isinstance(body, str) and (picture := _picture(body)):
                found.append(Block(kind, picture=picture, path=f"pictures/{package}/{len(found)}.png"))
    return tuple(found)


def _picture(body: str) -> bytes:
    try:
        return png(base64.b64decode(body))
    except (binascii.Error, ValueError):
        return b""


def wheels(folder: Path, whole: WholePackage) -> tuple[File, ...]:
    """The wheels of a package, which a site keeps once for all packages."""
    from pellucid.packages.format import wheel_store

    return tuple(
        File(wheel_store.name_of(sha256), path, (folder / path).stat().st_size, sha256, "application/zip")
        for path, sha256 in sorted(whole.listed.items())
        if wheel_store.is_wheel(path)
    )
