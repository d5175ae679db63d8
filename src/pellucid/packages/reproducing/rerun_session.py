"""One attempt at a package: its environment, re-runs in it, and comparisons, each in sealed processes of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.packages.reproducing.sealed_session import Ground, NoVerdictError, Session

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest
    from pellucid.packages.reproducing.virtual_environment import Environment
    from pellucid.sandbox import Confinement, Limits

Finding = tuple[str, str, str, str]  # step, output, result, detail


@dataclass(frozen=True)
class Made:
    """What a re-run gave: each step's action, message and outputs, the surroundings it saw, how it was held, in which folder is what was
    copied out of it, what it said of the pipeline that it loaded, and whether steps saw inputs of others."""

    steps: Mapping[str, Any]
    environment: Mapping[str, Any]
    held: Confinement
    taken: Path
    loaded: Any = None
    see_others: bool = False

    def files(self, step: str) -> list[tuple[str, str]]:
        """Output and SHA-256 of each file that was copied out of the re-run of a step, in order."""
        from pellucid.packages.reproducing import rerun_outputs

        outputs = self.steps[step]["outputs"]
        named = [
            (output, sha256, suffix) for output in sorted(outputs) for sha256, suffix in rerun_outputs.claimed(outputs[output])
        ]
        return [
            (output, sha256) for output, sha256, suffix in named if (self.taken / rerun_outputs.place(sha256, suffix)).is_file()
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
    own_pellucid: bool = False  # whether the pellucid that re-runs is the verifier's
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

        Group by group, each in a process that sees nothing it has to make (`rerun_inputs`); after one that fails, no other, unless
        `keep_going`. What comes back is the word of the package's own code: it is checked for its shape alone. Raises NoVerdictError, and
        PackageError for a trace that is out of order.
        """
        from pellucid.packages.reproducing import rerun_inputs

        groups = rerun_inputs.groups(self.manifest, steps)
        self.count += 1
        taken = self.folder / f"taken-{self.count}"
        taken.mkdir(mode=0o700)
        assert self.environment is not None
        ground = Ground(self.package, self.manifest, self.environment, self.own_pellucid, self.limits)
        folder = self.folder / f"rerun-{self.count}"
        session = Session(ground, groups, folder, taken, keep_going=keep_going, surroundings=surroundings or {})
        held = session.run()
        others = any(rerun_inputs.see_others(self.manifest, group) for _, group in groups)
        return Made(session.steps, session.environment, held, taken, session.loaded, others)

    def compare(self, made: Made, steps: Sequence[str], *, other_kernel: bool) -> list[Finding]:
        """The findings, from a sealed process of the verifier's own pellucid that can only read. Raises NoVerdictError."""
        from pellucid.packages.reproducing import output_comparison
        from pellucid.sandbox import launcher, limits

        said = {"steps": made.steps, "environment": made.environment, "loaded": made.loaded, "compare": list(steps)}
        (made.taken / output_comparison.REPORT).write_text(json.dumps(said))
        module = "pellucid.packages.reproducing.output_comparison"
        command = [sys.executable, "-P", "-m", module, str(self.package), str(made.taken), "other" if other_kernel else "same"]
        bound = limits.of_reading([*(self.package / "artifacts").rglob("*"), *(made.taken / "objects").glob("??/*")])
        read = [self.package, made.taken, *launcher.own_folders()]
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
