"""The README of a package: what it is, how to check it, its numbers, its guarantee, and what is not in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pellucid.packages.format import GIVEN, PRIVATE, RERUN, Manifest
from pellucid.packages.standards.description import made_from
from pellucid.packages.standards.guarantee_text import words_of
from pellucid.packages.standards.markdown import code, plain
from pellucid.privacy.accounting import sums

SYNTHETIC = (
    "Each row is of somebody who does not exist: the step was given these releases and nothing else, so the rows inherit their guarantee."
    " Use the rows to try and to train; do not take one for a person, and do not test hypotheses about people on them."
)


def card(manifest: Manifest, folder: Path) -> str:
    """Markdown, from the manifest and the open metrics in `folder`."""
    parts = [
        _what(manifest),
        _how(manifest),
        _numbers(manifest, folder),
        _guarantee(manifest),
        _synthetic(manifest),
        _withheld(manifest),
        _files(manifest),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(manifest: Manifest) -> str:
    counts = {role: len(list(manifest.entries(role))) for role in (RERUN, GIVEN, PRIVATE)}
    given = _of(counts[GIVEN], "open source or release", "open sources and releases")
    private = f" {_of(counts[PRIVATE], 'step')} on private data you cannot re-run." if counts[PRIVATE] else ""
    return (
        f"# {manifest.pipeline}, run {manifest.run}\n\n"
        f"The open side of one run of the pipeline {code(manifest.file)}, made with Pellucid."
        f" {_rerun(counts[RERUN], given)}{private}"
    )


def _rerun(steps: int, given: str) -> str:
    if not steps:
        return f"It holds {given} and no step to re-run."
    return f"You can re-run {_of(steps, 'step')} bit for bit from what is here, starting from {given}."


def _of(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _how(manifest: Manifest) -> str:
    known = manifest.environment
    return (
        "## Check it\n\n"
        "    pellucid reproduce .\n\n"
        "Get Pellucid from a place you trust, not out of this package: the wheel in `environment/` came with it,"
        " and is for the re-run alone, which is sealed off.\n\n"
        f"This checks every file, builds the environment of `environment/requirements.lock` (Python {plain(known.get('python'))}),"
        " re-runs each open step from its recorded inputs without network, and says *bit-identical*, *within tolerance*,"
        " *different* (naming the first step and output that part) or *could not run*. Bits can depend on the processor and the"
        f" BLAS kernel; this was run on: {plain(known.get('cpu') or 'unknown')}{_kernel(manifest)}.{_drift(manifest)}\n\n"
        "    sha256sum -c MANIFEST.sha256        # the bytes alone, without Pellucid"
    )


def _drift(manifest: Manifest) -> str:
    drift = manifest.environment.get("drift") or []
    return f" The environment it ran in departs from the lock: {'; '.join(map(plain, drift))}." if drift else ""


def _kernel(manifest: Manifest) -> str:
    kernels = sorted({str(pool.get("architecture")) for pool in manifest.environment.get("blas", []) if pool.get("architecture")})
    return f" ({', '.join(map(plain, kernels))})" if kernels else ""


def _numbers(manifest: Manifest, folder: Path) -> str:
    rows = []
    for name, value in manifest.open.items():
        if value.kind == "metrics" and value.items is None and not name.endswith("_guarantee"):
            rows += [
                f"| {name} | {code(metric)} | {plain(_shown(number))} |"
                for metric, number in json.loads((folder / value.path).read_text()).items()
            ]
    return "\n".join(["## Numbers\n", "| metrics | | |", "|---|---|---:|", *rows]) if rows else ""


def _shown(number: Any) -> str:
    return f"{number:.6g}" if isinstance(number, float) else str(number)


def _guarantee(manifest: Manifest) -> str:
    released = [(entry.step, entry.guarantee) for entry in manifest.trace if entry.guarantee is not None]
    if not released:
        return ""
    lines = ["## What people were promised\n"]
    for step, guarantee in released:
        lines.append(f"- `{step}`: {plain(' '.join(words_of(guarantee)))}")
        lines += [f"  - not covered: {plain(text)}" for text in guarantee["mechanism"].get("not_covered", ())]
    lines += [
        f"- Together the releases here cost the account {code(account)} epsilon {epsilon:g} and delta {delta:g}; other releases of"
        " the same data add to that: ask the steward."
        for account, (epsilon, delta) in sorted(sums([guarantee for _, guarantee in released]).items())
    ]
    lines.append("- The noise comes from a key that only the steward holds; `manifest.json` has a commitment to it.")
    return "\n".join(lines)


def _synthetic(manifest: Manifest) -> str:
    """Which tables are of people who do not exist."""
    lines = [
        f"- {', '.join(code(value.path) for value in entry.outputs.values() if value.kind == 'table')}, made from"
        f" {', '.join(map(code, releases))}. {SYNTHETIC}"
        for entry in manifest.trace
        if (releases := made_from(manifest, entry))
    ]
    return "\n".join(["## Synthetic people\n", *lines]) if lines else ""


def _withheld(manifest: Manifest) -> str:
    if not manifest.withheld:
        return "## What is withheld\n\nNothing: everything in this run is open."
    names = ", ".join(f"`{name}`" for name in manifest.withheld)
    return (
        f"## What is withheld, and why\n\n{names}: not open, because these are data about people, or computed from them without a"
        " release between. Not even their digests are here: whoever guesses the data could confirm the guess by them."
    )


def _files(manifest: Manifest) -> str:
    leaves = [(name, leaf) for name, value in manifest.open.items() for leaf in value.leaves]
    rows = [f"| `{leaf.path}` | {name} | {leaf.kind} | {leaf.size:,} |" for name, leaf in leaves]
    return "\n".join(["## Open artifacts\n", "| file | artifact | kind | bytes |", "|---|---|---|---:|", *rows])
