"""The verdict: what came of re-running a package, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid import html_display
from pellucid.packages.format import printable

IDENTICAL, WITHIN, DIFFERENT, COULD_NOT = "bit-identical", "within tolerance", "different", "could not run"
KERNEL = "within what another kernel may do"
LOOSE = 1e-3  # a tolerance above this is said in the first line
FROM_INDEX, FROM_PUBLISHER = (
    "from an index, by the hashes of the lock",
    "from the publisher: no index was asked whether they are its own",
)
BY_ITS_WORD = "by the word of the pellucid inside the package, which is not yours"
EXIT = {IDENTICAL: 0, DIFFERENT: 1, COULD_NOT: 2, WITHIN: 3, KERNEL: 4}


@dataclass(frozen=True)
class FirstDifference:
    """The first step of the trace, and its first output, that part from the package: where in it, and by how much."""

    step: str
    output: str
    detail: str


@dataclass(frozen=True)
class Suspect:
    """Something in which this machine departs from the record and that may explain a difference. `tested`: what came of re-running the
    step as on record: "it explains the difference", "it does not" or ""."""

    what: str
    there: str
    here: str
    tested: str = ""


@dataclass(frozen=True)
class StepVerdict:
    """One step: `role` is re-run, given (an open source or a release) or private; `result` a verdict or "" (then it was not re-run, or
    not looked at). `tolerance` is how far its results may differ, as declared before publication."""

    step: str
    kind: str
    role: str
    result: str = ""
    tolerance: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome of `reproduce`. `reason` says why it could not run; `seconds` how long each part took.

    `network` and `confined` say how the re-run was held; `runner` whether the pellucid in the package is the verifier's own; `wheels`
    whether the libraries are those of an index or came with the package; `libraries` what the lock holds beyond what pellucid itself needs;
    `environment` lists where the machine departs from the one the package was made on: (what, there, here); `suspects` those of them
    that may explain a difference. `private` says what was checked of private steps instead of re-running them; `package` is the SHA-256
    of the package's list of files, `signed` by whom that is signed. `machine` is what the re-run ran on; `python` and `kernel` in it are
    what the re-run saw.
    """

    verdict: str
    first_difference: FirstDifference | None = None
    reason: str | None = None
    pipeline: str = ""
    run: str = ""
    steps: tuple[StepVerdict, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    network: str = "nothing ran"
    confined: str = "nothing ran"
    runner: str = ""
    wheels: str = ""
    libraries: tuple[str, ...] = ()
    environment: tuple[tuple[str, str, str], ...] = ()
    suspects: tuple[Suspect, ...] = ()
    private: str = ""
    package: str = ""
    signed: str = ""
    machine: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_its_own_word(self) -> bool:
        """Whether something ran, and it was the package's own pellucid that said what came out: not the verifier's."""
        return self.confined != "nothing ran" and self.runner.startswith(BY_ITS_WORD)

    @property
    def exit_code(self) -> int:
        """0 bit-identical, 1 different, 2 could not run, 3 within the declared tolerance, 4 within what another kernel may do."""
        return EXIT[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """The verdict as `pellucid reproduce --json` prints it."""
        return {
            **vars(self),
            "first_difference": vars(self.first_difference) if self.first_difference else None,
            "steps": [vars(step) for step in self.steps],
            "suspects": [vars(suspect) for suspect in self.suspects],
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "environment": [{"what": what, "package": there, "here": here} for what, there, here in self.environment],
        }

    def __str__(self) -> str:
        """A few lines for people."""
        from pellucid.packages.checking import libraries_in_words

        lines = [f"verdict: {self.verdict}" + "".join(f", {one}" for one in self._reservations())]
        if self.reason:
            lines.append(f"  why: {self.reason}")
        if self.first_difference:
            parted = self.first_difference
            output = f", output {parted.output}" if parted.output else ""
            lines.append(f"  first difference: step {parted.step}{output}: {parted.detail}")
        for word, names in self._told():
            if names:
                lines.append(f"  {word}: {', '.join(names)}")
        for step in self.steps:
            if step.result == WITHIN:
                lines.append(f"  within tolerance: {step.step} (declared by its publisher: {step.tolerance:g})")
            if step.result == KERNEL:
                lines.append(f"  within what another kernel may do: {step.step} (nobody declared a tolerance)")
        if self.private:
            lines.append(f"  checked instead: {self.private}")
        lines += [f"  {what}: {there} there, {here} here" for what, there, here in self.environment]
        for suspect in self.suspects:
            lines.append(f"  suspect: {suspect.what}" + (f": {suspect.tested}" if suspect.tested else " (try --explain)"))
        if self.signed:
            lines.append(f"  signature: {self.signed}")
        if self.confined != "nothing ran":
            took = ", ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())
            lines += [f"  network: {self.network}", f"  held by: {self.confined}", f"  took: {took}"]
        if self.runner:
            lines.append(f"  runner: {self.runner}")
        if self.wheels:
            lines.append(f"  wheels: {self.wheels}")
        if self.libraries:
            lines.append(f"  libraries: {libraries_in_words(self.libraries)}")
        return "\n".join(map(printable, lines))

    def _repr_html_(self) -> str:
        return html_display.text(str(self))

    def _reservations(self) -> Iterator[str]:
        """What the first line must not leave out."""
        loose = [step.tolerance or 0.0 for step in self.steps if step.result == WITHIN and (step.tolerance or 0.0) > LOOSE]
        if loose:
            yield f"of {max(loose):g}, as its publisher declared"
        if self.by_its_own_word:
            yield BY_ITS_WORD
        if self.wheels == FROM_PUBLISHER and self.verdict in (IDENTICAL, WITHIN, KERNEL):
            yield "with wheels from its publisher"

    def _told(self) -> Iterator[tuple[str, list[str]]]:
        """The steps by what became of them: only what has a result was re-run."""
        open_steps = [step for step in self.steps if step.role == "re-run"]
        yield "re-run", [step.step for step in open_steps if step.result not in ("", COULD_NOT)]
        yield "failed", [step.step for step in open_steps if step.result == COULD_NOT]
        yield "not re-run", [step.step for step in open_steps if not step.result]
        yield "given (open source or release)", [step.step for step in self.steps if step.role == "given"]
        yield "private, not yours to re-run", [step.step for step in self.steps if step.role == "private"]
