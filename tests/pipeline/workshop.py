"""Projects written into a folder, and pipelines run in processes of their own, as people run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

PELLUCID = [sys.executable, "-m", "pellucid"]


@dataclass(frozen=True)
class Done:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line of an error; fails when there are more, or a traceback."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


class Project:
    """A folder with a pipeline file and what belongs to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def home(self) -> Path:
        return self.folder / ".pellucid"

    def write(self, **files: str) -> Project:
        """Write files; `pipeline=...` is pipeline.py, `rows_csv=...` is rows.csv. Pipelines begin with the import of pellucid."""
        for name, text in files.items():
            stem, _, suffix = name.rpartition("_")
            path = self.folder / (f"{stem}.{suffix}" if suffix in ("csv", "txt", "lock") else f"{name}.py")
            text = textwrap.dedent(text).lstrip("\n")
            path.write_text(f"import pellucid as pl\n{text}" if name == "pipeline" else text)
        return self

    def pellucid(self, *arguments: str | Path, timeout: float = 60, **environment: str) -> Done:
        command = [*PELLUCID, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=environ(environment), capture_output=True, text=True, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str | Path, **environment: str) -> Done:
        """`pellucid run pipeline.py --json --quiet`: confined workers."""
        return self.pellucid("run", "pipeline.py", "--json", "--quiet", *arguments, **environment)

    def python(self, text: str, **environment: str) -> Any:
        """Run a script in the folder; what it prints last is JSON."""
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text)],
            cwd=self.folder, env=environ(environment), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


def environ(extra: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PELLUCID_")} | dict(extra)


def actions(found: Mapping[str, Any]) -> dict[str, str]:
    return {name: step["action"] for name, step in found["steps"].items()}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)
