"""What tests of several rooms share: the environments of peers and validators."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """The Python of the environment of tests/tools/NAME.lock, made when first asked for: `tool("pycanon")`."""

    def python_of(name: str) -> Path:
        made = subprocess.run([ROOT / "scripts" / "tool", name], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        return Path(made.stdout.strip())

    return python_of
