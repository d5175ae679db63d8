"""Reproduce: check a package, build its environment, re-run its open side in it, compare, and give a verdict.

Nothing of a package is executed before every byte of it was checked, and then only sealed off: no network where the system allows
(`sealed`), no file but the package, its environment and a scratch folder. The comparison is by the verifier's own pellucid.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, UsageError
from pellucid.packages.untrusted import printable

if TYPE_CHECKING:
    from pellucid.packages.manifest import Manifest
    from pellucid.packages.sealed import Ended
    from pellucid.packages.venv import Environment
    from pellucid.packages.verdict import Verdict


class _NoVerdictError(Exception):
    """The re-run came to no result; the text says why."""


def reproduce(package: Path, *, workspace: Path | None = None, offline: bool = False) -> Verdict:
    """Re-run the package in the folder `package`.

    `workspace` names a new folder for the environment and the re-run, which is then kept; `offline` builds the environment from
    uv's cache alone. Raises PackageError for a package that is not whole (a changed byte, a missing or undeclared file, a link, a
    path that leads out of it), before anything of it is run; UsageError for a workspace that is in use.
    """
    from pellucid.packages import manifest as manifests
    from pellucid.packages.verdict import COULD_NOT, StepVerdict, Verdict

    package = package.absolute()
    started = time.perf_counter()
    manifest, wheel = checked(package)
    steps = tuple(StepVerdict(entry.step, entry.kind, entry.role) for entry in manifest.trace)
    verdict = Verdict(COULD_NOT, pipeline=manifest.pipeline, run=manifest.run, steps=steps, runner=_runner(package / wheel))
    seconds = {"check": time.perf_counter() - started}
    if not any(manifest.entries(manifests.RERUN)):
        reason = "no step in it can be re-run by you: it holds sources and releases only, and their files are whole"
        return replace(verdict, reason=reason, seconds=seconds)
    with _folder(workspace) as folder:
        try:
            return _judged(package, wheel, manifest, folder, verdict, seconds, offline)
        except _NoVerdictError as error:
            return replace(verdict, reason=printable(str(error)), seconds=seconds)


def checked(package: Path) -> tuple[Manifest, str]:
    """The manifest of a package and the path of its wheel, once all of it is as its list of files, lock and wheel must be.

    Executes nothing of it. Raises PackageError.
    """
    from pellucid.packages import fixity, lock, wheel
    from pellucid.packages import manifest as manifests
    from pellucid.packages.untrusted import refuse

    listed = fixity.check(package)
    for path in (manifests.FILE, lock.FILE):
        if path not in listed:
            refuse(path, "the file is missing from the package")
    manifest = manifests.read(package)
    for path in [manifest.file, *(leaf.path for value in manifest.open.values() for leaf in value.leaves)]:
        if path not in listed:
            refuse(path, "the file is missing from the package", f"{manifests.FILE} names it")
    try:
        text = (package / lock.FILE).read_text()
    except UnicodeDecodeError:
        refuse(lock.FILE, "it is not text")
    if lock.parse(text, lock.FILE).text() != text:
        refuse(lock.FILE, "it holds more than names, versions and hashes")
    wheels = [path for path in listed if path.startswith("environment/") and path.endswith(".whl")]
    if len(wheels) != 1:
        refuse("environment", f"it holds {len(wheels)} wheels, not the one of pellucid")
    wheel.check(package / wheels[0], wheels[0])
    return manifest, wheels[0]


def _runner(path: Path) -> str:
    from pellucid.packages import wheel

    if path.read_bytes() == wheel.build():
        return "the pellucid in the package is byte for byte yours"
    return f"{path.name} as it came in the package; it is not the pellucid you have"


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
        shutil.rmtree(made, ignore_errors=True)


def _judged(
    package: Path, wheel: str, manifest: Manifest, folder: Path, verdict: Verdict, seconds: dict[str, float], offline: bool
) -> Verdict:
    """Environment, re-run, comparison. Raises _NoVerdictError."""
    from pellucid.packages import sealed, venv

    at = time.perf_counter()
    try:
        python = str(manifest.environment.get("python", ""))
        shared = sealed.available().landlock > 0
        environment = venv.build(package, wheel, folder / "environment", python, offline=offline, shared=shared)
    except venv.NotBuiltError as error:
        seconds["environment"] = time.perf_counter() - at
        raise _NoVerdictError(f"its environment could not be built: {error}") from None
    seconds["environment"] = time.perf_counter() - at
    at = time.perf_counter()
    work = folder / "rerun"
    ended, result = _rerun(package, environment, work)
    seconds["rerun"] = time.perf_counter() - at
    held = ended.held
    verdict = replace(
        verdict, network=held.network_words, confined=_confined(result, held), environment=_departures(manifest, result)
    )
    failed = [name for name, step in result["steps"].items() if step["action"] == "failed"]
    if failed:
        reason = printable(f'step "{failed[0]}" failed: {result["steps"][failed[0]]["message"]}')
        return replace(verdict, reason=reason, seconds=seconds)
    at = time.perf_counter()
    findings = _compared(package, work)
    seconds["comparison"] = time.perf_counter() - at
    return _concluded(verdict, findings, seconds)


def _rerun(package: Path, environment: Environment, work: Path) -> tuple[Ended, dict[str, Any]]:
    """Re-run the open steps, sealed. What comes back is the word of the package's own code: it is checked for its shape alone."""
    from pellucid.packages import lock, sealed
    from pellucid.packages.survey import ELSEWHERE
    from pellucid.packages.untrusted import read_json
    from pellucid.pipeline.environment import DETERMINISM

    home, scratch = work / "home", work / "tmp"
    for path in (work, home, scratch):
        path.mkdir()
    env = {name: os.environ[name] for name in sealed.KEPT if name in os.environ} | DETERMINISM
    env |= {
        "PATH": f"{environment.python.parent}:{env.get('PATH', '/usr/bin:/bin')}",
        "VIRTUAL_ENV": str(environment.python.parents[1]),
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "PYTHONPATH": str(package / ELSEWHERE),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PELLUCID_LOCK": str(package / lock.FILE),
    }
    result = work / "result.json"
    command = [str(environment.python), "-P", "-m", "pellucid.packages.rerun", str(package), str(work / "state"), str(result)]
    ended = sealed.run(
        command, read=[package, *environment.folders, Path("/proc")], write=[work], env=env, folder=work, log="rerun"
    )
    if ended.code or not result.is_file() or result.is_symlink():
        last = ended.last.splitlines()[-1] if ended.last else f"it ended with {ended.code}"
        raise _NoVerdictError(f"the re-run broke off: {last[:400]}")
    try:
        found = read_json(result, "the result of the re-run")
    except PackageError as error:
        raise _NoVerdictError(str(error)) from None
    if "error" in found:
        raise _NoVerdictError(str(found["error"])[:1000])
    steps = found.get("steps")
    shaped = isinstance(steps, dict) and all(
        isinstance(step, dict) and isinstance(step.get("outputs"), dict) and {"action", "message"} <= step.keys()
        for step in steps.values()
    )
    if not shaped or not isinstance(found.get("environment"), dict):
        raise _NoVerdictError("the re-run gave a result that is none")
    return ended, found


def _compared(package: Path, work: Path) -> list[tuple[str, str, str, str]]:
    """The findings, from a sealed process of the verifier's own pellucid that can only read."""
    from pellucid.packages import sealed

    command = [sys.executable, "-P", "-m", "pellucid.packages.comparison"]
    command += [str(package), str(work / "state"), str(work / "result.json")]
    read = [package, work, Path("/proc"), Path(__file__).resolve().parents[2]]
    ended = sealed.run(command, read=read, write=[], env=dict(os.environ), folder=work, log="comparison")
    try:
        found = json.loads(ended.output.splitlines()[-1])
        if "error" in found:
            raise _NoVerdictError(str(found["error"])[:1000])
        return [(step, output, result, detail) for step, output, result, detail in found["findings"]]
    except (ValueError, IndexError, KeyError) as error:
        last = ended.last.splitlines()[-1] if ended.last else f"it ended with {ended.code}"
        raise _NoVerdictError(f"the comparison broke off: {last[:400]}") from error


def _concluded(verdict: Verdict, findings: list[tuple[str, str, str, str]], seconds: Mapping[str, float]) -> Verdict:
    from pellucid.packages.verdict import DIFFERENT, IDENTICAL, WITHIN, FirstDifference

    results = [result for _, _, result, _ in findings]
    overall = DIFFERENT if DIFFERENT in results else WITHIN if WITHIN in results else IDENTICAL
    first = next(
        (FirstDifference(s, o, printable(detail)) for s, o, result, detail in findings if result == overall != IDENTICAL), None
    )
    of_step: dict[str, str] = {}
    for step, _, result, _ in findings:
        if of_step.get(step) != DIFFERENT and not (of_step.get(step) == WITHIN and result == IDENTICAL):
            of_step[step] = result
    steps = tuple(replace(step, result=of_step.get(step.step, "")) for step in verdict.steps)
    return replace(verdict, verdict=overall, first_difference=first, steps=steps, seconds=seconds)


def _confined(result: Mapping[str, Any], held: Any) -> str:
    return f"{held.files_words}; each step by {printable(str(result['environment'].get('confined', 'nothing')))[:100]}"


def _departures(manifest: Manifest, result: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Where this machine departs from the one the package was made on."""
    there, here = manifest.environment, result["environment"]
    found = [(name, str(there.get(name))[:200], str(here.get(name))[:200]) for name in ("python", "cpu", "libc", "machine")]
    found.append(("blas kernel", _kernels(there), _kernels(here)))
    found += [("lock", str(line)[:200], "as locked") for line in there.get("drift") or []]
    return tuple((what, printable(a), printable(b)) for what, a, b in found if a != b)


def _kernels(environment: Mapping[str, Any]) -> str:
    pools = environment.get("blas")
    shown = {
        f"{pool.get('internal_api')} {pool.get('version')} {pool.get('architecture')}"
        for pool in (pools if isinstance(pools, list) else [])
        if isinstance(pool, dict)
    }
    return ", ".join(sorted(shown))[:200] or "none seen"
