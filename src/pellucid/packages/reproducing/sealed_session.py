"""The sealed session of a re-run: views laid out, members run in them, what they left copied out and put together.

Level by level of the graph: what is made of a step is not seen before all that knew the step's inputs has ended. All members are forked in
one session where the process that forks them can be trusted with every view: it is the verifier's own pellucid,
its libraries are those of an index, and the kernel (Landlock) lets each member give up the views of others. Where one of that is not so,
each member has a session of its own, which holds its view alone.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError
from pellucid.packages.format import parse_json
from pellucid.packages.reproducing import rerun_inputs, rerun_outputs, rerun_zygote, virtual_environment

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest
    from pellucid.packages.reproducing.virtual_environment import Environment
    from pellucid.sandbox import Confinement, Limits

RESULT, CLOSURES = "result.json", "closures.json"
LONGEST_RESULT = 256 << 20  # bytes


class NoVerdictError(Exception):
    """The re-run came to no result; the text says why."""


@dataclass(frozen=True)
class Ground:
    """What a re-run stands on: the package, its environment, whether the pellucid in that is the verifier's own, and the limits."""

    package: Path
    manifest: Manifest
    environment: Environment
    own_pellucid: bool
    limits: Limits


class Session:
    """One re-run of groups of steps, in the new folder `folder`; what it gives is copied to `taken`. `steps`, `environment` and `loaded`
    are what the members said, each of its own steps."""

    def __init__(
        self,
        ground: Ground,
        groups: Sequence[tuple[int, Sequence[str]]],
        folder: Path,
        taken: Path,
        *,
        keep_going: bool,
        surroundings: Mapping[str, str],
    ) -> None:
        self.ground, self.folder, self.taken = ground, folder, taken
        self.keep_going, self.surroundings = keep_going, dict(surroundings)
        self.survey = secrets.token_hex(16)
        named = {secrets.token_hex(16): group for group in groups}
        self.names: dict[str, Sequence[str]] = {self.survey: (), **{name: group for name, (_, group) in named.items()}}
        self.levels = {self.survey: -1, **{name: level for name, (level, _) in named.items()}}
        self.steps: dict[str, Any] = {}
        self.environment: dict[str, Any] = {}
        self.loaded: Any = None
        self.closures: str | None = None

    def run(self) -> Confinement:
        """Run all members; how they were held. Raises NoVerdictError."""
        self.folder.mkdir(mode=0o700)
        started, held = time.monotonic(), None
        for names in self._sessions():
            ended = self._once(names, time.monotonic() - started)
            held = ended if held is None else held.and_(ended)
            if not self.keep_going and any(step["action"] == "failed" for step in self.steps.values()):
                break
        assert held is not None
        return held

    def _sessions(self) -> Iterator[list[str]]:
        from pellucid.sandbox import launcher

        ground = self.ground
        if ground.own_pellucid and ground.environment.from_index and launcher.available().landlock:
            yield list(self.names)
            return
        yield from ([name] for name in self.names)

    def _once(self, names: list[str], gone: float) -> Confinement:
        """One session: these members, and what came of them. Raises NoVerdictError."""
        from pellucid.sandbox import launcher

        ground, place = self.ground, self.folder / f"session-{list(self.names).index(names[0])}"
        environment = ground.environment
        works = place / "works"
        works.mkdir(parents=True, mode=0o700)
        views = rerun_inputs.Views(ground.package, ground.manifest, place / "views")
        jobs = os.cpu_count() or 1
        slots = -(-jobs // max(1, len(self.names) - 1))
        for name in names:
            for path in (works / name, *(works / name / part for part in ("home", "tmp", "state"))):
                path.mkdir(mode=0o700)
            views.lay_out(name, self.names[name], slots=slots, keep_going=self.keep_going)
        lines = [
            [rerun_zygote.LEVEL, name] if self.levels[name] != self.levels[before] else [name] for before, name in pairwise(names)
        ]
        (place / "views" / rerun_zygote.NAMES).write_text(
            "".join(f"{line}\n" for line in [names[0], *chain.from_iterable(lines)])
        )
        spec = place / "views" / "spec.json"
        told = {"views": str(place / "views"), "works": str(works), "code": views.code.name, "jobs": jobs}
        told |= {"keep_going": self.keep_going, "closures": self.closures}
        spec.write_text(json.dumps(told | {"read": [str(path) for path in environment.folders]}))
        env = virtual_environment.strangers_environment(works, works) | self.surroundings
        env |= {
            "PATH": f"{environment.python.parent}:{env.get('PATH', '/usr/bin:/bin')}",
            "VIRTUAL_ENV": str(environment.python.parents[1]),
        }
        command = [str(environment.python), "-P", "-m", "pellucid.packages.reproducing.rerun_zygote", str(spec)]
        read = [place / "views", *environment.folders]
        limits = ground.limits.less(gone)
        ended = launcher.run(command, read=read, write=[works], env=env, folder=works, log="session", limits=limits)
        if ended.stopped:
            fix = "; what it may use is set with --timeout, --memory and --disk"
            raise NoVerdictError(f"the re-run broke off: {ended.why[:400]}{fix}")
        for name in names:
            if not (works / name / "rerun.err").exists() and name != names[0]:
                break  # one before it failed
            self._take(name, works / name, ended.why)
            if not self.keep_going and any(step["action"] == "failed" for step in self.steps.values()):
                break
        shutil.rmtree(place / "views")
        return ended.held

    def _take(self, name: str, work: Path, otherwise: str) -> None:
        """What a member left, taken as the word of a stranger. Raises NoVerdictError."""
        try:
            body = rerun_outputs.regular_file(work, RESULT, LONGEST_RESULT)
        except OSError:
            raise NoVerdictError(f"the re-run broke off: {(_last_line(work) or otherwise)[:400]}") from None
        said = _shaped(body)
        if name == self.survey:
            self.loaded = said.get("loaded")
            try:
                self.closures = rerun_outputs.regular_file(work, CLOSURES, LONGEST_RESULT).decode()
            except (OSError, UnicodeDecodeError):
                raise NoVerdictError("the re-run gave a result that is none") from None
            return
        mine = {step: known for step, known in said["steps"].items() if step in self.names[name]}
        rerun_outputs.copy_out({"steps": mine}, work / "state", self.taken, self.ground.limits.disk)
        self.steps |= mine
        self.environment |= said["environment"]


def _last_line(work: Path) -> str:
    try:
        text = rerun_outputs.regular_file(work, "rerun.err", 64 << 20).decode(errors="replace")
    except OSError:
        return ""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def _shaped(body: bytes) -> Mapping[str, Any]:
    try:
        found = parse_json(body, "the result of the re-run")
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
