"""One attempt at a package: its environment, and re-runs and comparisons in it, each in a sealed process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError

if TYPE_CHECKING:
    from pellucid.packages.manifest import Manifest
    from pellucid.packages.sealed import Ended
    from pellucid.packages.venv import Environment

Finding = tuple[str, str, str, str]  # step, output, result, detail


class NoVerdictError(Exception):
    """The re-run came to no result; the text says why."""


@dataclass(frozen=True)
class Made:
    """What a re-run gave: each step's action, message and outputs, the surroundings it saw, how it ended and where its files are."""

    steps: Mapping[str, Any]
    environment: Mapping[str, Any]
    ended: Ended
    work: Path


@dataclass
class Attempt:
    """A checked package, the folder to work in, and, once built, the environment."""

    package: Path
    wheel: str
    manifest: Manifest
    folder: Path
    offline: bool
    environment: Environment | None = None
    count: int = field(default=0)

    def build(self) -> None:
        """Build the environment. Raises NoVerdictError."""
        from pellucid.packages import sealed, venv

        python = str(self.manifest.environment.get("python", ""))
        shared = sealed.available().landlock > 0
        try:
            self.environment = venv.build(
                self.package, self.wheel, self.folder / "environment", python, offline=self.offline, shared=shared
            )
        except venv.NotBuiltError as error:
            raise NoVerdictError(f"its environment could not be built: {error}") from None

    def rerun(self, steps: Sequence[str], *, keep_going: bool = False, surroundings: Mapping[str, str] | None = None) -> Made:
        """Re-run open steps, sealed, each from its recorded inputs; `surroundings` are further variables of the environment.

        What comes back is the word of the package's own code: it is checked for its shape alone. Raises NoVerdictError.
        """
        from pellucid.packages import lock, sealed
        from pellucid.packages.survey import ELSEWHERE
        from pellucid.pipeline.environment import DETERMINISM

        assert self.environment is not None
        self.count += 1
        work = self.folder / ("rerun" if self.count == 1 else f"rerun-{self.count}")
        home, scratch = work / "home", work / "tmp"
        for path in (work, home, scratch):
            path.mkdir()
        python = self.environment.python
        env = {name: os.environ[name] for name in sealed.KEPT if name in os.environ} | DETERMINISM
        env |= {
            "PATH": f"{python.parent}:{env.get('PATH', '/usr/bin:/bin')}",
            "VIRTUAL_ENV": str(python.parents[1]),
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "PYTHONPATH": str(self.package / ELSEWHERE),
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PELLUCID_LOCK": str(self.package / lock.FILE),
            **(surroundings or {}),
        }
        result = work / "result.json"
        command = [str(python), "-P", "-m", "pellucid.packages.rerun", str(self.package), str(work / "state"), str(result)]
        command += [json.dumps(list(steps)), "yes" if keep_going else "no"]
        read = [self.package, *self.environment.folders, Path("/proc")]
        ended = sealed.run(command, read=read, write=[work], env=env, folder=work, log="rerun")
        if ended.code or not result.is_file() or result.is_symlink():
            last = ended.last.splitlines()[-1] if ended.last else f"it ended with {ended.code}"
            raise NoVerdictError(f"the re-run broke off: {last[:400]}")
        found = _shaped(result)
        return Made(found["steps"], found["environment"], ended, work)

    def compare(self, made: Made, steps: Sequence[str], *, other_kernel: bool) -> list[Finding]:
        """The findings, from a sealed process of the verifier's own pellucid that can only read. Raises NoVerdictError."""
        from pellucid.packages import sealed

        command = [sys.executable, "-P", "-m", "pellucid.packages.comparison"]
        command += [str(self.package), str(made.work / "state"), str(made.work / "result.json")]
        command += [json.dumps(list(steps)), "other" if other_kernel else "same"]
        read = [self.package, made.work, Path("/proc"), Path(__file__).resolve().parents[2]]
        ended = sealed.run(command, read=read, write=[], env=dict(os.environ), folder=made.work, log="comparison")
        try:
            found = json.loads(ended.output.splitlines()[-1])
            if "error" in found:
                raise NoVerdictError(str(found["error"])[:1000])
            return [(step, output, result, detail) for step, output, result, detail in found["findings"]]
        except (ValueError, IndexError, KeyError) as error:
            last = ended.last.splitlines()[-1] if ended.last else f"it ended with {ended.code}"
            raise NoVerdictError(f"the comparison broke off: {last[:400]}") from error


def _shaped(result: Path) -> dict[str, Any]:
    from pellucid.packages.untrusted import read_json

    try:
        found = read_json(result, "the result of the re-run")
    except PackageError as error:
        raise NoVerdictError(str(error)) from None
    if "error" in found:
        raise NoVerdictError(str(found["error"])[:1000])
    steps = found.get("steps")
    shaped = isinstance(steps, dict) and all(
        isinstance(step, dict) and isinstance(step.get("outputs"), dict) and {"action", "message"} <= step.keys()
        for step in steps.values()
    )
    if not shaped or not isinstance(found.get("environment"), dict):
        raise NoVerdictError("the re-run gave a result that is none")
    return found
