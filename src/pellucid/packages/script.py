"""A script as a step: run in a folder that holds just its declared files, and what it leaves there as artifacts.

Used by the pipelines that `pellucid adopt` writes. The script runs in a process of its own, with the step's interpreter and under
whatever holds the step; its output is kept as the file `stdout`. Tables (.csv, .parquet), arrays (.npy) and flat JSON objects of
numbers come back as values of their kinds, so that a re-run can compare them number by number; anything else byte by byte.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError
from pellucid.store.kinds import File

KINDS = {".csv": "table", ".parquet": "table", ".npy": "array", ".json": "metrics"}
STDOUT = "stdout"


def run_script(
    script: str, files: Mapping[str, File], outputs: Mapping[str, str], arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """Run `script` (a path among `files`) with its arguments; the value of each output.

    `files`: relative path -> the file to put there. `outputs`: output's name -> the relative path the script leaves it at, or
    "stdout". Raises PellucidError when the script fails or leaves an output out; the text ends with the script's last line.
    """
    folder = Path(tempfile.mkdtemp(prefix="script-"))
    for path, file in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    for path in outputs.values():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, script, *arguments], cwd=folder, env=env, capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise PellucidError(f"the script ended with {done.returncode}", where=script, why=last[:300])
    made: dict[str, Any] = {}
    for name, path in outputs.items():
        if path == STDOUT:
            made[name] = done.stdout
        elif not (folder / path).is_file():
            raise PellucidError(f"the script did not write {path}", where=script)
        else:
            made[name] = value_of(folder / path)
    return made


def kind_of(path: Path) -> str:
    """The kind a file can be kept as: by its ending, where its content is of that kind."""
    kind = KINDS.get(path.suffix.lower(), "file")
    try:
        value_of(path)
    except (PellucidError, ValueError, TypeError, OSError):
        return "file"
    return "file" if kind == "metrics" and not isinstance(value_of(path), dict) else kind


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


def cells(notebook: bytes, where: str) -> str:
    """The code cells of a notebook (nbformat 4) as one script. Raises PellucidError for what is no Python (magics, shell lines)."""
    try:
        found = json.loads(notebook)
        sources = [cell["source"] for cell in found["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PellucidError("it is not a notebook of nbformat 4", where=where, why=type(error).__name__) from None
    texts = ["".join(source) if isinstance(source, list) else str(source) for source in sources]
    for at, text in enumerate(texts, 1):
        _refuse_other_than_python(text, at, where)
    return "\n\n".join(f"# cell {at}\n{text.rstrip()}" for at, text in enumerate(texts, 1)) + "\n"


def _refuse_other_than_python(text: str, at: int, where: str) -> None:
    """The parser decides, not the look of a line: a line of a text may begin with % too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        lines, number = text.splitlines(), getattr(error, "lineno", None) or 1
        line = lines[number - 1].strip() if number <= len(lines) else ""
        fix = "Remove the line, or do it in Python" if line[:1] in ("%", "!", "?") else "Put it right, and run the notebook again"
        raise PellucidError(f"code cell {at} is not plain Python", where=where, why=f"{line[:60]!r}", fix=fix) from None
