"""The store: what an artifact is, who may see it, and how it lies on disk.

Every value that passes between steps is one immutable file of one *kind* (table, array, metrics, model, file). It has two
names: the SHA-256 of its bytes, under which `Objects` keeps it and notices damage, and a canonical digest of its content
("table:…"), which stays the same when only the encoding changes and is what verdicts compare. Beside both travels a `Label`.

Nothing here executes code it reads. The room imports nothing of pellucid but its errors; numpy, pyarrow, polars and duckdb load
when a value is first touched, so importing these names is cheap. `pellucid.store.kinds.digest` is not repeated here because
`digest` is also the name of the module that defines the canonical digest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.store.array import Array
    from pellucid.store.database import connect, home_for, transaction
    from pellucid.store.difference import Difference
    from pellucid.store.file import File
    from pellucid.store.kinds import KINDS, compare, kind_of, load, save
    from pellucid.store.labels import OPEN, Label, Level, join
    from pellucid.store.metrics import Metrics
    from pellucid.store.model import Model
    from pellucid.store.objects import Objects
    from pellucid.store.saved import Saved
    from pellucid.store.table import Table

_HOMES = {
    "Array": "array",
    "Difference": "difference",
    "File": "file",
    "KINDS": "kinds",
    "Label": "labels",
    "Level": "labels",
    "Metrics": "metrics",
    "Model": "model",
    "OPEN": "labels",
    "Objects": "objects",
    "Saved": "saved",
    "Table": "table",
    "compare": "kinds",
    "connect": "database",
    "home_for": "database",
    "join": "labels",
    "kind_of": "kinds",
    "load": "kinds",
    "save": "kinds",
    "transaction": "database",
}

__all__ = [
    "KINDS",
    "OPEN",
    "Array",
    "Difference",
    "File",
    "Label",
    "Level",
    "Metrics",
    "Model",
    "Objects",
    "Saved",
    "Table",
    "compare",
    "connect",
    "home_for",
    "join",
    "kind_of",
    "load",
    "save",
    "transaction",
]


def __getattr__(name: str) -> Any:
    """Find a name of the front page in its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
