"""Looking for private values in a package that is about to be published: the last look of a careful publisher, no proof of anything.

What labels and the ledger cannot see is what people type: a name in a comment, a row pasted into a description, a test value in code. So
the cells of the private file's text columns are looked for, letter by letter, in every file that would be published. A cell that a
release gave out by name (a threshold let it through, or it was declared) is no find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import LabelError

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest

SHORTEST = 7  # letters: shorter cells stand everywhere
MOST_CELLS = 5_000_000
_SKIPPED = ("environment/",)  # pellucid's own wheel, and libraries


def refuse_private_values(package: Path, manifest: Manifest, sources: Iterable[Path]) -> None:
    """Raise LabelError where a cell of more than 6 letters of a text column of one of `sources` stands in a file of the package.

    The file and the column are named, the cell is not. Raises DataError for a source that cannot be read.
    """
    released = {
        leaf.path for entry in manifest.trace if entry.kind == "release" for v in entry.outputs.values() for leaf in v.leaves
    }
    texts = {path.relative_to(package).as_posix(): path for path in sorted(package.rglob("*")) if path.is_file()}
    named = b"\0".join(_text_of(path) for name, path in texts.items() if name in released)
    for source in sources:
        for column, cells in _private_cells(source):
            grams: dict[bytes, list[bytes]] = {}
            for cell in cells:
                if cell not in named:
                    grams.setdefault(cell[:SHORTEST], []).append(cell)
            for name, path in texts.items():
                if name in released or name.startswith(_SKIPPED):
                    continue
                if _holds(_text_of(path), grams):
                    raise LabelError(
                        f"a value of the private column {column!r:.60} stands in it",
                        where=name,
                        why=f"it is a cell of {source.name}",
                        fix="Take it out (of code, comments, settings, descriptions), run again, and publish that run",
                    )


def _private_cells(source: Path) -> Iterator[tuple[str, set[bytes]]]:
    """Each text column of the file, and its cells that are long enough."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from pellucid.data import detect, open_table

    found: dict[str, set[bytes]] = {}
    for batch in open_table(source, format=detect(source) or "csv", options={}):
        for field, values in zip(batch.schema, batch.columns, strict=True):
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
                cells = found.setdefault(field.name, set())
                for text in pc.unique(values.drop_null()).to_pylist():
                    body = text.strip().encode()
                    if len(text.strip()) >= SHORTEST and len(cells) < MOST_CELLS:
                        cells.add(body)
    yield from found.items()


def _holds(text: bytes, grams: dict[bytes, list[bytes]]) -> bool:
    return any(
        text.startswith(cell, at) for at in range(len(text) - SHORTEST + 1) for cell in grams.get(text[at : at + SHORTEST], ())
    )


def _text_of(path: Path) -> bytes:
    """What a file says, as text: its bytes, and the values of a table or a model, which are packed."""
    parts = [path.read_bytes()]
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches():
                parts += [_cells(column) for column in batch.columns]
    elif path.suffix in (".npz", ".npy"):
        import numpy as np

        loaded: Any = np.load(path, allow_pickle=False)
        arrays = loaded.values() if path.suffix == ".npz" else [loaded]
        parts += ["\0".join(map(str, array.ravel().tolist())).encode() for array in arrays if array.dtype.kind in "US"]
    return b"\0".join(parts)


def _cells(column: Any) -> bytes:
    import pyarrow as pa

    return "\0".join(map(str, column.to_pylist())).encode() if not pa.types.is_primitive(column.type) else b""
