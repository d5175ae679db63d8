"""One attempt at a package: its environment, re-runs in it, and comparisons, each in sealed processes of their own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest
    from pellucid.packages.reproducing.virtual_environment import Environment
    from pellucid.sandbox import Ended, Held, Limits

Finding = tuple[str, str, str, str]  # step, output, result, detail


class NoVerdictError(Exception):
    """The re-run came to no result; the text says why."""


@dataclass(frozen=True)
class Made:
    """What a re-run gave: each step's action, message and outputs, the surroundings it saw, how it was held, and in which folder what
    was copied out of the re-run of which steps."""

    steps: Mapping[str, Any]
    environment: Mapping[str, Any]
    held: Held
    works: tuple[tuple[Path, tuple[str, ...]], ...]

    def files(self, step: str) -> list[tuple[str, str]]:
        """Output and SHA-256 of each file that was copied out of the re-run of a step, in order."""
        from pellucid.packages.reproducing import rerun_outputs

        outputs = self.steps[step]["outputs"]
        named = [
            (output, sha256, suffix) for output in sorted(outputs) for sha256, suffix in rerun_outputs.claimed(outputs[output])
        ]
        return [
            (output, sha256)
            for output, sha256, suffix in named
            if any((work / rerun_outputs.place(sha256, suffix)).is_file() for work, of in self.works if step in of)
        ]


@dataclass
class Attempt:
    """A checked package, the folder to work in, what a re-run may use, and, once built, the environment."""

    package: Path
    wheel: Path
    manifest: Manifest
    folder: Path
    offline: bool
    limits: Limits
    environment: Environment | None = None
    count: int = field(default=0)

    def build(self) -> None:
        """Build the environment. Raises NoVerdictError."""
        from pellucid.packages.reproducing import bytecode_cache, rerun_inputs, virtual_environment

        python = str(self.manifest.environment.get("python", ""))
        try:
            self.environment = virtual_environment.build(
                self.package, self.wheel, self.folder / "environment", python, offline=self.offline, shared=self._shared
            )
        except virtual_environment.NotBuiltError as error:
            raise NoVerdictError(f"its environment could not be built: {error}") from None
        bytecode_cache.prepare(self.environment, (self.package / rerun_inputs.CODE).rglob("*.py"), self.folder, self.limits)

    @property
    def _shared(self) -> bool:
        """Whether a re-run may have files that are others' too: only where the kernel lets it write to none of them."""
        from pellucid.sandbox import launcher

        return launcher.available().landlock > 0

    def rerun(self, steps: Sequence[str], *, keep_going: bool = False, surroundings: Mapping[str, str] | None = None) -> Made:
        """Re-run open steps, sealed, each from its recorded inputs; `surroundings` are further variables of the environment.

        Level by level, each in a process that sees nothing it has to make (`view`); after one that fails, no other, unless `keep_going`.
        What comes back is the word of the package's own code: it is checked for its shape alone. Raises NoVerdictError, and PackageError
        for a trace that is out of order.
        """
        from pellucid.packages.reproducing import rerun_inputs

        started = time.monotonic()
        found: dict[str, Any] = {}
        environment: dict[str, Any] = {}
        held: Held | None = None
        works = []
        for level in rerun_inputs.levels(self.manifest, steps):
            taken, some, ended = self._once(level, keep_going, surroundings or {}, self.limits.less(time.monotonic() - started))
            found |= {name: step for name, step in some["steps"].items() if name in level}
            environment |= some["environment"]
            held = ended.held if held is None else held.and_(ended.held)
            works.append((taken, tuple(level)))
            if not keep_going and any(step["action"] == "failed" for step in found.values()):
                break
        assert held is not None
        return Made(found, environment, held, tuple(works))

    def _once(
        self, steps: Sequence[str], keep_going: bool, surroundings: Mapping[str, str], limits: Limits
    ) -> tuple[Path, dict[str, Any], Ended]:
        """Re-run these steps: where what they gave was copied to, what they said of it, and how the process ended."""
        from pellucid.packages.format import lock_file
        from pellucid.packages.reproducing import rerun_inputs, rerun_outputs, virtual_environment
        from pellucid.sandbox import launcher

        assert self.environment is not None
        self.count += 1
        work, seen = self.folder / f"rerun-{self.count}", self.folder / f"view-{self.count}"
        home, scratch = work / "home", work / "tmp"
        for path in (work, home, scratch, work / "state"):
            path.mkdir(mode=0o700)
        rerun_inputs.lay_out(self.package, self.manifest, steps, seen)
        python = self.environment.python
        env = virtual_environment.strangers_environment(home, scratch)
        env |= {
            "PATH": f"{python.parent}:{env.get('PATH', '/usr/bin:/bin')}",
            "VIRTUAL_ENV": str(python.parents[1]),
            "PELLUCID_LOCK": str(seen / lock_file.FILE),
            **surroundings,
        }
        result = work / "result.json"
        command = [
            str(python),
            "-P",
            "-m",
            "pellucid.packages.reproducing.rerun_process",
            str(seen),
            str(work / "state"),
            str(result),
        ]
        command += [json.dumps(list(steps)), "yes" if keep_going else "no"]
        read = [seen, *self.environment.folders]
        ended = launcher.run(command, read=read, write=[work], env=env, folder=work, log="rerun", limits=limits)
        if ended.stopped or ended.code or not result.is_file() or result.is_symlink():
            fix = "; what it may use is set with --timeout, --memory and --disk" if ended.stopped else ""
            raise NoVerdictError(f"the re-run broke off: {ended.why[:400]}{fix}")
        said, taken = _shaped(result), self.folder / f"taken-{self.count}"
        taken.mkdir(mode=0o700)
        rerun_outputs.copy_out(said, work / "state", taken, limits.disk)
        (taken / "result.json").write_text(json.dumps(said))
        return taken, said, ended

    def compare(self, made: Made, steps: Sequence[str], *, other_kernel: bool) -> list[Finding]:
        """The findings, from a sealed process of the verifier's own pellucid that can only read. Raises NoVerdictError."""
        from pellucid.sandbox import launcher, limits

        works = [[str(work), list(of)] for work, of in made.works]
        command = [
            sys.executable,
            "-P",
            "-m",
            "pellucid.packages.reproducing.output_comparison",
            str(self.package),
            json.dumps(works),
        ]
        command += [json.dumps(list(steps)), "other" if other_kernel else "same"]
        objects = [path for work, _ in made.works for path in (work / "objects").glob("??/*")]
        bound = limits.of_reading([*(self.package / "artifacts").rglob("*"), *objects])
        read = [self.package, *(work for work, _ in made.works), *launcher.own_folders()]
        log = f"comparison-{self.count}"
        scratch = self.folder / f"scratch-{self.count}"
        scratch.mkdir(exist_ok=True)
        env = launcher.own_environment() | {"TMPDIR": str(scratch)}
        ended = launcher.run(command, read=read, write=[scratch], env=env, folder=self.folder, log=log, limits=bound)
        try:
            if ended.stopped:
                raise ValueError(ended.stopped)
            found = json.loads(ended.output.splitlines()[-1])
            if "error" in found:
                raise NoVerdictError(str(found["error"])[:1000])
            return [(step, output, result, detail) for step, output, result, detail in found["findings"]]
        except (ValueError, IndexError, KeyError) as error:
            raise NoVerdictError(f"the comparison broke off: {ended.why[:400]}") from error


def _shaped(result: Path) -> dict[str, Any]:
    from pellucid.packages.format import read_json

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
