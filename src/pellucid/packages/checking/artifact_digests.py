"""The canonical digests of the files in a package, computed again from the files. Run in a sandbox: the files are a stranger's."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.packages.format import Value
from pellucid.pipeline.record import Artifact, collection


def unpacked() -> str:
    """What to say of a file that needs more memory than reading it may take."""
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return f"an artifact in it unpacks to more than the {most / (1 << 30):.1f} GiB of memory that reading it may take"


def own_digests() -> str:
    """The recipe of the canonical digests that this pellucid makes."""
    from pellucid.store import FORMAT

    return FORMAT


def mismatch(value: Value, package: Path) -> str:
    """How a file differs from what the trace states of it; "" where it does not."""
    actual = _digest(value, package)
    if actual == value.digest:
        return ""
    return f"the value in the package is not the one its trace states: it has the digest {actual[:24]}…"


def _digest(value: Value, package: Path) -> str:
    import pyarrow as pa

    from pellucid.store import kinds

    if value.items is not None:
        items = [(name, Artifact(item.kind, _digest(item, package))) for name, item in value.items]
        return collection(value.kind, items).digest
    try:
        return kinds.digest(package / value.path, value.kind)
    except MemoryError:
        raise
    except (PellucidError, OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        return f"unreadable ({type(error).__name__})"


def not_as_written(value: Value, package: Path) -> str:
    """Why the bytes of a file are not those that the store writes for its content, "" where they are.

    A file means one thing only if nothing in it can differ while its value stays: statistics that readers trust, notes in its metadata,
    bytes after its end, white space. A Parquet file names the library that wrote it; one by another version is held against a file of
    its rows part by part (`table_file.py`).
    """
    from pellucid.packages.checking import table_file
    from pellucid.store import kinds

    if value.items is not None:
        return next((why for _, item in value.items if (why := not_as_written(item, package))), "")
    if value.kind == "file":
        return ""
    path = package / value.path
    if value.kind == "table":
        other = table_file.refused(path)
        if other is not None:
            return other
    with tempfile.TemporaryDirectory(prefix="pellucid-written-") as scratch:
        try:
            written = kinds.save(kinds.load(path, value.kind), value.kind, Path(scratch), "again")
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a stranger's file makes of a reader
            return f"{value.path} cannot be read and written again ({type(error).__name__})"
    if written.sha256 == value.sha256:
        return ""
    return f"{value.path} holds more, or other, than its values: pellucid writes them otherwise"
