"""The CERN Mattermost data set (Zenodo record 6319684): six tables in one JSON object of several hundred MB.

It is read as a stream, one table at a time; memory does not grow with the file. Identifiers are text in every table, whatever
JSON says, so that they join with the keys of `users`. Times are epoch milliseconds as in the file (int64); a DeleteAt of 0 means
not deleted, a LeaveTime of null still there. A field that some record lacks is null; other fields of the file are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import column_options
from pellucid.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {
    "table": "teams, team_members, channels, channel_members, channel_member_history or users",
    "columns": column_options.COLUMNS,
}
FOLDERS = False

_ROWS = 65536  # records in a batch

_TABLES: dict[str, dict[str, str]] = {
    "teams": {"TeamId": "id", "CreateAt": "int64", "DeleteAt": "int64", "InviteOnly": "bool", "EmailDomainRestricted": "bool"},
    "team_members": {"TeamId": "id", "UserId": "id", "DeleteAt": "int64"},
    "channels": {
        "ChannelId": "id",
        "TeamId": "id",
        "CreatorId": "id",
        "CreateAt": "int64",
        "DeleteAt": "int64",
        "TotalMsgCount": "int64",
        "PostCount": "int64",
        "ReactionsCount": "int64",
    },
    "channel_members": {"ChannelId": "id", "UserId": "id", "MsgCount": "int64", "MentionCount": "int64"},
    "channel_member_history": {"ChannelId": "id", "UserId": "id", "JoinTime": "int64", "LeaveTime": "int64"},
    "users": {"UserId": "id", "building": "id", "orgUnit": "id"},
}


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows of one table in file order. Raises DataError, when the stream gets there, for JSON of another shape."""
    import pyarrow as pa

    table = options.get("table")
    if table not in _TABLES:
        problem = "say which table to read" if table is None else f"there is no table {table!r}"
        raise UsageError(problem, where=str(path), fix=f"table= is one of {', '.join(_TABLES)}")
    fields = _TABLES[table]
    schema = pa.schema([(name, {"id": "string", "bool": "bool", "int64": "int64"}[kind]) for name, kind in fields.items()])

    def batches() -> Iterator[pa.RecordBatch]:
        held: list[dict[str, Any]] = []
        count = 0
        for record in _records(path, table):
            if not isinstance(record, dict):
                raise DataError(f"record {count + 1} of {table!r} is not an object", where=str(path), fix=_SHAPE)
            if not count and (missing := [name for name in fields if name not in record]):
                there = ", ".join(record)
                raise DataError(f"{table!r} has no field {missing[0]!r}", where=str(path), fix=f"Its first record has: {there}")
            held.append(record)
            count += 1
            if len(held) == _ROWS:
                yield _batch(path, table, held, count - len(held), schema)
                held = []
        if not count:
            _check_present(path, table)
        if held:
            yield _batch(path, table, held, count - len(held), schema)

    return column_options.chosen(pa.RecordBatchReader.from_batches(schema, batches()), path, options)


_SHAPE = "The file must be one JSON object of tables, as in Zenodo record 6319684"


def _records(path: Path, table: str) -> Iterator[Any]:
    """The records of a table; of `users`, an object by user id, with the id as one more field."""
    import ijson

    with path.open("rb") as file:
        try:
            if table == "users":
                for user, about in ijson.kvitems(file, "users", use_float=True):
                    yield {"UserId": user, **about} if isinstance(about, dict) else about
            else:
                yield from ijson.items(file, f"{table}.item", use_float=True)
        except ijson.JSONError as error:
            why = str(error).partition("\n")[0] or "it breaks off"
            raise DataError("is not whole JSON", where=str(path), why=why, fix="Copy or download it again") from error
        except UnicodeDecodeError as error:
            raise DataError("is not UTF-8 text", where=str(path), fix=_SHAPE) from error


def _check_present(path: Path, table: str) -> None:
    """Tell a table without records, which is fine, from one that is not there or has another shape."""
    import ijson

    with path.open("rb") as file:
        there = []
        for prefix, event, value in ijson.parse(file):
            if not prefix and event not in ("start_map", "map_key", "end_map"):
                raise DataError("is not a JSON object", where=str(path), fix=_SHAPE)
            if not prefix and event == "map_key":
                there.append(value)
            if prefix == table:
                if event not in ("start_map" if table == "users" else "start_array", "end_map", "end_array"):
                    shape = "an object by user id" if table == "users" else "a list of records"
                    raise DataError(f"{table!r} is not {shape}", where=str(path), fix=_SHAPE)
                return
    raise DataError(f"there is no table {table!r}", where=str(path), fix=f"It holds: {', '.join(there) or 'nothing'}")


def _batch(path: Path, table: str, records: list[dict[str, Any]], before: int, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = []
    for field, kind in zip(schema, _TABLES[table].values(), strict=True):
        take = _TAKE[kind]
        try:
            cells = [None if (cell := record.get(field.name)) is None else take(cell) for record in records]
            arrays.append(pa.array(cells, field.type))
        except (TypeError, ValueError, OverflowError):
            number, value = _first_misfit(field.name, take, records)
            raise DataError(
                f"record {before + number} of {table!r}: {field.name} is {value!r}",
                where=str(path),
                why=f"it should be {_MEANS[kind]} or null",
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _identifier(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    raise TypeError


def _integer(cell: Any) -> int:
    if isinstance(cell, bool) or not isinstance(cell, int | float) or cell != int(cell) or not -(2**63) <= cell < 2**63:
        raise TypeError
    return int(cell)


def _truth(cell: Any) -> bool:
    if cell not in (0, 1):
        raise TypeError
    return bool(cell)


_TAKE = {"id": _identifier, "int64": _integer, "bool": _truth}
_MEANS = {"id": "text or an integer", "int64": "an integer of 64 bits", "bool": "true or false"}


def _first_misfit(name: str, take: Any, records: list[dict[str, Any]]) -> tuple[int, Any]:
    for number, record in enumerate(records, 1):
        cell = record.get(name)
        try:
            _ = cell is None or take(cell)
        except (TypeError, ValueError, OverflowError):
            return number, cell
    raise AssertionError(f"no misfit in {name}")
