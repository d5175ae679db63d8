"""A script as a step: run in a folder that holds just its declared files, and what it leaves there as artifacts.

Used by the pipelines that `pellucid adopt` writes. The script runs in a process of its own, with the step's interpreter and under
whatever holds the step; its output is kept as the file `stdout`. What it writes is kept as the bytes it wrote. Only where a re-run may
differ by a tolerance are tables (.csv, .parquet), arrays (.npy) and flat JSON objects of numbers kept as values instead, so that they can
be compared number by number, and only where the values say all that the file says.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError
from pellucid.packages.adopting import script_process
from pellucid.store import File

KINDS = {".csv": "table", ".parquet": "table", ".npy": "array", ".json": "metrics"}
STDOUT = "stdout"


def run_script(
    script: str,
    files: Mapping[str, File],
    outputs: Mapping[str, str],
    arguments: Sequence[str] = (),
    folders: Sequence[str] = (),
    values: Sequence[str] = (),
) -> dict[str, Any]:
    """Run `script` (a path among `files`) with its arguments; the value of each output.

    `files`: relative path -> the file to put there; `folders`: relative paths of folders that are there. `outputs`: output's name -> the
    relative path the script leaves it at, or "stdout"; those in `values` are given as values, the others as files. Raises PellucidError
    when the script fails or leaves an output out; the text ends with the script's last line.
    """
    folder = Path(tempfile.mkdtemp(prefix="script-"))
    laid_out(folder, {path: file.read_bytes() for path, file in files.items()}, folders)
    done = script_process.run(script, folder, arguments)
    if done.returncode:
        why = script_process.last_line(done)[:300]
        raise PellucidError(f"the script ended with {done.returncode}", where=script, why=why)
    made: dict[str, Any] = {}
    for name, path in outputs.items():
        if path == STDOUT:
            made[name] = done.stdout
        elif not (folder / path).is_file():
            raise PellucidError(f"the script did not write {path}", where=script)
        else:
            made[name] = value_of(folder / path) if name in values else folder / path
    return made


def laid_out(folder: Path, files: Mapping[str, bytes], folders: Sequence[str]) -> None:
    """Put files and folders at their places below `folder`."""
    for path in folders:
        (folder / path).mkdir(parents=True, exist_ok=True)
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)


def kind_of(path: Path) -> str:
    """The kind of value a file can be kept as without losing anything; "file" where it can be none."""
    kind = KINDS.get(path.suffix.lower(), "file")
    try:
        value = value_of(path)
        if kind == "table" and path.suffix.lower() == ".csv" and not _says_the_same(path, value):
            return "file"
    except (PellucidError, ValueError, TypeError, OSError, csv.Error):
        return "file"
    return "file" if isinstance(value, Path) else kind


def _says_the_same(path: Path, table: Any) -> bool:
    """Whether the cells of a CSV file, as they were read, are all that its text says: "00123" is not 123, "NA" is not nothing."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or [len(row) for row in rows] != [table.num_columns] * (table.num_rows + 1):
        return False
    if rows[0] != table.column_names or any(_is_number(name) for name in rows[0]):
        return False  # a file without a header would lose its first row
    columns = zip(*rows[1:], strict=True)
    return all(
        _same(text, value)
        for texts, column in zip(columns, table.columns, strict=False)
        for text, value in zip(texts, column.to_pylist(), strict=True)
    )


def _same(text: str, value: Any) -> bool:
    if value is None:
        return text == ""
    if isinstance(value, float):
        return _is_number(text) and float(text) == value and not (text[:1] == "0" and text[1:2].isdigit()) and text[:1] != "+"
    return str(value) == text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def value_of(path: Path) -> Any:
    """What a file holds, as a value of its kind; the path itself where it is a file like any other."""
    kind = KINDS.get(path.suffix.lower(), "file")
    if kind == "table":
        from pellucid.data import detect, open_table

        return open_table(path, format=detect(path) or "csv", options={}).read_all()
    if kind == "array":
        import numpy as np

        return np.load(path, allow_pickle=False)
    if kind == "metrics":
        found = json.loads(path.read_text())
        flat = isinstance(found, dict) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in found.values())
        return found if flat else path
    return path
