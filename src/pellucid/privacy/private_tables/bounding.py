"""Contribution bounding: how much of the data one unit may hold, out of core and independent of row order.

Which rows of a unit are kept is drawn by a keyed function of that unit's value and the row's own content. So for every fixed key
a unit's kept rows depend on nothing but its own rows: adding or removing a unit changes no other unit's part. That, and not
the quality of the draw, is what the sensitivity of every mechanism rests on; the key makes the draw fair and unpredictable.
The draw: HMAC-SHA256 of the unit and of the row, 64 bits of each as one AES-256 block; smallest first. (A collision of 64 bits
would tie two draws together; it changes no bound.)
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.private_tables.private_columns import (
    Ranges,
    batches,
    checked_columns,
    narrowed,
    plain_schema,
    plain_type,
    schema_of,
    unit_type,
)
from pellucid.store import Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MEMORY = "320MiB"  # for sorting; what does not fit is spilled to the scratch folder
ROWS = 1 << 19  # a block


def bounded_pairs(
    path: Path,
    unit: str | Unit,
    item: str,
    max_contributions: int,
    key: bytes,
    scratch: Path,
    *,
    second: str | None = None,
    times: int = 1,
) -> Path:
    """A Parquet file in `scratch` of the distinct (unit, item) pairs, at most `max_contributions` of each unit; the caller removes it.

    Columns `unit` (int64, an ordinal without meaning), `item`, and `second` where an item is a pair of columns' values, and `times`
    (int64, how many rows hold the pair, at most `times`) where that is above 1; sorted; every unit lies within one row group. The same for
    any order of the input's rows and any number of threads. `key`: 32 bytes.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [item] if second is None else [item, second]
    ranges = checked_columns(path, unit, names)
    target = private_file(scratch, "bounded.parquet")
    kinds = [plain_type(schema_of(path).field(name).type) for name in names]
    schema = pa.schema([("unit", pa.int64()), *zip(("item", "second"), kinds, strict=False)])
    if times > 1:
        schema = schema.append(pa.field("times", pa.int64()))
    ordinal = 0
    with pq.ParquetWriter(target, schema, compression="lz4", use_dictionary=True) as writer:
        for block in ahead(_sorted_blocks(path, unit, names, scratch, ranges)):
            units, items = codes(block.column(0)), codes(block.column(1))
            if second is not None:
                others = codes(block.column(2))
                items = np.unique(items * (int(others.max()) + 1) + others, return_inverse=True)[1].astype(np.int64)
            firsts, counts = np.unique(units * (int(items.max()) + 1) + items, return_index=True, return_counts=True)[1:]
            order = np.argsort(firsts)
            fresh, held = firsts[order], np.minimum(counts[order], times)
            block, units = block.take(pa.array(fresh)).combine_chunks(), units[fresh]
            hashes = keyed(block.column(1), key)
            if second is not None:
                hashes = _both(hashes, keyed(block.column(2), key), key)
            keep = _drawn(units, keyed(block.column(0), key), hashes, max_contributions, key)
            pairs = [pa.array(units[keep] + ordinal)]
            pairs += [block.column(1 + at).filter(pa.array(keep)).cast(kind) for at, kind in enumerate(kinds)]
            if times > 1:
                pairs.append(pa.array(held[keep].astype(np.int64)))
            ordinal += int(units[-1]) + 1
            writer.write_table(pa.Table.from_arrays(pairs, schema=schema), row_group_size=max(1, int(keep.sum())))
    return target


def bounded_rows(
    path: Path, unit: str | Unit, columns: list[str], key: bytes, scratch: Path, grid: Any, max_contributions: int = 1
) -> Iterator[NDArray[Any]]:
    """Blocks of at most `max_contributions` rows per unit, drawn by the key among that unit's rows, as integers (rows x columns, int64).

    `grid` maps each block's values (a list of float64 arrays, NaN for null) to integers before the draw, so that equal integers
    are equal rows. Whole numbers beyond 2^53 are rounded to the nearest float: no value may make a release fail.
    """
    import numpy as np
    import pyarrow as pa

    ranges = checked_columns(path, unit, [], columns)
    for block in ahead(_sorted_blocks(path, unit, columns, scratch, ranges)):
        units = codes(block.column(0))
        values = [np.asarray(column.cast(pa.float64(), safe=False).fill_null(float("nan"))) for column in block.columns[1:]]
        rows = np.ascontiguousarray(grid(values), dtype="<i8")
        repeated = np.bincount(units)[units] > max_contributions
        keep = ~repeated
        if repeated.any():
            some = block.column(0).filter(pa.array(repeated))
            contents = np.array([_hash(row.tobytes(), key) for row in rows[repeated]], dtype=np.uint64)
            keep[repeated] = _drawn(codes(some), keyed(some, key), contents, max_contributions, key)
        yield rows[keep]


def codes(column: Any) -> NDArray[Any]:
    """A number for each value, by first appearance (int64)."""
    import numpy as np
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(array.dictionary_encode().indices).astype(np.int64)


def keyed(column: Any, key: bytes) -> NDArray[Any]:
    """64 bits of HMAC-SHA256 of each value (uint64): a function of the value and the key alone."""
    import numpy as np
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    hashes: NDArray[Any] = np.array([_hash(data, key) for data in _bytes_of(encoded.dictionary)], dtype=np.uint64)
    return np.asarray(hashes[np.asarray(encoded.indices)])


def _hash(data: bytes, key: bytes) -> int:
    return int.from_bytes(hmac.digest(key, data, "sha256")[:8], "big")


def _bytes_of(values: pa.Array) -> list[bytes]:
    import pyarrow as pa

    kind = values.type
    if pa.types.is_temporal(kind):
        values = values.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return [value if isinstance(value, bytes) else str(value).encode() for value in values.to_pylist()]


def _both(first: NDArray[Any], second: NDArray[Any], key: bytes) -> NDArray[Any]:
    """64 bits of each two hashes, by AES under a key of its own."""
    import numpy as np
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    blocks = np.stack([first, second], axis=1).astype("<u8")
    encryptor = Cipher(algorithms.AES(hmac.digest(key, b"two columns", "sha256")), modes.ECB()).encryptor()
    return np.frombuffer(encryptor.update(blocks.tobytes()), dtype="<u8").reshape(-1, 2)[:, 0].astype(np.uint64)


def _drawn(
    units: NDArray[Any], unit_hash: NDArray[Any], row_hash: NDArray[Any], max_contributions: int, key: bytes
) -> NDArray[Any]:
    """Which rows are kept: of each run of `units` (0, 1, 2 ... in order) the `max_contributions` with the smallest draw."""
    import numpy as np
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    blocks = np.stack([unit_hash, row_hash], axis=1).astype("<u8")
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # a keyed function of one block, no cipher text
    drawn = np.frombuffer(encryptor.update(blocks.tobytes()), dtype="<u8").reshape(-1, 2)[:, 0]
    order = np.lexsort((drawn, units))  # stable: equal draws stay in the order of the rows' values
    starts = np.flatnonzero(np.r_[True, units[1:] != units[:-1]])
    place = np.arange(len(units)) - np.repeat(starts, np.diff(np.r_[starts, len(units)]))
    keep = np.zeros(len(units), dtype=bool)
    keep[order[place < max_contributions]] = True
    return keep


def ahead(blocks: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same blocks, the next one made in a thread while one is worked on."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = thread.submit(next, blocks, None)
            yield block


def _sorted_blocks(path: Path, unit: str | Unit, columns: list[str], scratch: Path, ranges: Ranges) -> Iterator[pa.Table]:
    """The rows sorted by unit, then by the columns, in blocks that never part a unit; sorted on disk when they do not fit.

    Columns of whole numbers may come in a smaller type that holds their `ranges`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    owner = unit_of(unit)
    with _database(scratch) as db:
        schema = plain_schema(path, columns).insert(0, pa.field("c0", unit_type(path, unit)))
        sizes = [ranges.get(name or "") for name in (owner.column if owner.is_person else None, *columns)]
        kinds = [narrowed(field.type, *size) if size else field.type for field, size in zip(schema, sizes, strict=True)]
        schema = pa.schema([(f"c{index}", kind) for index, kind in enumerate(kinds)])
        reader = pa.RecordBatchReader.from_batches(schema, batches(path, unit, columns, schema))
        db.register("rows", reader)
        names = ", ".join(f"c{index}" for index in range(len(columns) + 1))
        carried: pa.Table | None = None
        last_unit: Any = None
        for batch in db.sql(f"SELECT {names} FROM rows ORDER BY {names}").to_arrow_reader(ROWS):
            if not batch.num_rows:
                continue
            table = pa.Table.from_batches([batch])
            before = last_unit if last_unit is not None else table.column(0)[0]
            ordered = pa.concat_arrays([pa.array([before], table.column(0).type), *table.column(0).chunks])
            # every bound rests on the order, so it is not taken on trust
            if not pc.all(pc.less_equal(ordered[:-1], ordered[1:])).as_py():
                raise PrivacyError("the sort for contribution bounding returned rows out of order", fix="Report this as a bug")
            last_unit = ordered[-1]
            if carried is not None:
                table = pa.concat_tables([carried, table]).combine_chunks()
            last = _first_of_last(table.column(0))
            carried = table.slice(last)
            if last:
                yield table.slice(0, last)
        if carried is not None and carried.num_rows:
            yield carried


def _first_of_last(column: Any) -> int:
    import numpy as np

    units = codes(column)
    return int(np.argmax(units == units[-1])) if len(units) else 0


@contextmanager
def _database(scratch: Path) -> Iterator[Any]:
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "temp_directory": str(scratch / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    db = duckdb.connect(":memory:", config=settings)
    try:
        db.execute("SET enable_progress_bar = false")
        yield db
    except duckdb.Error as error:  # its text may quote data
        raise PrivacyError(
            "the data could not be sorted for contribution bounding",
            where=str(scratch),
            why=type(error).__name__,
            fix="Check the free space of the scratch folder",
        ) from None
    finally:
        db.close()


def private_file(scratch: Path, name: str) -> Path:
    """A new empty file in `scratch` that nobody else can read."""
    import os

    target = scratch / name
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return target
