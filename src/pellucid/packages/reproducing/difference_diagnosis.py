"""Suspects: where a machine departs from the record, and whether that explains a difference.

Bits depend on the Python, on the versions of packages, on the number of threads, and on the kernel that a linear algebra library
picks for the processor. The re-run has the package's own versions and thread counts, so what is left to depart is named, and the
kernel can be tried as it is on record.

That another kernel is on record is the publisher's word. Whether a step depends on the kernel at all is found out here: it is re-run
under another one that this processor has too. What comes out the same under both is not excused by a third.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pellucid.packages.format import printable

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest
    from pellucid.packages.reproducing.rerun_session import Attempt, Finding, Made
    from pellucid.packages.reproducing.verdict import Suspect, Verdict

KERNEL, PYTHON, LOCK = "blas kernel", "python", "lock"
EXPLAINS, DOES_NOT, CANNOT = "it explains the difference", "it does not explain the difference", "it cannot be tried here"
Departure = tuple[str, str, str]  # what, there, here
OTHERS = {"x86_64": ("Haswell", "Nehalem", "SkylakeX"), "aarch64": ("NEOVERSEN1", "ARMV8", "CORTEXA57")}  # OpenBLAS's names


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


def only_where_it_matters(attempt: Attempt, made: Made, findings: list[Finding]) -> list[Finding]:
    """The findings, where what is within another kernel's reach is different all the same if its step does not depend on the kernel."""
    from pellucid.packages.reproducing.verdict import DIFFERENT, KERNEL

    refuted: dict[str, str] = {}
    judged = []
    for step, output, result, detail in findings:
        if result == KERNEL and step not in refuted:
            refuted[step] = _refuted(attempt, made, step)
        if result == KERNEL and refuted[step]:
            result, detail = DIFFERENT, f"{detail}; but {refuted[step]}"
        judged.append((step, output, result, detail))
    return judged


def _refuted(attempt: Attempt, made: Made, step: str) -> str:
    """Why the kernel does not explain what a step gave; "" where the step gives something else under another kernel of this processor."""
    import platform

    from pellucid.packages.reproducing.sealed_session import NoVerdictError

    own, recorded = kernels(made.environment), _openblas(kernels(attempt.manifest.environment))
    names = [name for name in dict.fromkeys((recorded, *OTHERS.get(platform.machine(), ()))) if name and f" {name}" not in own]
    same: list[str] = []
    for name in names:
        try:
            other = attempt.rerun([step], surroundings={"OPENBLAS_CORETYPE": name})
        except NoVerdictError:  # this processor cannot run it
            continue
        if f" {name}" in kernels(other.environment) and other.steps[step]["action"] != "failed":
            if made.files(step) != other.files(step):
                return ""
            same.append(name)
    return f"under {' and '.join(same)} it gives the same as here" if same else "no other kernel can be tried here"


def _openblas(shown: str) -> str:
    name = re.search(r"openblas \S+ (\w+)", shown)
    return name[1] if name else ""


def _tried(attempt: Attempt, step: str, kernel: str) -> str:
    """Re-run the step with the kernel on record."""
    from pellucid.packages.reproducing.sealed_session import NoVerdictError
    from pellucid.packages.reproducing.verdict import IDENTICAL

    name = _openblas(kernel)
    entry = next((entry for entry in attempt.manifest.trace if entry.step == step), None)
    if not name or entry is None or entry.role != "re-run":
        return CANNOT
    try:
        made = attempt.rerun([step], surroundings={"OPENBLAS_CORETYPE": name})
        if f" {name}" not in kernels(made.environment):
            return f"{CANNOT}: this processor cannot run {name}"
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
