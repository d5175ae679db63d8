"""Text in a stored table is text: bytes that Arrow was told are text are refused by the column's name, and no value is shown."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pellucid.errors import DataError
from pellucid.store import kinds

BYTES = pa.array([b"fine", b"\xff\xfe secret", b"fine"])
NO_TEXT = BYTES.view(pa.string())
WAYS = {
    "text": NO_TEXT,
    "large text": BYTES.cast(pa.large_binary()).view(pa.large_string()),
    "a dictionary": NO_TEXT.dictionary_encode(),
    "a list": pa.ListArray.from_arrays([0, 1, 2, 3], NO_TEXT),
    "a struct": pa.StructArray.from_arrays([NO_TEXT, pa.array([1, 2, 3])], ["a", "b"]),
    "a map": pa.MapArray.from_arrays([0, 1, 2, 3], pa.array(["x", "y", "z"]), NO_TEXT),
    "the keys of a map": pa.MapArray.from_arrays([0, 1, 2, 3], NO_TEXT, pa.array([1, 2, 3])),
    "a list of structs": pa.ListArray.from_arrays([0, 2, 3], pa.StructArray.from_arrays([NO_TEXT], ["a"])).take(
        pa.array([0, 1, 1])
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_bytes_as_text_are_refused_by_name(way: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'words' holds text that is not valid UTF-8") as refused:
        kinds.save(pa.table({"n": [1, 2, 3], "words": WAYS[way]}), "table", tmp_path, "t")
    assert "secret" not in str(refused.value)


def test_bytes_as_bytes_and_any_text_are_kept(tmp_path: Path) -> None:
    table = pa.table({"words": ["é", "\U0001f600", ""], "bytes": BYTES})
    assert kinds.load(kinds.save(table, "table", tmp_path, "t").path, "table").arrow().equals(table)
