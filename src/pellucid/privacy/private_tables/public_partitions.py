"""Keys that were declared beforehand: what is not among them is refused, or counted under one name for all of it.

A key that is declared is public, so it may be released whatever its count; and a value that is not declared must leave no trace but
in the one count that was declared for it. Nulls are refused before (bounding.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.private_tables.bounding import private_file
from pellucid.privacy.private_tables.private_columns import plain_type, raw_batches
from pellucid.store import Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


MAX_PUBLIC_KEYS = 100_000


def checked_public_keys(public_keys: object, other: str, most: int = MAX_PUBLIC_KEYS) -> None:
    """Raise PrivacyError for declared keys that cannot be used: too many, of mixed kinds, twice; or an `other` that is one of them."""
    if not isinstance(public_keys, tuple) or len(public_keys) > most:
        raise PrivacyError(f"public_keys must list at most {most} keys")
    kinds = {type(value) for value in public_keys}
    if not (kinds <= {str} or kinds <= {int}) or len(set(public_keys)) != len(public_keys):
        raise PrivacyError("declared keys must be all text or all whole numbers, each once")
    if other and (kinds != {str} or other in public_keys):
        raise PrivacyError(
            "other= names the key for all that is not declared",
            fix='Declare keys as text, without that one; a column of numbers is read as text with types={"COLUMN": "string"}',
        )


@contextmanager
def only_declared(
    path: Path, unit: str | Unit, column: str, public_keys: tuple[Any, ...], other: str, scratch: Path
) -> Iterator[Path]:
    """The table with declared keys alone while it is needed (`only_public_keys`); the table itself where none are declared."""
    if not public_keys:
        yield path
        return
    made = only_public_keys(path, unit, column, public_keys, other, scratch)
    try:
        yield made
    finally:
        made.unlink()


def check_public_keys(path: Path, column: str, public_keys: tuple[Any, ...], other: str) -> None:
    """Refuse, without showing a value, a column whose values are not of the declared keys' kind, or not declared with no `other`."""
    import pyarrow.parquet as pq

    keys = public_keys_as(plain_type(pq.read_schema(path).field(column).type), column, public_keys)
    if other:
        return
    import pyarrow.compute as pc

    for batch in raw_batches(path, [column]):
        if pc.any(pc.is_null(pc.index_in(batch.column(0), value_set=keys))).as_py():
            raise _undeclared(column, keys.type)


def only_public_keys(path: Path, unit: str | Unit, column: str, public_keys: tuple[Any, ...], other: str, scratch: Path) -> Path:
    """A Parquet file in `scratch` with the unit's columns and the key, undeclared values as `other`; the caller removes it."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names = list(dict.fromkeys([*unit_of(unit).columns, column]))
    target = private_file(scratch, "declared.parquet")
    writer: pq.ParquetWriter | None = None
    try:
        for batch in raw_batches(path, names):
            values = batch.column(column)
            listed = pc.is_valid(pc.index_in(values, value_set=public_keys_as(values.type, column, public_keys)))
            if not other and not pc.all(listed).as_py():
                raise _undeclared(column, values.type)
            if other:
                values = pc.if_else(listed, values, pa.scalar(other, values.type))
            batch = batch.set_column(names.index(column), column, values)
            writer = writer or pq.ParquetWriter(target, batch.schema, compression="lz4")
            writer.write_batch(batch)
        if writer is None:
            schema = pq.read_schema(path)
            pq.write_table(pa.schema([schema.field(name) for name in names]).empty_table(), target)
    finally:
        if writer is not None:
            writer.close()
    return target


def _undeclared(column: str, kind: pa.DataType) -> PrivacyError:
    import pyarrow as pa

    fix = 'Declare every key, or count all others under one: other="other"'
    if pa.types.is_integer(kind):
        fix += f'; for that, read the column as text (types={{"{column}": "string"}} of the source) and declare keys as text'
    return PrivacyError(f"column {column!r} has a value that is not declared", fix=fix)


def counts_of_public_keys(
    items: pa.Array, counts: NDArray[Any], public_keys: tuple[Any, ...], other: str
) -> tuple[pa.Array, NDArray[Any]]:
    """The counts in the declared order, 0 where nobody holds the key."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = pa.array([*public_keys, other] if other else list(public_keys)).cast(items.type)
    places = pc.index_in(keys, value_set=items)
    found = np.asarray(places.fill_null(-1)).astype(np.int64)
    return keys, np.where(found >= 0, np.append(counts, 0)[found], 0)


def public_keys_as(kind: pa.DataType, column: str, public_keys: tuple[Any, ...]) -> pa.Array:
    """The declared keys in the column's type. Raises PrivacyError where they do not fit it."""
    import pyarrow as pa

    keys = pa.array(list(public_keys))
    if pa.types.is_integer(kind) != pa.types.is_integer(keys.type) or not (
        pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    ):
        raise PrivacyError(
            f"column {column!r} is of type {kind}, the declared keys are not", fix="Declare them as the column has them"
        )
    try:
        return keys.cast(kind)
    except pa.ArrowInvalid:
        raise PrivacyError(f"a declared key does not fit column {column!r} of type {kind}") from None
