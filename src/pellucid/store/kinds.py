"""The kinds of value a step can return, and how each is written, read, digested and compared.

A kind is one module with `SUFFIX`, `write`, `read` and `digest`; adding one means adding that module and a line in `KINDS`.
"""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from pellucid.store import array, file, metrics, model, table
from pellucid.store.array import Array
from pellucid.store.atomic_write import Saved, seal, whole_or_gone
from pellucid.store.file import File
from pellucid.store.metrics import Metrics
from pellucid.store.model import Model
from pellucid.store.table import Table

if TYPE_CHECKING:
    from pellucid.store.difference import Difference

__all__ = [
    "KINDS",
    "Array",
    "File",
    "Kind",
    "Metrics",
    "Model",
    "Saved",
    "Table",
    "compare",
    "digest",
    "kind_of",
    "load",
    "save",
]


class _Codec(Protocol):
    SUFFIX: str

    def write(self, value: Any, path: Path) -> str: ...

    def read(self, path: Path) -> Any: ...

    def digest(self, path: Path) -> str: ...


@dataclass(frozen=True)
class Kind:
    """A kind of value: its name, the suffix of its files, the class that annotates it, and its module."""

    name: str
    annotation: type
    module: ModuleType

    @property
    def codec(self) -> _Codec:
        return cast(_Codec, self.module)

    @property
    def suffix(self) -> str:
        return self.codec.SUFFIX


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("table", Table, table),
        Kind("array", Array, array),
        Kind("metrics", Metrics, metrics),
        Kind("model", Model, model),
        Kind("file", File, file),
    )
}

_WRITTEN = re.compile(r"(?:(?:pl|pellucid|store)\.)*(Table|Array|Metrics|Model|File)")


def kind_of(annotation: Any) -> str | None:
    """The kind an annotation asks for, or None. Takes the classes, their names as text ("pl.Table"), and numpy.ndarray."""
    if isinstance(annotation, str):
        written = _WRITTEN.fullmatch(annotation.strip())
        return written[1].lower() if written else None
    annotation = typing.get_origin(annotation) or annotation
    for kind in KINDS.values():
        if annotation is kind.annotation:
            return kind.name
    if isinstance(annotation, type) and (annotation.__module__, annotation.__qualname__) == ("numpy", "ndarray"):
        return "array"
    return None


def save(value: Any, kind: str, folder: Path, name: str) -> Saved:
    """Write `value` as one file `name` + suffix in `folder`, flushed to the disk.

    A table may be anything that speaks the Arrow PyCapsule interface and is streamed where it is a stream (see row_iteration.py).
    Raises TypeError, in one line, when the value is not of the kind; StoreError when the disk is full or read-only. In both
    cases no file is left.
    """
    codec = KINDS[kind].codec
    path = folder / f"{name}{codec.SUFFIX}"
    with whole_or_gone(path):
        canonical = codec.write(value, path)
        sha256, size = seal(path)
    return Saved(kind, canonical, sha256, size, path)


def load(path: Path, kind: str) -> Any:
    """The value in a file: a handle for tables and files, a read-only array, Metrics, or Model. Executes nothing it reads."""
    return KINDS[kind].codec.read(path)


def metrics_in(text: bytes, where: str) -> metrics.Metrics:
    """The metrics that the bytes of a file hold. Raises DamagedError that says `where` they are from."""
    return metrics.decode(text, where)


def digest(path: Path, kind: str) -> str:
    """The canonical digest of the value in a file; tables are streamed."""
    return KINDS[kind].codec.digest(path)


def compare(kind: str, a: Path, b: Path) -> Difference | None:
    """None when two files of one kind hold the same value (by canonical digest), otherwise where and how far they part."""
    from pellucid.store import difference

    return difference.compare(kind, a, b)
