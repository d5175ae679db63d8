"""Notebooks run by a real kernel (nbclient and ipykernel, in an environment of their own), and what their cells showed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbclient
import nbformat


@dataclass(frozen=True)
class Shown:
    """What one cell gave: its text on stdout and stderr, its error ("Name: text"; "" for none), its last value as text and HTML."""

    text: str
    error: str
    value: str
    html: str


def executed(cells: list[str], folder: Path) -> list[Shown]:
    """Run the cells one after the other in a fresh kernel whose working folder is `folder`; an error does not stop the next cell."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    client = nbclient.NotebookClient(book, timeout=180, allow_errors=True, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [_shown(cell) for cell in book.cells]


def _shown(cell: Any) -> Shown:
    text = error = value = html = ""
    for output in cell.outputs:
        if output.output_type == "stream":
            text += output.text
        elif output.output_type == "error":
            error = f"{output.ename}: {output.evalue}"
            text += "\n".join(output.traceback)
        elif "data" in output:
            value, html = output.data.get("text/plain", ""), output.data.get("text/html", "")
    return Shown(text, error, value, html)


def main() -> None:
    """Cells as JSON on stdin, and a folder; what they showed as JSON on stdout."""
    cells = json.load(sys.stdin)
    print(json.dumps([vars(one) for one in executed(cells, Path(sys.argv[1]))]))


def run_cells(python: Path, source: Path, cells: list[str], folder: Path, environment: dict[str, str]) -> list[Shown]:
    """The same from another environment: `python` is its interpreter, `source` the folder that holds pellucid."""
    variables = {**environment, "PYTHONPATH": str(source), "IPYTHONDIR": str(folder / ".ipython"), "JUPYTER_ALLOW_INSECURE_WRITES": "1"}
    done = subprocess.run(
        [python, __file__, folder], input=json.dumps(cells), env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [Shown(**one) for one in json.loads(done.stdout.splitlines()[-1])]


if __name__ == "__main__":
    main()
