"""The store: what an artifact is, who may see it, and how it lies on disk.

Every value that passes between steps is one immutable file of one *kind* (table, array, metrics, model, file). It has two
names: the SHA-256 of its bytes, under which `Objects` keeps it and notices damage, and a canonical digest of its content
("table:…"), which stays the same when only the encoding changes and is what verdicts compare. Beside both travels a `Label`.

Nothing here executes code it reads. The room imports nothing of pellucid but its errors; numpy, pyarrow, polars and duckdb load
when a value is first touched, so importing these names is cheap. `pellucid.store.kinds.digest` is not repeated here because
`digest` is also the name of the module that defines the canonical digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.store.array import Array
    from pellucid.store.atomic_write import Saved, nothing_lasts, sha256_of, writing
    from pellucid.store.canonical_digest import FORMAT
    from pellucid.store.database import STATE_FILE, StateConnection, checkpoint, connect, home_for, transaction
    from pellucid.store.difference import Difference
    from pellucid.store.file import File
    from pellucid.store.kinds import KINDS, compare, kind_of, load, save
    from pellucid.store.labels import (
        ADD_REMOVE,
        ONE_ROW,
        OPEN,
        PER_DAY,
        PROVES_NOTHING,
        REPLACE,
        REPLACED,
        Label,
        Level,
        Unit,
        join,
        person_column,
        protected,
        unit_of,
    )
    from pellucid.store.metrics import Metrics
    from pellucid.store.model import Model, model_kind
    from pellucid.store.objects import Objects
    from pellucid.store.row_iteration import rows_of
    from pellucid.store.table import Table
    from pellucid.store.table_partition import partition

__all__ = [
    "ADD_REMOVE",
    "FORMAT",
    "KINDS",
    "ONE_ROW",
    "OPEN",
    "PER_DAY",
    "PROVES_NOTHING",
    "REPLACE",
    "REPLACED",
    "STATE_FILE",
    "Array",
    "Difference",
    "File",
    "Label",
    "Level",
    "Metrics",
    "Model",
    "Objects",
    "Saved",
    "StateConnection",
    "Table",
    "Unit",
    "checkpoint",
    "compare",
    "connect",
    "home_for",
    "join",
    "kind_of",
    "load",
    "model_kind",
    "nothing_lasts",
    "partition",
    "person_column",
    "protected",
    "rows_of",
    "save",
    "sha256_of",
    "transaction",
    "unit_of",
    "writing",
]

__getattr__ = lazy_names(
    __name__,
    {
        "array": ("Array",),
        "atomic_write": (
            "Saved",
            "nothing_lasts",
            "sha256_of",
            "writing",
        ),
        "canonical_digest": ("FORMAT",),
        "database": (
            "STATE_FILE",
            "StateConnection",
            "checkpoint",
            "connect",
            "home_for",
            "transaction",
        ),
        "difference": ("Difference",),
        "file": ("File",),
        "kinds": (
            "KINDS",
            "compare",
            "kind_of",
            "load",
            "save",
        ),
        "labels": (
            "ADD_REMOVE",
            "Label",
            "Level",
            "ONE_ROW",
            "OPEN",
            "PER_DAY",
            "PROVES_NOTHING",
            "REPLACE",
            "REPLACED",
            "Unit",
            "join",
            "person_column",
            "protected",
            "unit_of",
        ),
        "metrics": ("Metrics",),
        "model": ("Model", "model_kind"),
        "objects": ("Objects",),
        "row_iteration": ("rows_of",),
        "table": ("Table",),
        "table_partition": ("partition",),
    },
)
