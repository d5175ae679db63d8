"""Suspects: where a machine departs from the record, and whether that explains a difference.

Bits depend on the Python, on the versions of packages, on the number of threads, and on the kernel that a linear algebra library
picks for the processor. The re-run has the package's own versions and thread counts, so what is left to depart is named, and the
kernel and Python can be tried as they are on record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pellucid.packages.format import printable

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest
    from pellucid.packages.reproducing.rerun_session import Attempt
    from pellucid.packages.reproducing.verdict import Suspect, Verdict

KERNEL, PYTHON, LOCK = "blas kernel", "python", "lock"
EXPLAINS, DOES_NOT, CANNOT = "it explains the difference", "it does not explain the difference", "it cannot be tried here"
Departure = tuple[str, str, str]  # what, there, here


def departures(manifest: Manifest, environment: Mapping[str, Any]) -> tuple[Departure, ...]:
    """Where this machine departs from the one the package was made on."""
    there, here = manifest.environment, environment
    found = [(name, str(there.get(name))[:200], str(here.get(name))[:200]) for name in (PYTHON, "cpu", "libc", "machine")]
    found.append((KERNEL, kernels(there), kernels(here)))
    found += [(LOCK, str(line)[:200], "as locked") for line in there.get("drift") or []]
    return tuple((what, printable(a), printable(b)) for what, a, b in found if a != b)


def other_kernel(found: tuple[Departure, ...]) -> bool:
    """Whether the linear algebra kernel is another than the one on record."""
    return any(what == KERNEL for what, _, _ in found)


def found(attempt: Attempt, verdict: Verdict, departed: tuple[Departure, ...], *, test: bool) -> tuple[Suspect, ...]:
    """The departures that may explain why the verdict is not bit-identical; with `test` the kernel is tried as on record."""
    from pellucid.packages.reproducing.verdict import DIFFERENT, WITHIN, Suspect
    from pellucid.packages.reproducing.verdict import KERNEL as BY_KERNEL

    if verdict.verdict not in (DIFFERENT, WITHIN, BY_KERNEL) or verdict.first_difference is None:
        return ()
    step = verdict.first_difference.step
    named = []
    for what, there, here in departed:
        if what in (KERNEL, PYTHON, LOCK):
            tested = _tried(attempt, step, there) if test and what == KERNEL else CANNOT if test else ""
            named.append(Suspect(what, there, here, tested))
    return tuple(named)


def _tried(attempt: Attempt, step: str, kernel: str) -> str:
    """Re-run the step with the kernel on record."""
    from pellucid.packages.reproducing.rerun_session import NoVerdictError
    from pellucid.packages.reproducing.verdict import IDENTICAL

    name = re.search(r"openblas \S+ (\w+)", kernel)
    entry = next((entry for entry in attempt.manifest.trace if entry.step == step), None)
    if name is None or entry is None or entry.role != "re-run":
        return CANNOT
    try:
        made = attempt.rerun([step], surroundings={"OPENBLAS_CORETYPE": name[1]})
        if f" {name[1]}" not in kernels(made.environment):
            return f"{CANNOT}: this processor cannot run {name[1]}"
        findings = attempt.compare(made, [step], other_kernel=False)
    except NoVerdictError:
        return CANNOT
    results = {result for of, _, result, _ in findings if of == step}
    return EXPLAINS if results == {IDENTICAL} else DOES_NOT


def kernels(environment: Mapping[str, Any]) -> str:
    """The linear algebra kernels that a process saw, in words."""
    pools = environment.get("blas")
    shown = {
        f"{pool.get('internal_api')} {pool.get('version')} {pool.get('architecture')}"
        for pool in (pools if isinstance(pools, list) else [])
        if isinstance(pool, dict)
    }
    return ", ".join(sorted(shown))[:200] or "none seen"
