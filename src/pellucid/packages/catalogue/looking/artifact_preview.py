"""What a catalogue shows of the artifacts in a package: first rows of tables and arrays, and what the cells of a notebook showed.

Runs sealed, for it opens a stranger's files. All of a package is open or released data. What is returned is plain text and pictures, within
bounds; no markup is kept.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

ROWS, COLUMNS, CELL = 10, 40, 80  # of a preview; characters of a cell
TABLES, PAGES = 100, 4  # of a package
LARGEST_PAGE = 4 << 20  # bytes of a page that is read


def previews(package: Path) -> dict[str, Any]:
    """{"tables": {path: {"rows", "columns": [[name, type]], "cells"}}, "pages": {path: blocks}} of the open artifacts."""
    from pellucid.packages.catalogue.looking.notebook_blocks import blocks
    from pellucid.packages.format import manifest as manifests

    tables: dict[str, Any] = {}
    pages: dict[str, Any] = {}
    for value in manifests.read(package).open.values():
        for leaf in value.leaves:
            path = package / leaf.path
            if leaf.kind == "table" and len(tables) < TABLES:
                tables[leaf.path] = _table(path)
            elif leaf.kind == "array" and leaf.path.endswith(".npy") and len(tables) < TABLES:
                tables[leaf.path] = _array(path)
            elif leaf.kind == "file" and leaf.size <= LARGEST_PAGE and len(pages) < PAGES:
                text = ""
                with suppress(UnicodeDecodeError):
                    text = path.read_bytes().decode()
                if found := blocks(text):
                    pages[leaf.path] = found
    return {"tables": tables, "pages": pages}


def _table(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        schema = file.schema_arrow
        names = schema.names[:COLUMNS]
        batch = next(file.iter_batches(ROWS, columns=names), None)
        columns = [] if batch is None else [batch.column(name).to_pylist() for name in names]
        return {
            "rows": file.metadata.num_rows,
            "columns": [[cut(name), cut(str(schema.field(name).type))] for name in names],
            "more": max(0, len(schema.names) - COLUMNS),
            "cells": [[cut(_text(one)) for one in row] for row in zip(*columns, strict=True)],
        }


def _array(path: Path) -> dict[str, Any]:
    import numpy as np

    array = np.load(path, mmap_mode="r", allow_pickle=False)
    shape = " × ".join(map(str, array.shape)) or "one number"
    first = array.reshape(array.shape[0], -1)[:ROWS, :COLUMNS].tolist() if array.ndim else [[array.item()]]
    wide = len(first[0]) if first else 0
    return {
        "rows": int(array.shape[0]) if array.ndim else 1,
        "columns": [[str(at), f"{array.dtype}, {shape}"] for at in range(wide)],
        "more": max(0, (array[:1].size if array.ndim else 1) - COLUMNS),
        "cells": [[cut(_text(one)) for one in row] for row in first],
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)[: 4 * CELL]


def cut(text: str) -> str:
    """A text of a cell: one line, no control characters, at most `CELL` characters."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= CELL else f"{line[: CELL - 1]}…"
