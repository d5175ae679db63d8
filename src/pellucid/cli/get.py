"""`pellucid get`: one output of a run, as a file or on stdout."""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pellucid.cli import options, state_folder
from pellucid.errors import LabelError, UsageError, suggest

if TYPE_CHECKING:
    from pellucid.pipeline.record import Artifact

# The files that an output can be written as, by their endings; the first is what is printed where no file is named.
FORMATS = {
    "table": (".csv", ".parquet", ".jsonl"),
    "metrics": (".json",),
    "array": (".npy", ".csv"),
    "model": (".npz",),
    "file": (),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", metavar="RUN", help="a run, the start of its name, a pipeline (its newest run), last or last~1")
    parser.add_argument(
        "output", metavar="OUTPUT", help="an output of a step; of a step with branches one of them: means[shrink=1.0]"
    )
    said = "write it there (a table as .csv, .parquet or .jsonl; an array as .npy or .csv); without it, text is printed"
    parser.add_argument("--out", type=Path, metavar="FILE", help=said)
    parser.add_argument("--private", action="store_true", help="also what is not open: for the data's steward")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Print the output, or write it and say where."""
    record, (run,) = state_folder.find_run(arguments, arguments.run)
    outputs = {name: (step.label, artifact) for step in record.steps(run["run"]) for name, artifact in _named(step)}
    record.close()
    if arguments.output not in outputs:
        fix = suggest(arguments.output, outputs)
        where = f"run {run['run']} of {run['pipeline']}, in {state_folder.shown(record.home)}"
        raise UsageError(f'it has no output "{arguments.output}"', where=where, fix=fix)
    label, artifact = outputs[arguments.output]
    if label != "open" and not arguments.private:
        raise LabelError(
            f'"{arguments.output}" is {label}', fix="If you are the data's steward: add --private. To publish it, release it"
        )
    if artifact.items is not None:
        inner = [f"{arguments.output}[{name}]" for name, _ in artifact.items]
        raise UsageError(f'"{arguments.output}" has {len(inner)} branches', fix=f"Name one of them: {', '.join(inner[:20])}")
    made = _write(record.home, artifact, arguments)
    state_folder.say(record.home, run)
    if arguments.json:
        options.print_json({"run": run["run"], "output": arguments.output, "label": label, **made})
    elif arguments.out is not None:
        print(f"{arguments.out}: {arguments.output}, a {artifact.kind} ({label}), {options.size(made['size'])}")
    return 0


def _named(step: Any) -> list[tuple[str, Artifact]]:
    """The outputs of a step by name, and of one with branches each of them."""
    found = []
    for name, artifact in step.outputs.items():
        found.append((name, artifact))
        found += [(f"{name}[{branch}]", item) for branch, item in artifact.items or ()]
    return found


def _write(home: Path, artifact: Artifact, arguments: argparse.Namespace) -> dict[str, Any]:
    from pellucid.pipeline.record import path_of
    from pellucid.store import Objects

    stored, out = path_of(Objects(home), artifact), arguments.out
    known = FORMATS[artifact.kind]
    if out is None:
        if arguments.json:
            return {"kind": artifact.kind, "digest": artifact.digest, "size": artifact.size}
        suffix = known[0] if known else ""
        if suffix in (".npy", ".npz") or (artifact.kind == "file" and sys.stdout.isatty()):
            raise UsageError(f'"{arguments.output}" is a {artifact.kind}, which is no text', fix="Name a file: --out FILE")
        sys.stdout.flush()
        with suppress(BrokenPipeError):
            _copy(artifact.kind, suffix, stored, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return {}
    suffix = out.suffix.lower()
    if known and suffix not in known:
        said = f"a {artifact.kind} is not written as {suffix or 'a file without an ending'}"
        raise UsageError(said, where=str(out), fix=f"End the name with {' or '.join(known)}")
    if out.exists():
        raise UsageError("it is there already", where=str(out), fix="Remove it, or name another file")
    draft = out.with_name(f".{out.name}.draft")
    try:
        with draft.open("xb") as file:
            _copy(artifact.kind, suffix, stored, file)
        os.replace(draft, out)
    except FileNotFoundError as error:
        raise UsageError("there is no such folder", where=str(out.parent), fix="Make it first") from error
    finally:
        draft.unlink(missing_ok=True)
    return {"kind": artifact.kind, "digest": artifact.digest, "size": out.stat().st_size, "file": str(out)}


def _copy(kind: str, suffix: str, stored: Path, file: BinaryIO) -> None:
    """The stored file as one of this ending: its own bytes where that is how it is kept."""
    convert: Mapping[tuple[str, str], Callable[[Path, BinaryIO], None]] = {
        ("table", ".csv"): _csv,
        ("table", ".jsonl"): _json_lines,
        ("array", ".csv"): _array_csv,
    }
    if (kind, suffix) in convert:
        convert[kind, suffix](stored, file)
        return
    with stored.open("rb") as source:
        shutil.copyfileobj(source, file)


def _csv(stored: Path, file: BinaryIO) -> None:
    """A stream of CSV with a header (RFC 4180); nested values as JSON. An empty cell is missing, an empty text is quoted."""
    import pyarrow.csv as csv

    from pellucid.store import Table

    table = Table(stored)
    schema = _flat(table.schema)
    with csv.CSVWriter(file, schema) as writer:
        for batch in table.batches():
            writer.write_batch(_flat_batch(batch, schema))


def _json_lines(stored: Path, file: BinaryIO) -> None:
    """One object a row. JSON has no word for NaN and the infinities: they are null."""
    from pellucid.store import Table

    for batch in Table(stored).batches():
        file.writelines(f"{_cell(_finite(row))}\n".encode() for row in batch.to_pylist())


def _array_csv(stored: Path, file: BinaryIO) -> None:
    import numpy as np

    values = np.load(stored, allow_pickle=False)
    if values.ndim > 2:
        raise UsageError(f"an array of {values.ndim} dimensions is no CSV file", fix="End the name with .npy")
    rows = values if values.ndim == 2 else values.reshape(-1, 1)
    file.writelines(",".join(map(str, row)).encode() + b"\n" for row in rows.tolist())


def _flat(schema: Any) -> Any:
    """The schema with text for what a cell of a CSV file cannot hold."""
    import pyarrow as pa

    def flat(field: Any) -> Any:
        return field.with_type(pa.string()) if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) else field

    return pa.schema([flat(field) for field in schema])


def _flat_batch(batch: Any, schema: Any) -> Any:
    import pyarrow as pa

    columns = []
    for column, field in zip(batch.columns, schema, strict=True):
        if column.type == field.type:
            columns.append(column)
        else:
            columns.append(pa.array([None if one is None else _cell(_finite(one)) for one in column.to_pylist()], pa.string()))
    return pa.record_batch(columns, schema=schema)


def _cell(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else value.isoformat() if hasattr(value, "isoformat") else str(value)
