"""CSV and TSV files with a header, streamed; also gzip or zstandard compressed.

Types are those of the whole file, not of its beginning: a first pass widens a type where a later row asks for it (integers to
floats, anything to text), so that no stream breaks half-way through and the outcome does not depend on block sizes. What the
guess cannot know must be said with `types`, and a file whose types are all said is read once:

- a code with leading zeros ("007") is read as the integer 7 unless it is declared a string;
- integers beyond 64 bits, and columns that would lose digits as floats, are text;
- empty, NA, N/A, NULL and null are null in every column but text, where they are kept as they stand; "nan" is the float NaN.

Quoted fields may hold line breaks. Blank lines are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import column_options
from pellucid.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {
    "columns": column_options.COLUMNS,
    "types": column_options.TYPES,
    "delimiter": "the character between fields; a comma, or a tab for .tsv",
    "encoding": "of the text; utf-8",
}
FOLDERS = False
ENCODING = "Say encoding='latin-1' or another (to init: --option encoding=latin-1)"

_BLOCK = 8 << 20  # bytes parsed at a time; also the longest row
LIKELY = (";", "\t", "|", ",")  # what else stands between fields, often
_NULLS = ["", "NA", "N/A", "NULL", "null"]
_EXACT = 2.0**53  # from here on floats do not hold every integer

_FAILURES = (OSError, ValueError, LookupError)  # what pyarrow raises for bad input; its own errors derive from these

_CONVERSION = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to ([^:]+): (.*)", re.DOTALL)
_RAGGED = re.compile(r"CSV parse error: (?:Row #(\d+): )?Expected (\d+) columns, got (\d+)")
_WIDER = {
    "null": ["int64", "bool", "date32", "time32[s]", "timestamp[s]", "timestamp[ns]", "double", "string"],
    "int64": ["double", "string"],
    "date32[day]": ["timestamp[s]", "timestamp[ns]", "string"],
    "timestamp[s]": ["timestamp[ns]", "string"],
}


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows in file order. Raises DataError for a missing column at once; for a broken row when the stream gets there."""
    import pyarrow as pa

    source = _Source(path, options)
    header = source.header()
    names = column_options.checked(path, column_options.wanted(options), header)
    types = column_options.declared(path, options, header)
    if not set(names) <= set(types):
        types = _infer(source, header, names, types)
    schema = pa.schema([(name, types[name]) for name in names])
    return pa.RecordBatchReader.from_batches(schema, source.batches(header, names, types))


class _Source:
    """One CSV file and how it is written."""

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self.path = path
        tsv = ".tsv" in [suffix.lower() for suffix in path.suffixes[-2:]]
        self.said = "delimiter" in options
        self.delimiter = options.get("delimiter", "\t" if tsv else ",")
        self.encoding = options.get("encoding", "utf-8")
        if not isinstance(self.delimiter, str) or len(self.delimiter) != 1 or not self.delimiter.isascii():
            raise UsageError(f"the delimiter must be one ASCII character, not {self.delimiter!r}", where=str(path))

    def header(self) -> list[str]:
        """The names in the first row."""
        try:
            names: list[str] = self._open(None, {}).schema.names
        except _FAILURES as error:
            raise self.explained(error, []) from error
        if names and all(re.fullmatch(r"\s*[-+]?[0-9.]+\s*", name) for name in names):
            raise DataError(
                "has no header: its first row is all numbers", where=str(self.path), fix="Put the column names in a first row"
            )
        if len(names) == 1 and not self.said:
            self._refuse_other_delimiter(names[0])
        return names

    def _refuse_other_delimiter(self, name: str) -> None:
        """One column whose name holds another usual delimiter is several columns. Whoever says the delimiter is believed."""
        likely = next((one for one in LIKELY if one in name), None)
        if likely is not None:
            shown = {"\t": "\\t"}.get(likely, likely)
            raise DataError(
                f"its only column is {name[:60]!r}: several columns, with another character between them than {self.delimiter!r}",
                where=str(self.path),
                fix=f"Say delimiter={likely!r} (to init: --option 'delimiter={shown}'), or {self.delimiter!r} if it is one column",
            )

    def batches(self, header: list[str], names: list[str] | None, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        """The rows; what goes wrong is raised as a DataError."""
        last = None
        try:
            for batch in self._open(names, types):
                last = batch if batch.num_rows else last
                yield batch
        except _FAILURES as error:
            raise self.explained(error, header) from error
        if last is not None and header[-1] in last.schema.names:
            self._refuse_open_quote(last.column(header[-1])[-1].as_py())

    def _open(self, names: list[str] | None, types: Mapping[str, pa.DataType]) -> Any:
        import pyarrow as pa
        from pyarrow import csv

        return csv.open_csv(
            pa.input_stream(str(self.path), compression="detect"),
            read_options=csv.ReadOptions(
                use_threads=False, block_size=_BLOCK, encoding=self.encoding
            ),  # threads lose row numbers
            parse_options=csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=names, null_values=_NULLS, strings_can_be_null=False
            ),
        )

    def _refuse_open_quote(self, last: object) -> None:
        """A quote that is never closed swallows the rest of the file into one field, in silence."""
        if not isinstance(last, str) or "\n" not in last or self.path.suffix.lower() in (".gz", ".zst"):
            return
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 4096))
            if not file.read().rstrip().endswith(b'"'):
                start = last.partition("\n")[0][:40]
                raise DataError(
                    "a quote is opened and never closed", where=str(self.path), why=f"in the field that begins {start!r}"
                )

    def explained(self, error: Exception, header: list[str]) -> DataError:
        """The DataError that says what pyarrow found."""
        text, where = str(error).strip(), str(self.path)
        conversion, ragged = _CONVERSION.match(text), _RAGGED.match(text)
        if ragged:
            row = f"row {ragged[1]} (the header is row 1)" if ragged[1] else "it"
            return DataError(
                "a row has more or fewer fields than the header",
                where=where,
                why=f"{row} has {ragged[3]} fields, the header has {ragged[2]}",
                fix="Correct or remove the row",
            )
        if conversion:
            # which row stands in the part that is kept from the public record of a private source
            name, row = header[int(conversion[1])], f"row {conversion[2]} (the header is row 1)" if conversion[2] else "a row"
            if "invalid UTF8" in text:
                return DataError(f"column {name!r}: not UTF-8 text", where=where, why=row, fix=ENCODING)
            why = f"{row}: {conversion[4].strip().partition(chr(10))[0]}"
            fix = f'Correct the value, or say types={{"{name}": "string"}}'
            return DataError(f"column {name!r}: not {conversion[3]}", where=where, why=why, fix=fix)
        if isinstance(error, UnicodeDecodeError) or "UTF8" in text:
            return DataError("not text in the encoding " + self.encoding, where=where, fix=ENCODING)
        if isinstance(error, LookupError) and "encoding" in text:
            return DataError(f"there is no encoding {self.encoding!r}", where=where)
        if "straddling" in text:
            return DataError(f"has a row longer than {_BLOCK >> 20} MB", where=where, fix="Look for a quote that is never closed")
        return DataError("cannot be read as CSV", where=where, why=text.partition("\n")[0])


def _infer(source: _Source, header: list[str], names: list[str], declared: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """The narrowest types that hold every row of the columns `names`; declared ones stay."""
    import pyarrow as pa

    types = dict(declared)
    wider: dict[str, list[str]] = {}
    while True:
        try:
            found, rounded = _scan(source._open(names, types))
        except pa.ArrowInvalid as error:
            conversion = _CONVERSION.match(str(error))
            name = header[int(conversion[1])] if conversion else ""
            if conversion is None or name in declared or conversion[3] == "string":
                raise source.explained(error, header) from error
            chain = wider.setdefault(name, list(_WIDER.get(conversion[3], ["string"])))
            types[name] = pa.type_for_alias(chain.pop(0))
            continue
        except _FAILURES as error:
            raise source.explained(error, header) from error
        again = [
            name
            for name in found.names
            if name not in declared and (name in rounded or pa.types.is_binary(found.field(name).type))
        ]
        if not again:
            return {field.name: field.type for field in found}
        types.update(dict.fromkeys(again, pa.string()))


def _scan(stream: Any) -> tuple[pa.Schema, set[str]]:
    """Read a stream to its end; its schema, and the float columns that hold nothing but integers and lose digits of some."""
    import numpy as np
    import pyarrow as pa

    floats = {field.name for field in stream.schema if pa.types.is_floating(field.type)}
    whole, large = set(floats), set()
    for batch in stream:
        for name in whole & floats:
            values = batch.column(name).drop_null().to_numpy(zero_copy_only=False)
            if not (np.isfinite(values) & (values == np.rint(values))).all():
                whole.discard(name)
            elif values.size and np.abs(values).max() >= _EXACT:
                large.add(name)
    return stream.schema, whole & large
