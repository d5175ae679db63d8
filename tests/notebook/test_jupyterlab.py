"""A pipeline in the cells of a real JupyterLab, run in a real browser: the graph, the progress and the values are seen."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_notebook import folder

__all__ = ["folder"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CELLS = [
    """import pellucid as pl

visits = pl.source("visits.csv", label="private", unit="person", budget=pl.Budget(epsilon=2.0, delta=1e-5))
counts = pl.release(pl.privacy.histogram("area", max_contributions=3), of=visits, epsilon=1.0, delta=1e-6)


@pl.step
def top(counts: pl.Table, n: int = 3) -> pl.Table:
    return counts.polars().sort("count", descending=True).head(n)


pipeline = pl.Pipeline("areas", [visits, counts, top])
pipeline""",
    "run = pipeline.run()\nrun",
    'run["top"]',
]


@pytest.fixture
def lab(jupyter: Path, folder: Path) -> Iterator[str]:
    """The address of a JupyterLab with the notebook areas.ipynb."""
    cells = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
        for at, text in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    (folder / "areas.ipynb").write_text(json.dumps(book))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{jupyter.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "PELLUCID_KEYS": str(folder / "keys"), "LC_ALL": "C.UTF-8"}
    options = [f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [jupyter.parent / "jupyter", "lab", *options], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _until(lambda: socket.create_connection(("127.0.0.1", port)).close() is None)
        yield f"http://127.0.0.1:{port}/lab/tree/areas.ipynb?reset"
    finally:
        server.terminate()
        server.wait(30)


def _until(holds: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Wait for something, as one who looks at the screen does."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = holds()
        except OSError:
            found = None
        if found:
            return found
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


def test_a_notebook_in_jupyterlab_shows_the_graph_the_progress_and_the_values(lab: str, chromium: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    size = {"width": 1280, "height": 1500, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chromium.get(lab)
    editors = _until(lambda: chromium.find_elements("css selector", ".jp-CodeCell .cm-content")[2:] and
                     chromium.find_elements("css selector", ".jp-CodeCell .cm-content"))  # fmt: skip
    _until(lambda: chromium.find_elements("css selector", ".jp-Notebook-ExecutionIndicator[data-status=idle]"))
    editors[0].click()
    for _ in CELLS:
        ActionChains(chromium).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()

    def shown() -> str:
        return "\n".join(one.text for one in chromium.find_elements("css selector", ".jp-OutputArea-output"))

    text = _until(lambda: "Table of 3 rows" in shown() and shown())
    for said in ("✓ visits", "✓ top", "withheld: not open", "area (string)"):
        assert said in text
    (drawing,) = chromium.find_elements("css selector", ".jp-OutputArea-output svg[role=img]")
    assert drawing.size["width"] > 50
    assert "release · open" in drawing.text
    assert "p17" not in text, "no private row is seen"
