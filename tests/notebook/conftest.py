"""A kernel of its own environment, with this checkout's pellucid in it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_run import Shown, run_cells

ROOT = Path(__file__).parents[2]
Notebook = Callable[..., list[Shown]]


@pytest.fixture(scope="session")
def jupyter(tool: Callable[[str], Path]) -> Path:
    """The Python of the environment with Jupyter."""
    python = tool("jupyter")
    with (python.parent / ".turn").open("w") as turn:  # one worker of the tests installs it
        fcntl.flock(turn, fcntl.LOCK_EX)
        install = [ROOT / ".venv/bin/uv", "pip", "install", "--python", python, "--offline", "--no-deps", "--quiet", "-e", ROOT]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return python


@pytest.fixture
def notebook(jupyter: Path, tmp_path: Path) -> Notebook:
    """Run cells in a fresh kernel whose working folder is `tmp_path`; what each showed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PELLUCID_KEYS": str(tmp_path / "keys"),
        "LC_ALL": "C.UTF-8",
    }

    def run(*cells: str, interrupt: tuple[int, float] | None = None) -> list[Shown]:
        return run_cells(jupyter, list(cells), tmp_path, environment, interrupt)

    return run
