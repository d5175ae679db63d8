"""Reproduce: check a package, build its environment, re-run its open side in it, compare, and give a verdict.

Nothing of a package is executed before every byte of it was checked, and then only sealed off: no network where the system allows
(`sealed`), no file but the package, its environment and a scratch folder. The comparison is by the verifier's own pellucid.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, UsageError, suggest
from pellucid.packages.format import printable
from pellucid.packages.reproducing.rerun_session import Attempt
from pellucid.packages.reproducing.sealed_session import NoVerdictError
from pellucid.store import folders

if TYPE_CHECKING:
    from pellucid.packages.checking import WholePackage
    from pellucid.packages.reproducing.steward_rerun import Steward
    from pellucid.packages.reproducing.verdict import Verdict
    from pellucid.sandbox import Limits


def reproduce(
    package: Path | str,
    *,
    key: Path | None = None,
    workspace: Path | None = None,
    offline: bool = False,
    steps: Iterable[str] = (),
    keep_going: bool = False,
    sandbox: bool = False,
    explain: bool = False,
    as_steward: Steward | None = None,
    timeout: float | None = None,
    memory: float | None = None,
    disk: float | None = None,
) -> Verdict:
    """Re-run a package: a folder, a zip, or the http(s) address of a zip.

    `key` is a public key (PEM) it must be signed with. `workspace` names a new folder for the environment and the re-run, which is then
    kept; `offline` builds the environment from the wheels inside or uv's cache alone. `steps` names the steps to re-run instead of all;
    `keep_going` runs the others when one fails; `sandbox` refuses to run anything where the system cannot cut off network and files;
    `explain` re-runs the first step that parts once more for each suspect, as it is on record. `as_steward` re-runs the private side too,
    for whom has data and key. `timeout` in seconds, `memory` and `disk` in GiB bound what the re-run may use (see `limits`).
    Raises PackageError for a package that is
    not whole (a changed byte, a missing or undeclared file, a link, a path that leads out of it), before anything of it is run;
    UsageError for a workspace that is in use or a step that is not there.
    """
    from pellucid.packages.format import archive
    from pellucid.packages.reproducing import download
    from pellucid.sandbox import limits

    with _folder(workspace) as folder, download.opened(package, folder) as found, archive.opened(found, folder) as place:
        bound = limits.of_a_rerun(folder, seconds=timeout, memory=memory, disk=disk)
        verdict = _verdict(place, folder, key, offline, list(steps), keep_going, sandbox, explain, bound)
        return verdict if as_steward is None else _with_private(place, verdict, as_steward)


def _with_private(package: Path, verdict: Verdict, steward: Steward) -> Verdict:
    """The verdict with what came of re-running the private side."""
    from pellucid.packages.checking import package_check
    from pellucid.packages.format import manifest as manifests
    from pellucid.packages.reproducing import steward_rerun
    from pellucid.packages.reproducing.verdict import COULD_NOT, DIFFERENT, FirstDifference

    started = time.perf_counter()
    try:
        package_check.look_inside(package)  # the digests that are compared must be those of the files
    except PackageError as error:
        overall = DIFFERENT if verdict.verdict == DIFFERENT else COULD_NOT
        return replace(verdict, verdict=overall, reason=printable(str(error)))
    findings = steward_rerun.rerun(manifests.read(package), steward)
    results = {step: result for step, _, result, _ in findings if result == DIFFERENT} or {}
    first = next(
        (FirstDifference(step, output, detail) for step, output, result, detail in findings if result == DIFFERENT), None
    )
    known = {step: results.get(step, result) for step, _, result, _ in findings}
    steps = tuple(replace(step, result=known.get(step.step, step.result)) for step in verdict.steps)
    said = f"{len(known)} private steps and releases re-run with the steward's key: {'different' if first else 'bit-identical'}"
    overall = DIFFERENT if first and verdict.verdict != COULD_NOT else verdict.verdict
    seconds = {**verdict.seconds, "private": time.perf_counter() - started}
    return replace(
        verdict, verdict=overall, first_difference=first or verdict.first_difference, steps=steps, private=said, seconds=seconds
    )


def _verdict(
    package: Path,
    folder: Path,
    key: Path | None,
    offline: bool,
    steps: list[str],
    keep_going: bool,
    sandbox: bool,
    explain: bool,
    bound: Limits,
) -> Verdict:
    from pellucid.packages.checking import beyond, own_digests, package_check
    from pellucid.packages.format import manifest as manifests
    from pellucid.packages.reproducing import runner_selection
    from pellucid.packages.reproducing.verdict import BY_ITS_WORD, COULD_NOT, StepVerdict, Verdict
    from pellucid.sandbox import launcher

    started = time.perf_counter()
    whole = package_check.whole_package(package, key=key)
    manifest, signed = whole.manifest, whole.signed
    wheel, said = runner_selection.chosen(package / whole.wheel, folder)
    verdict = Verdict(
        COULD_NOT,
        pipeline=manifest.pipeline,
        run=manifest.run,
        steps=tuple(StepVerdict(entry.step, entry.kind, entry.role, tolerance=entry.tolerance) for entry in manifest.trace),
        runner=said,
        libraries=tuple(map(printable, beyond(package))),
        private=_instead(whole),
        package=whole.digest,
        signed="" if signed is None else f"key {signed.key[:16]}, {'trusted' if signed.known else 'not known to you'}",
        machine=_machine({}),
    )
    seconds = {"check": time.perf_counter() - started}
    open_steps = [entry.step for entry in manifest.entries(manifests.RERUN)]
    unknown = [step for step in steps if step not in open_steps]
    if unknown:
        raise UsageError(f'there is no open step "{unknown[0]}"', where="--step", fix=suggest(unknown[0], open_steps))
    if manifest.digests != own_digests():
        reason = (
            f"its digests are of the form {manifest.digests!r:.60}, which this pellucid does not make, so nothing can be compared"
        )
        return replace(verdict, reason=printable(reason), seconds=seconds)
    if not open_steps:
        reason = "no step in it can be re-run by you: it holds sources and releases only, and their files are whole"
        return replace(verdict, reason=reason, seconds=seconds)
    if sandbox and not launcher.tried().sealed:
        return replace(verdict, reason="this system cannot cut off network and files, and --sandbox asks for it", seconds=seconds)
    attempt = Attempt(package, wheel, manifest, folder, offline, bound, not said.startswith(BY_ITS_WORD))
    try:
        return _judged(attempt, verdict, seconds, steps or open_steps, keep_going, explain)
    except NoVerdictError as error:
        return replace(verdict, reason=printable(str(error)), seconds=seconds)


def _judged(
    attempt: Attempt, verdict: Verdict, seconds: dict[str, float], steps: list[str], keep_going: bool, explain: bool
) -> Verdict:
    """Environment, re-run, comparison, suspects. Raises NoVerdictError."""
    from pellucid.packages.reproducing import difference_diagnosis
    from pellucid.packages.reproducing.verdict import FROM_INDEX, FROM_PUBLISHER

    at = time.perf_counter()
    try:
        attempt.build()
    finally:
        seconds["environment"] = time.perf_counter() - at
    assert attempt.environment is not None
    verdict = replace(verdict, wheels=FROM_INDEX if attempt.environment.from_index else FROM_PUBLISHER)
    if not attempt.environment.pellucid_whole:
        raise NoVerdictError("another wheel of its lock puts files into pellucid's own folder, or takes some away")
    at = time.perf_counter()
    made = attempt.rerun(steps, keep_going=keep_going)
    seconds["rerun"] = time.perf_counter() - at
    held = made.held
    departures = difference_diagnosis.departures(attempt.manifest, made.environment)
    verdict = replace(
        verdict,
        network=held.network_words,
        confined=_confined(made.environment, held) + ("; steps of a level see each other's inputs" if made.see_others else ""),
        environment=departures,
        machine=_machine(made.environment),
    )
    if made.loaded is None:
        more = "it does not report what it loaded, so the graph, settings and code on record were compared with nothing"
        verdict = replace(verdict, runner=f"{verdict.runner}; {more}")
    failed = {name: step["message"] for name, step in made.steps.items() if step["action"] == "failed"}
    if failed and not keep_going:
        name, message = next(iter(failed.items()))
        return replace(verdict, reason=printable(f'step "{name}" failed: {message}'), seconds=seconds)
    at = time.perf_counter()
    findings = attempt.compare(
        made, [step for step in steps if step not in failed], other_kernel=difference_diagnosis.other_kernel(departures)
    )
    findings = difference_diagnosis.only_where_it_matters(attempt, made, findings)
    seconds["comparison"] = time.perf_counter() - at
    verdict = _concluded(verdict, findings, failed, seconds)
    return replace(verdict, suspects=difference_diagnosis.found(attempt, verdict, departures, test=explain))


def _instead(whole: WholePackage) -> str:
    """What stands in for re-running what only the steward can."""
    released = [entry for entry in whole.manifest.trace if entry.guarantee is not None]
    if not released:
        return ""
    signature = "the signature" if whole.signed else "no signature, for it has none"
    return f"{signature}; key commitments, ledger events: {len(released)}"


@contextmanager
def _folder(workspace: Path | None) -> Iterator[Path]:
    """The workspace: the named one, or a temporary one where the user's caches are, so that uv need not copy its files."""
    if workspace is not None:
        workspace = workspace.absolute()
        if workspace.exists() and (not workspace.is_dir() or any(workspace.iterdir())):
            raise UsageError("it is there already", where=str(workspace), fix="Name a folder that does not exist yet")
        workspace.mkdir(parents=True, exist_ok=True)
        yield workspace
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pellucid"
    try:
        caches.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="reproduce-", dir=caches))
    except OSError:
        made = Path(tempfile.mkdtemp(prefix="pellucid-reproduce-"))
    try:
        yield made
    finally:
        folders.remove(made)


def _concluded(
    verdict: Verdict, findings: list[tuple[str, str, str, str]], failed: Mapping[str, str], seconds: Mapping[str, float]
) -> Verdict:
    from pellucid.packages.reproducing.verdict import COULD_NOT, DIFFERENT, IDENTICAL, KERNEL, WITHIN, FirstDifference

    results = [result for _, _, result, _ in findings]
    worst = (DIFFERENT, KERNEL, WITHIN)
    overall = next((one for one in worst if one in results), IDENTICAL)
    if failed and overall != DIFFERENT:
        name, message = next(iter(failed.items()))
        verdict = replace(verdict, reason=printable(f'step "{name}" failed: {message}'))
        overall = COULD_NOT
    first = next(
        (FirstDifference(s, o, printable(detail)) for s, o, result, detail in findings if result == overall != IDENTICAL), None
    )
    of_step: dict[str, str] = {}
    for step, _, result, _ in findings:
        known = of_step.get(step, IDENTICAL)
        of_step[step] = next((one for one in worst if one in (known, result)), IDENTICAL)
    of_step |= dict.fromkeys(failed, COULD_NOT)
    steps = tuple(replace(step, result=of_step.get(step.step, "")) for step in verdict.steps)
    return replace(verdict, verdict=overall, first_difference=first, steps=steps, seconds=seconds)


def _machine(environment: Mapping[str, Any]) -> dict[str, str]:
    """The machine by the verifier's own word; of Python and the linear algebra kernel only the re-run knows."""
    from pellucid.packages.reproducing.difference_diagnosis import kernels
    from pellucid.pipeline.keys import machine

    own = machine()
    found = {
        "system": f"{own['system']} {own['release']}",
        "machine": own["machine"],
        "cpu": own["cpu"],
        "libc": own["libc"],
        "python": environment.get("python") or own["python"],
        "kernel": kernels(environment),
    }
    return {name: printable(str(value))[:200] for name, value in found.items()}


def _confined(environment: Mapping[str, Any], held: Any) -> str:
    return f"{held.files_words}; each step by {printable(str(environment.get('confined', 'nothing')))[:100]}"
