"""Notebooks run by a real kernel (nbclient and ipykernel, in an environment of their own), and what their cells showed.

As a module it starts the other environment's Python on this very file, which runs the cells.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Shown:
    """What one cell gave: its text on stdout and stderr, its error ("Name: text"; "" for none), its last value as text and HTML."""

    text: str
    error: str
    value: str
    html: str


def run_cells(
    python: Path, cells: list[str], folder: Path, environment: dict[str, str], interrupt: tuple[int, float] | None
) -> list[Shown]:
    """Run the cells one after the other in a fresh kernel whose working folder is `folder`; an error does not stop the next cell.

    `interrupt` is (cell from 0, seconds after it began): as somebody who presses the stop button.
    """
    asked = json.dumps({"cells": cells, "folder": str(folder), "interrupt": interrupt})
    variables = {**environment, "IPYTHONDIR": str(folder / ".ipython"), "JUPYTER_RUNTIME_DIR": str(folder / ".runtime")}
    done = subprocess.run(
        [python, __file__], input=asked, env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [Shown(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """Cells as JSON on stdin; what they showed as JSON on stdout."""
    import nbclient
    import nbformat

    asked = json.load(sys.stdin)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in asked["cells"]])
    client = nbclient.NotebookClient(book, timeout=180, allow_errors=True, resources={"metadata": {"path": asked["folder"]}})
    if asked["interrupt"] is not None:
        cell, seconds = asked["interrupt"]

        def begun(cell_index: int, **_: Any) -> None:
            if cell_index == cell:
                threading.Timer(seconds, lambda: client.km.provisioner.process.send_signal(2)).start()

        client.on_cell_start = begun
    client.execute()
    print(json.dumps([_shown(cell) for cell in book.cells]))


def _shown(cell: Any) -> dict[str, str]:
    text = error = value = html = ""
    for output in cell.outputs:
        if output.output_type == "stream":
            text += output.text
        elif output.output_type == "error":
            error = f"{output.ename}: {output.evalue}"
            text += "\n".join(output.traceback)
        elif "data" in output:
            value, html = output.data.get("text/plain", ""), output.data.get("text/html", "")
    return {"text": text, "error": error, "value": value, "html": html}


if __name__ == "__main__":
    main()
